"""Loops over pixels: spreading point volumes, and enlarging a coarse grid."""

import math

import numpy as np
from jaxtyping import Float, Float32

from fourview.compiled import compiled_fast
from fourview.phantom.view import Floats


def splat(
    image: Float32[np.ndarray, "row col"],
    px: float,
    *,
    x: Floats,
    y: Floats,
    volume: Floats,
    sigma: Floats,
) -> None:
    """Add volumes (mm^3) to a thickness image (mm) as Gaussians, in place.

    Args:
        image: Pixel (0, 0) has its centre at x = y = 0.
        px: Pixel size, mm.
        x: Column position, mm.
        y: Row position, mm.
        volume: Volume that each Gaussian integrates to.
        sigma: Width of a Gaussian, mm; anything below 0.45 px is drawn with that.
    """
    arrays = (np.ascontiguousarray(a, np.float64) for a in np.broadcast_arrays(x, y, volume, sigma))
    _splat(image, px, *arrays)


@compiled_fast
def _splat(
    image: np.ndarray,
    px: float,
    x: np.ndarray,
    y: np.ndarray,
    volume: np.ndarray,
    sigma: np.ndarray,
) -> None:
    """Loop of ``splat``."""
    rows, cols = image.shape
    profile = np.empty(256, np.float32)
    for i in range(len(x)):
        s = max(sigma[i], 0.45 * px)
        reach = min(2.7 * s / px, 120.0)
        cx = x[i] / px
        cy = y[i] / px
        c0 = max(0, math.ceil(cx - reach))
        c1 = min(cols - 1, math.floor(cx + reach))
        r0 = max(0, math.ceil(cy - reach))
        r1 = min(rows - 1, math.floor(cy + reach))
        if c1 < c0 or r1 < r0:
            continue
        peak = volume[i] / (2 * math.pi * s * s)
        q = px * px / (2 * s * s)
        for c in range(c0, c1 + 1):
            profile[c - c0] = math.exp(-(c - cx) * (c - cx) * q)
        for r in range(r0, r1 + 1):
            w = peak * math.exp(-(r - cy) * (r - cy) * q)
            for c in range(c0, c1 + 1):
                image[r, c] += w * profile[c - c0]


def enlarge(
    values: Float[np.ndarray, "row col"],
    factor: float,
    rows: tuple[int, int],
    cols: tuple[int, int],
) -> Float32[np.ndarray, "row2 col2"]:
    """Bilinear enlargement of a grid of pixel centres, of a part of the fine grid only.

    Args:
        values: The coarse grid; the outermost values go on beyond its outermost centres.
        factor: Coarse pixel size over fine pixel size, at least 1.
        rows: First row of the fine grid, and one past the last.
        cols: The same for columns.
    """
    coarse = np.ascontiguousarray(values, np.float32)
    return _enlarge(coarse, float(factor), rows[0], rows[1], cols[0], cols[1])


@compiled_fast
def _enlarge(values: np.ndarray, factor: float, r0: int, r1: int, c0: int, c1: int) -> np.ndarray:
    """Loop of ``enlarge``."""
    num_rows, num_cols = values.shape
    out = np.empty((r1 - r0, c1 - c0), np.float32)
    for r in range(r0, r1):
        z = (r + 0.5) / factor - 0.5
        k = min(max(math.floor(z), 0), num_rows - 2)
        v = np.float32(min(max(z - k, 0.0), 1.0))
        for c in range(c0, c1):
            y = (c + 0.5) / factor - 0.5
            j = min(max(math.floor(y), 0), num_cols - 2)
            w = np.float32(min(max(y - j, 0.0), 1.0))
            top = values[k, j] + w * (values[k, j + 1] - values[k, j])
            bottom = values[k + 1, j] + w * (values[k + 1, j + 1] - values[k + 1, j])
            out[r - r0, c - c0] = top + v * (bottom - top)
    return out
