"""Decoders that misbehave, importable by the process that decodes."""

import os

import numpy as np


def burn(data):
    """Never ends."""
    while data:
        pass


def fill(_, count):
    """Takes much memory."""
    return np.ones(count, dtype=np.uint8)


def end(_):
    """Ends the process as a codec's abort does."""
    os.abort()


def name_of_nothing(_):
    raise ValueError("a\nb\x1b[31m" + "c" * 500)
