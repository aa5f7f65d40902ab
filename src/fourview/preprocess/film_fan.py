"""The picture along rays from a point on the chest wall.

Frame:  chest wall at the left. Rays go from straight up to straight down; a step is a pixel.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

RAYS = 141
FAN = 0.955  # of half a circle: rays along the chest wall see its edge
WALL = 0.03  # of the long side: margins and tape so near the chest wall stop no ray

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Rays = Float32[np.ndarray, "ray step"]
Radii = Int[np.ndarray, " ray"]


@dataclass(frozen=True, slots=True)
class Fan:
    """The picture along rays.

    Attributes:
        level: Of each ray and step.
        inside: Where a ray is still on the film.
        at_wall: Where it runs near the chest wall.
        x_step: Column of each step of each ray, from the first pixel's centre.
        y_step: Row, the same.
        cos: Of each ray: columns per step.
        sin: Rows per step.
        x: Where the rays begin.
        y: The same, row.
        slope: Of the chest wall: columns per row.
        long_side: Of the picture.
    """

    level: Rays
    inside: Bool[np.ndarray, "ray step"]
    at_wall: Bool[np.ndarray, "ray step"]
    x_step: Rays
    y_step: Rays
    cos: Float[np.ndarray, " ray"]
    sin: Float[np.ndarray, " ray"]
    x: float
    y: float
    slope: float
    long_side: int

    @classmethod
    def of(cls, shown: Plane, valid: Mask, line: tuple[float, float], row: float) -> "Fan":
        """Rays from the chest wall's line at a row, from straight up to straight down along it."""
        rows, cols = shown.shape
        x, y = line[0] + line[1] * row + 0.5, row
        tilt = np.arctan(-line[1])
        turn = np.linspace(-0.5, 0.5, RAYS) * np.pi * FAN + tilt
        cos, sin = np.cos(turn), np.sin(turn)
        steps = np.arange(0.5, int(np.hypot(max(rows - row, row), cols)) + 1)
        at_x = (x + cos[:, None] * steps - 0.5).astype(np.float32)
        at_y = (y + sin[:, None] * steps - 0.5).astype(np.float32)
        level = cv2.remap(shown, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        film = cv2.remap(valid.view(np.uint8), at_x, at_y, cv2.INTER_NEAREST, borderValue=0)
        near = WALL * max(rows, cols)
        behind = (at_x < line[0] + line[1] * at_y + near) & (at_y > 0) & (at_y < rows)
        inside = np.logical_and.accumulate((film > 0) | behind | (steps < 4)[None, :], axis=1)
        at_wall = behind & (steps > near)[None, :]
        return cls(
            np.asarray(level),
            inside,
            at_wall,
            at_x,
            at_y,
            cos,
            sin,
            float(x),
            float(y),
            line[1],
            max(rows, cols),
        )

    def sampled(self, mask: UInt8[np.ndarray, "row col"]) -> Rays:
        """A mask along the rays: 0 or 1."""
        sampled = cv2.remap(mask, self.x_step, self.y_step, cv2.INTER_NEAREST, borderValue=0)
        return np.asarray(sampled).astype(np.float32)

    def behind_wall(self, shape: tuple[int, ...]) -> Mask:
        """True at the left of the chest wall."""
        rows = np.arange(shape[0])[:, None] + 0.5
        wall = self.x + self.slope * (rows - self.y)
        return np.asarray(np.arange(shape[1])[None, :] + 0.5 < wall)

    def mask(self, radii: Radii, shape: tuple[int, int]) -> UInt8[np.ndarray, "row col"]:
        """What lies within radii, up to the chest wall."""
        points = np.stack([self.x + self.cos * radii, self.y + self.sin * radii], axis=1)
        ends = points[[-1, 0]].copy()
        ends[:, 0] = self.x + self.slope * (ends[:, 1] - self.y) - 0.5
        drawn: Any = np.zeros(shape, np.uint8)
        fixed = np.rint((np.concatenate([points, ends]) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(drawn, [fixed], 1, shift=4)
        return np.asarray(drawn)


def quantile(
    level: Rays, where: Bool[np.ndarray, "ray step"], part: float, *, least: int
) -> Float[np.ndarray, " ray"]:
    """A quantile of each ray's levels; NaN where there are too few."""
    values = np.where(where, level, np.inf)
    values.sort(axis=1)
    num = where.sum(axis=1)
    place = np.minimum((part * num).astype(np.intp), values.shape[1] - 1)
    return np.where(num >= max(least, 1), values[np.arange(len(num)), place], np.nan)
