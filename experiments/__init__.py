"""Runs behind docs/results: committed recipes, resumable, one script a page."""
