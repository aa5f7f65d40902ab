"""The nipple, from the breast's outline: the point farthest along the AP axis.

The tip of a breast is flat over a centimetre, so the outline is smoothed before its farthest point
is taken. Giving weight to a bump on the outline gained nothing on phantoms, and misled on real
breasts whose skin is folded or retracted.
"""

import math
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float64

SMALL_ROWS = 512  # height of the copy of the mask
SMOOTH = 0.02  # of the breast's depth: Gaussian width along the outline
LEAST_WIDTH = 8  # pixels of the copy: fewer are no outline


def find_nipple(
    mask: Bool[np.ndarray, "row col"], *, degrees: float = 0.0
) -> tuple[float, float] | None:
    """Find the nipple.

    Args:
        mask: True inside the breast; chest wall at the left.
        degrees: Angle of the AP axis to the rows, clockwise as displayed: that of the pectoral
            line for an MLO view that is not rotated, 0 for CC and for a rotated MLO.

    Returns:
        (x, y) in pixels of the mask, on the skin; None where the mask has no outline.
    """
    from scipy.ndimage import gaussian_filter1d

    x0, y0, width, height = cv2.boundingRect(mask.view(np.uint8))
    if min(width, height) < LEAST_WIDTH:
        return None
    scale = min(1.0, SMALL_ROWS / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    inside = mask[y0 : y0 + height, x0 : x0 + width] * np.uint8(255)
    small = cv2.resize(inside, size, interpolation=cv2.INTER_AREA) >= 128
    first, outline = _outline(small, degrees)
    if len(outline) < LEAST_WIDTH:
        return None
    reach = float(outline.max() - outline.min())
    place = int(gaussian_filter1d(outline, max(SMOOTH * reach, 0.5), mode="nearest").argmax())
    t = math.radians(degrees)
    depth, across = outline[place], first + place + 0.5
    x = depth * math.cos(t) - across * math.sin(t)
    y = depth * math.sin(t) + across * math.cos(t)
    return x0 + x * width / size[0], y0 + y * height / size[1]


def _outline(
    small: Bool[np.ndarray, "row col"], degrees: float
) -> tuple[int, Float64[np.ndarray, " across"]]:
    """Greatest depth along the axis of each line parallel to it; the first line's number."""
    y, x = np.nonzero(small)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    depth = (x + 0.5) * cos + (y + 0.5) * sin + 0.5  # to the pixel's far side
    across = (y + 0.5) * cos - (x + 0.5) * sin
    line: Any = np.floor(across).astype(np.intp)
    first = int(line.min())
    outline = np.full(int(line.max()) - first + 1, -np.inf)
    np.maximum.at(outline, line - first, depth)
    known = np.isfinite(outline)
    places = np.arange(len(outline))
    return first, np.interp(places, places[known], outline[known])
