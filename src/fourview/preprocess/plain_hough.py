"""The pectoral line as GLAM's published preprocessing finds it, its constants scaled with size.

Steps:   equalise -> Canny -> standard Hough transform -> short list by angle and offset -> the
         line whose triangle has the smallest standard deviation.
Source:  Du, Chen, Dvornek, MICCAI 2025 (GLAM), released preprocessing. Its constants are pixels of
         images about 1080 high; here they are parts of the height.
"""

import math
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

REFERENCE_ROWS = 1080  # the height that the published constants are meant for
SMALL_ROWS = 360  # searched: a third of it, and so are all lengths
CANNY_SIGMA = 6.0  # reference pixels
CANNY_LOW, CANNY_HIGH = 0.1, 0.2  # of the largest level, as a step per reference pixel
BOTTOM = 0.10  # of the rows, blanked
PEAK_DISTANCE, PEAK_DEGREES = 9, 10  # between peaks of the accumulator
PEAK_VOTES = 0.5  # of the largest count
LEAST_DEGREES, MOST_DEGREES = 10, 60  # of a pectoral line to the columns, as in the source
LEAST_OFFSET_PX, MOST_OFFSET_PX = 5.0, 300.0  # reference pixels ...
LEAST_OFFSET, MOST_OFFSET = 0.01, 0.60  # ... and parts of the width


def plain_hough(
    pixels: Shaped[np.ndarray, "row col"], mask: Bool[np.ndarray, "row col"]
) -> tuple[float, float] | None:
    """Angle t in degrees and offset d in pixels of the line x cos t + y sin t = d.

    Args:
        pixels: Oriented pixels, cropped to the breast, bright for dense tissue.
        mask: True inside the breast.

    Returns:
        None where no line is on the short list.
    """
    scale = SMALL_ROWS / mask.shape[0]
    size = (max(8, round(mask.shape[1] * scale)), SMALL_ROWS)
    highest = float(pixels.max()) or 1.0
    grey = np.asarray(np.where(mask, pixels, 0) * (255.0 / highest)).astype(np.uint8)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    counts = _accumulator(_edges(small))
    lines = _short_list(counts, small.shape[1])
    best: tuple[float, int, int] | None = None
    for degrees, offset in lines:
        spread = _spread(small, degrees, offset)
        if spread is not None and (best is None or spread < best[0]):
            best = (spread, degrees, offset)
    return None if best is None else (float(best[1]), (best[2] + 0.5) / scale)


def _edges(small: UInt8[np.ndarray, "row col"]) -> Bool[np.ndarray, "row col"]:
    """Canny edges of the equalised copy, a pixel wider all round (the source takes their Sobel)."""
    part = SMALL_ROWS / REFERENCE_ROWS
    equal = cv2.equalizeHist(small)
    equal[round((1 - BOTTOM) * len(equal)) :] = 0
    smooth = cv2.GaussianBlur(equal, (0, 0), CANNY_SIGMA * part)
    low, high = CANNY_LOW * 255 / part, CANNY_HIGH * 255 / part
    edges = cv2.Canny(smooth, low, high, L2gradient=True)
    return np.asarray(cv2.dilate(edges, np.ones((3, 3), np.uint8)) > 0)


def _accumulator(edges: Bool[np.ndarray, "row col"]) -> Shaped[np.ndarray, "180 offset"]:
    """Edge pixels on each line: one row per degree from -90, one column per offset."""
    y, x = np.nonzero(edges)
    diagonal = math.ceil(math.hypot(*edges.shape))
    counts = np.zeros((180, 2 * diagonal + 1), np.int64)
    for row, degrees in enumerate(range(-90, 90)):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        bins: Any = np.floor((x + 0.5) * cos + (y + 0.5) * sin).astype(np.intp) + diagonal
        counts[row] = np.bincount(bins, minlength=2 * diagonal + 1)
    return counts


def _short_list(counts: Shaped[np.ndarray, "180 offset"], cols: int) -> list[tuple[int, int]]:
    """Peaks with an angle and an offset that a pectoral line may have."""
    from scipy.ndimage import maximum_filter

    part = SMALL_ROWS / REFERENCE_ROWS
    reach = (2 * PEAK_DEGREES + 1, 2 * max(1, round(PEAK_DISTANCE * part)) + 1)
    peaks = (counts == maximum_filter(counts, size=reach)) & (counts > PEAK_VOTES * counts.max())
    diagonal = counts.shape[1] // 2
    low = max(LEAST_OFFSET_PX * part, LEAST_OFFSET * cols)
    high = min(MOST_OFFSET_PX * part, MOST_OFFSET * cols)
    lines = [(int(row) - 90, int(col) - diagonal) for row, col in np.argwhere(peaks)]
    return [
        (t, d) for t, d in lines if LEAST_DEGREES <= t <= MOST_DEGREES and low <= d + 0.5 <= high
    ]


def _spread(small: UInt8[np.ndarray, "row col"], degrees: int, offset: int) -> float | None:
    """Standard deviation of the tissue behind a line; None where there is none."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows, cols = small.shape
    behind = (np.arange(cols) + 0.5) * cos + ((np.arange(rows) + 0.5) * sin)[:, None] < offset + 0.5
    tissue = small[behind & (small > 0)]
    return float(tissue.std()) if len(tissue) else None
