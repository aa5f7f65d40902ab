"""The tables of a data set: made, checked, split, chosen from, hashed."""
