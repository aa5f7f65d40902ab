"""Which part of a scanned film is the breast, roughly, and on which side its chest wall is.

How: the picture is cut at many levels. Every large component above a level gets a score for
     how much it looks like a breast that ends at the left, or at the right: it begins there in one
     straight line, tapers to the other side, has no dents, and is brighter than what is around it
     all along its free outline. The film's rectangle does not taper, labels do not either, haze has
     no outline.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

LEVELS = 16  # at which the picture is cut
OPENING = 0.045  # of the long side: diameter of what an opening removes
LEAST_AREA = 0.015  # of the picture: smaller components are no breast
USUAL_AREA = 0.20  # of the picture: smaller components count less
TILTS = np.tan(np.radians(np.arange(-8.0, 8.5, 1.0)))  # of the chest wall's line
TILT_COST = 0.15  # of the share of touching rows, for a slope of 1
WALL_TOLERANCE = 0.008  # of the long side: rows that begin no further from the line touch it
LOW_SHARE = 0.85  # of the best score: the lowest level with as much is taken, as skin is dark
HIGHER = (2, 3)  # levels above the lowest: the breast alone, where that one holds more
EDGE_HALF = 0.02  # a slope of the outline (levels per pixel of the small copy) that counts half

Plane = Float32[np.ndarray, "row col"]
Bytes = UInt8[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]


@dataclass(frozen=True, slots=True)
class Seed:
    """A connected component that looks like a breast.

    Attributes:
        component: 0 or 1.
        wall: The side of its chest wall.
        line: The chest wall's column at row 0, and columns per row.
        level: At which it was cut.
        score: How much it looks like one, in [0, 1].
        other: The best score of any component with its chest wall on the other side.
    """

    component: Bytes
    wall: str
    line: tuple[float, float]
    level: float
    score: float
    other: float


def find_seeds(shown: Plane, valid: Mask) -> list[Seed]:
    """The most breast-like component, then those some levels higher; none where there is none.

    Args:
        shown: Levels in [0, 1], bright for dense tissue, about 200 pixels high.
        valid: False where there is no film, or film that light never reached.
    """
    long_side = max(shown.shape)
    soft = cv2.GaussianBlur(shown, (0, 0), 0.8)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125)
    slope = np.hypot(across, down)
    low, high = np.percentile(shown[valid], (2, 97))
    candidates: list[tuple[float, float, Bytes, str, tuple[float, float]]] = []
    best = {"left": 0.0, "right": 0.0}
    size = max(3, round(OPENING * long_side) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    for part in (np.arange(LEVELS) + 0.5) / LEVELS:
        level = float(low + part * (high - low))
        above = ((soft > level) & valid).astype(np.uint8)
        for component in _components(np.asarray(cv2.morphologyEx(above, cv2.MORPH_OPEN, disc))):
            edge = _edge(component, slope, valid)
            for wall in ("left", "right"):
                shape, line = breast_like(component if wall == "left" else component[:, ::-1])
                score = shape * edge
                best[wall] = max(best[wall], score)
                if wall == "right":
                    line = (shown.shape[1] - line[0], -line[1])
                candidates.append((score, level, component, wall, line))
    if not candidates or max(best.values()) <= 0:
        return []
    enough = LOW_SHARE * max(best.values())
    lowest = next(f for f in candidates if f[0] >= enough)
    wall, other = lowest[3], best["right" if lowest[3] == "left" else "left"]
    step = (high - low) / LEVELS
    chosen = [lowest]
    for up in HIGHER:
        level = lowest[1] + up * step
        there = [c for c in candidates if c[3] == wall and abs(c[1] - level) < step / 2]
        chosen += [max(there, key=lambda c: c[0])] if there else []
    return [
        Seed(component, wall, line, level, score, other)
        for score, level, component, _, line in chosen
    ]


def _components(opened: Bytes) -> list[Bytes]:
    """Components that are large enough, at most three."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")[:3]
    return [
        (labels == 1 + int(k)).astype(np.uint8)
        for k in order
        if areas[k] >= LEAST_AREA * opened.size
    ]


def _edge(mask: Bytes, slope: Plane, valid: Mask) -> float:
    """How much the free outline is an edge of the picture, in [0, 1)."""
    inner: Any = cv2.erode(
        mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1
    )
    rim = (mask > 0) & (inner == 0) & cv2.erode(valid.view(np.uint8), np.ones((5, 5))).view(bool)
    if rim.sum() < 8:
        return 0.0
    middle = float(np.percentile(slope[rim], 35))
    return middle / (middle + EDGE_HALF)


def breast_like(mask: Bytes) -> tuple[float, tuple[float, float]]:
    """How much a mask looks like a breast with its chest wall at the left, and that wall's line.

    Returns:
        The score in [0, 1], and the line: its column at row 0 and columns per row.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    inside = mask[rows] > 0
    first = inside.argmax(axis=1).astype(np.float64)
    last = mask.shape[1] - inside[:, ::-1].argmax(axis=1).astype(np.float64)
    touching, line = _wall(rows, first, max(1.0, WALL_TOLERANCE * max(mask.shape)))
    depth = last - (line[0] + line[1] * rows)
    far = float(np.percentile(depth, 99))
    if far <= 2:
        return 0.0, line
    # Height at each tenth of the depth
    steps = far * (np.arange(10) + 0.5) / 10
    height = (depth[None, :] > steps[:, None]).mean(axis=1)
    taper = 1 - float(height[8:].mean()) / max(float(height[:3].max()), 1e-6)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.contourArea(cv2.convexHull(np.vstack(contours)))
    full = min(1.0, float(mask.sum()) / max(hull, 1.0))
    aspect = min(1.0, len(rows) / far / 1.1) * min(1.0, 6.0 * far / len(rows))
    large = min(1.0, float(mask.sum()) / (USUAL_AREA * mask.size)) ** 0.5
    return touching * max(taper, 0.0) * full**2 * aspect * large, line


def _wall(
    rows: np.ndarray, first: np.ndarray, tolerance: float
) -> tuple[float, tuple[float, float]]:
    """The line at which most rows begin: which part of them, and the line."""
    column = first[None, :] - TILTS[:, None] * (rows - rows[0])[None, :]
    bins = np.rint((column - column.min()) / tolerance).astype(np.intp) + 1
    width = int(bins.max()) + 2
    counts = np.bincount(
        (bins + np.arange(len(TILTS))[:, None] * width).ravel(), minlength=len(TILTS) * width
    ).reshape(len(TILTS), width)
    near = counts.copy()
    near[:, 1:] += counts[:, :-1]
    near[:, :-1] += counts[:, 1:]
    share = near.max(axis=1) / len(rows) - TILT_COST * np.abs(TILTS)
    tilt = int(share.argmax())
    place = int(near[tilt].argmax())
    at = float(np.median(column[tilt][np.abs(bins[tilt] - place) <= 1]))
    return max(float(share[tilt]), 0.0), (at - TILTS[tilt] * float(rows[0]), float(TILTS[tilt]))
