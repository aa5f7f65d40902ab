"""Seeded random streams, one per purpose, so that adding one thing moves nothing else.

Every draw of the phantom comes from ``stream(seed, purpose, ...)``. A lesion has its own stream, so
has the noise of a view: another lesion or another pixel size changes neither.
"""

import math
import zlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The random numbers of one purpose.

    Args:
        seed: Seed of the patient; at least 0.
        names: The purpose, such as ``"anatomy", "L"``. Other names give independent numbers.
    """
    key = tuple(zlib.crc32(str(name).encode()) for name in names)
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
    return np.random.Generator(np.random.PCG64(sequence))


def clipped_normal(
    rng: np.random.Generator, mean: float, sd: float, low: float, high: float
) -> float:
    """A normal draw, moved to the nearer bound where it lies outside [low, high]."""
    return float(min(max(rng.normal(mean, sd), low), high))


def clipped_lognormal(
    rng: np.random.Generator, median: float, sd: float, low: float, high: float
) -> float:
    """A lognormal draw with that median, whose logarithm has that sd, clipped to [low, high]."""
    return float(min(max(rng.lognormal(math.log(median), sd), low), high))
