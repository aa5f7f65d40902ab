"""Boxes, and the invertible way between stored and processed pixels.

Frame:   continuous pixel coordinates. Pixel (row r, column c) covers [c, c+1) x [r, r+1), so its
         centre is (c + 0.5, r + 0.5), and an image of W columns mirrors x to W - x. Boxes are
         half-open for the same reason: ``x1 - x0`` is a width in pixels.
Points:  (x, y), arrays of shape (..., 2). Sizes are (rows, cols).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Size = tuple[int, int]  # rows, cols


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-parallel rectangle, half-open: x0 <= x < x1, y0 <= y < y1, in pixels of one frame."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not (self.x0 < self.x1 and self.y0 < self.y1):  # NaN fails too
            raise ValueError(
                f"box ({self.x0}, {self.y0}, {self.x1}, {self.y1}) is empty or turned; "
                "need x0 < x1 and y0 < y1"
            )

    @property
    def width(self) -> float:
        """Columns covered."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Rows covered."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Square pixels covered."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """The middle, (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def corners(self) -> Float[np.ndarray, "4 2"]:
        """The four corners, (x, y) each."""
        return np.array(
            [(self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1)],
            dtype=np.float64,
        )

    def clipped(self, size: Size) -> "Box | None":
        """The part inside an image of ``size``, or None where nothing is inside."""
        rows, cols = size
        x0, x1 = max(self.x0, 0.0), min(self.x1, float(cols))
        y0, y1 = max(self.y0, 0.0), min(self.y1, float(rows))
        return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def intersection(self, other: "Box") -> float:
        """Shared area, in square pixels."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union, in [0, 1]."""
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def iom(self, other: "Box") -> float:
        """Intersection over the smaller area, in [0, 1]."""
        return self.intersection(other) / min(self.area, other.area)

    @classmethod
    def around(cls, points: Float[np.ndarray, "point 2"]) -> "Box":
        """The smallest box that holds all points."""
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return Box(float(x0), float(y0), float(x1), float(y1))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done to the pixels, as the affine map it is on coordinates.

    Attributes:
        name: What it was: decoded_smaller, exchange, upside_down, mirror, crop, rotate, resize.
        matrix: Row-major 2 x 3: (x', y') = A (x, y) + b, from before the step to after.
        size: Rows and columns after the step.
    """

    name: str
    matrix: tuple[float, float, float, float, float, float]
    size: Size


@dataclass(frozen=True, slots=True)
class Geometry:
    """How stored pixels became processed pixels: a list of steps that can be undone.

    Whatever moves pixels goes through one of the methods below, so that boxes, polygons and
    heatmaps move with them. Every method returns a new geometry.
    """

    stored_size: Size
    steps: tuple[Step, ...] = ()

    @property
    def processed_size(self) -> Size:
        """Rows and columns after the last step."""
        return self.steps[-1].size if self.steps else self.stored_size

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right are exchanged between the two frames."""
        matrix = self.matrix()
        return bool(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] < 0)

    def mirrored(self) -> "Geometry":
        """Exchange left and right."""
        rows, cols = self.processed_size
        return self._then("mirror", (-1.0, 0.0, float(cols), 0.0, 1.0, 0.0), (rows, cols))

    def exchanged(self) -> "Geometry":
        """Exchange rows and columns."""
        rows, cols = self.processed_size
        return self._then("exchange", (0.0, 1.0, 0.0, 1.0, 0.0, 0.0), (cols, rows))

    def upside_down(self) -> "Geometry":
        """Exchange up and down: the first row becomes the last."""
        rows, cols = self.processed_size
        return self._then("upside_down", (1.0, 0.0, 0.0, 0.0, -1.0, float(rows)), (rows, cols))

    def cropped(self, x0: int, y0: int, x1: int, y1: int) -> "Geometry":
        """Keep [x0, x1) x [y0, y1); beyond the image it is padding."""
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"crop ({x0}, {y0}, {x1}, {y1}) is empty; need x0 < x1 and y0 < y1")
        return self._then("crop", (1.0, 0.0, -float(x0), 0.0, 1.0, -float(y0)), (y1 - y0, x1 - x0))

    def resized(self, rows: int, cols: int) -> "Geometry":
        """Scale to ``rows`` x ``cols``."""
        if rows < 1 or cols < 1:
            raise ValueError(f"cannot resize to {rows} x {cols}; need at least 1 x 1")
        old_rows, old_cols = self.processed_size
        matrix = (cols / old_cols, 0.0, 0.0, 0.0, rows / old_rows, 0.0)
        return self._then("resize", matrix, (rows, cols))

    def decoded_smaller(self, rows: int, cols: int, factor: int) -> "Geometry":
        """A wavelet code (JPEG 2000) decoded at 1 / ``factor`` of its resolution.

        Pixel (r, c) of the result samples pixel (factor r, factor c), centre on centre; it is not
        the mean of a block, which would lie (factor - 1) / 2 pixels further.
        """
        shift = 0.5 - 0.5 / factor
        matrix = (1 / factor, 0.0, shift, 0.0, 1 / factor, shift)
        return self._then("decoded_smaller", matrix, (rows, cols))

    def rotated(self, degrees: float) -> "Geometry":
        """Turn clockwise as displayed (x to the right, y down) on a canvas that loses nothing."""
        rows, cols = self.processed_size
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        new_cols = math.ceil(abs(cols * cos) + abs(rows * sin) - 1e-9)
        new_rows = math.ceil(abs(cols * sin) + abs(rows * cos) - 1e-9)
        b_x = new_cols / 2 - (cos * cols / 2 - sin * rows / 2)
        b_y = new_rows / 2 - (sin * cols / 2 + cos * rows / 2)
        return self._then("rotate", (cos, -sin, b_x, sin, cos, b_y), (new_rows, new_cols))

    def matrix(self) -> Float[np.ndarray, "2 3"]:
        """The whole way, stored to processed: (x', y') = A (x, y) + b."""
        total = np.eye(3)
        for step in self.steps:
            total = np.vstack([np.reshape(step.matrix, (2, 3)), (0.0, 0.0, 1.0)]) @ total
        return total[:2]

    def to_processed(self, points: Float[np.ndarray, "*many 2"]) -> Float[np.ndarray, "*many 2"]:
        """Move points (x, y) from the stored to the processed frame."""
        matrix = self.matrix()
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    def to_stored(self, points: Float[np.ndarray, "*many 2"]) -> Float[np.ndarray, "*many 2"]:
        """Move points (x, y) from the processed back to the stored frame."""
        matrix = self.matrix()
        return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)

    def box_to_processed(self, box: Box) -> Box:
        """The box around the moved corners; exact where nothing was rotated."""
        return Box.around(self.to_processed(box.corners()))

    def box_to_stored(self, box: Box) -> Box:
        """The box around the corners moved back; exact where nothing was rotated."""
        return Box.around(self.to_stored(box.corners()))

    def to_json(self) -> dict[str, Any]:
        """Plain containers, for a table or a report; ``from_json`` reads them."""
        return {
            "stored_size": list(self.stored_size),
            "steps": [
                {"name": s.name, "matrix": list(s.matrix), "size": list(s.size)} for s in self.steps
            ],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Geometry":
        """What ``to_json`` gave."""
        steps = tuple(
            Step(s["name"], _six(s["matrix"]), (int(s["size"][0]), int(s["size"][1])))
            for s in data["steps"]
        )
        return Geometry((int(data["stored_size"][0]), int(data["stored_size"][1])), steps)

    def _then(
        self, name: str, matrix: tuple[float, float, float, float, float, float], size: Size
    ) -> "Geometry":
        return Geometry(self.stored_size, (*self.steps, Step(name, matrix, size)))


def _six(
    values: Sequence[float],
) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = (float(v) for v in values)
    return a, b, c, d, e, f
