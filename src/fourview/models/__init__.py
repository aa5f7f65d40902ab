"""One folder per family. Families are looked up by name, so adding one touches no other file."""
