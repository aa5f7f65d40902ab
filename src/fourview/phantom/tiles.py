"""Periodic noise volumes that the tissue function looks up."""

from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float32

from fourview.phantom.streams import stream

SIDE = 64  # voxels along an edge; the kernel's index arithmetic is written for it
PADDED = SIDE + 1  # one voxel repeated, so that a trilinear lookup needs no wrap-around
NUM_VARIANTS = 3
_SEED = 20240501  # fixed: tiles are part of the phantom's definition, not of a patient

Kind = Literal["power", "band"]


@cache
def tile(kind: Kind, variant: int) -> Float32[np.ndarray, "64 64 64"]:
    """Filtered white noise, periodic, of mean 0 and variance 1; shared, so read-only.

    Args:
        kind: ``power``: amplitude f^-1.5 for 2 to 20 cycles per tile; ``band``: about one octave
            around 5.5 cycles per tile.
        variant: 0 to 2, independent of each other.
    """
    frequency = np.fft.fftfreq(SIDE) * SIDE
    half = np.arange(SIDE // 2 + 1)
    radius = np.sqrt(
        frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + half[None, None, :] ** 2
    )
    if kind == "power":
        inside = (radius >= 2) & (radius <= 20)
        amplitude = np.where(inside, np.maximum(radius, 1) ** -1.5, 0.0)
    else:
        amplitude = np.exp(-0.5 * ((radius - 5.5) / 1.6) ** 2)
    amplitude[0, 0, 0] = 0
    white = stream(_SEED, "tile", kind, variant).standard_normal((SIDE, SIDE, SIDE))
    values = np.fft.irfftn(np.fft.rfftn(white) * amplitude, s=white.shape, axes=(0, 1, 2))
    result: np.ndarray = (values / values.std()).astype(np.float32)
    result.setflags(write=False)
    return result


@cache
def flat_tile(kind: Kind, variant: int) -> Float32[np.ndarray, " voxel"]:
    """A tile with one voxel repeated at each far side, flattened: what the kernel indexes."""
    return np.ascontiguousarray(np.pad(tile(kind, variant), ((0, 1),) * 3, mode="wrap").ravel())
