"""Weights with all that is needed to use them: written, read, converted, passed on."""
