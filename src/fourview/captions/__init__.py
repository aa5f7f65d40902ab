"""Captions and prompts: sentences made of a manifest's columns."""
