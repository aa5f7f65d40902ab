"""One folder a family; found by its name, so that adding one touches no other file."""
