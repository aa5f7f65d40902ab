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
    """An axis-parallel rectangle, half-open: x0 <= x < x1, y0 <= y < y1, in pixels of one frame.

    >>> box = Box(2, 1, 6, 4)
    >>> box.width, box.height, box.area, box.center
    (4, 3, 12, (4.0, 2.5))
    """

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
        """The four corners, (x, y) each.

        >>> Box(2, 1, 6, 4).corners().tolist()
        [[2.0, 1.0], [6.0, 1.0], [6.0, 4.0], [2.0, 4.0]]
        """
        return np.array(
            [(self.x0, self.y0), (self.x1, self.y0), (self.x1, self.y1), (self.x0, self.y1)],
            dtype=np.float64,
        )

    def clipped(self, size: Size) -> "Box | None":
        """The part inside an image of ``size``, or None where nothing is inside.

        >>> Box(-5, 10, 20, 40).clipped((30, 50))
        Box(x0=0.0, y0=10, x1=20, y1=30.0)
        >>> Box(60, 10, 70, 40).clipped((30, 50)) is None
        True
        """
        rows, cols = size
        x0, x1 = max(self.x0, 0.0), min(self.x1, float(cols))
        y0, y1 = max(self.y0, 0.0), min(self.y1, float(rows))
        return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def intersection(self, other: "Box") -> float:
        """Shared area, in square pixels.

        >>> Box(0, 0, 4, 4).intersection(Box(2, 1, 6, 4))
        6
        """
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union, in [0, 1].

        >>> Box(0, 0, 4, 2).iou(Box(2, 0, 6, 2))  # 4 shared of 8 + 8 - 4
        0.3333333333333333
        """
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def iom(self, other: "Box") -> float:
        """Intersection over the smaller area, in [0, 1].

        >>> Box(0, 0, 10, 10).iom(Box(2, 2, 4, 4))  # the small one lies inside
        1.0
        """
        return self.intersection(other) / min(self.area, other.area)

    @classmethod
    def around(cls, points: Float[np.ndarray, "point 2"]) -> "Box":
        """The smallest box that holds all points.

        >>> Box.around(np.array([[3.0, 8.0], [1.0, 9.0], [2.0, 7.0]]))
        Box(x0=1.0, y0=7.0, x1=3.0, y1=9.0)
        """
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

    An image of 100 rows and 60 columns is mirrored and halved; a point goes there and back:

    >>> geometry = Geometry((100, 60)).mirrored().resized(50, 30)
    >>> there = geometry.to_processed(np.array([10.0, 20.0]))
    >>> there.tolist(), geometry.to_stored(there).tolist()
    ([25.0, 10.0], [10.0, 20.0])
    >>> geometry.processed_size, geometry.is_mirrored
    ((50, 30), True)
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
        """Exchange left and right.

        >>> Geometry((100, 60)).mirrored().to_processed(np.array([10.0, 20.0])).tolist()
        [50.0, 20.0]
        """
        rows, cols = self.processed_size
        return self._then("mirror", (-1.0, 0.0, float(cols), 0.0, 1.0, 0.0), (rows, cols))

    def exchanged(self) -> "Geometry":
        """Exchange rows and columns.

        >>> Geometry((100, 60)).exchanged().to_processed(np.array([10.0, 20.0])).tolist()
        [20.0, 10.0]
        """
        rows, cols = self.processed_size
        return self._then("exchange", (0.0, 1.0, 0.0, 1.0, 0.0, 0.0), (cols, rows))

    def upside_down(self) -> "Geometry":
        """Exchange up and down: the first row becomes the last.

        >>> Geometry((100, 60)).upside_down().to_processed(np.array([10.0, 20.0])).tolist()
        [10.0, 80.0]
        """
        rows, cols = self.processed_size
        return self._then("upside_down", (1.0, 0.0, 0.0, 0.0, -1.0, float(rows)), (rows, cols))

    def cropped(self, x0: int, y0: int, x1: int, y1: int) -> "Geometry":
        """Keep [x0, x1) x [y0, y1); beyond the image it is padding.

        >>> Geometry((100, 60)).cropped(4, 5, 44, 95).to_processed(np.array([10.0, 20.0])).tolist()
        [6.0, 15.0]
        """
        if not (x0 < x1 and y0 < y1):
            raise ValueError(f"crop ({x0}, {y0}, {x1}, {y1}) is empty; need x0 < x1 and y0 < y1")
        return self._then("crop", (1.0, 0.0, -float(x0), 0.0, 1.0, -float(y0)), (y1 - y0, x1 - x0))

    def resized(self, rows: int, cols: int) -> "Geometry":
        """Scale to ``rows`` x ``cols``.

        >>> Geometry((100, 60)).resized(200, 120).to_processed(np.array([10.0, 20.0])).tolist()
        [20.0, 40.0]
        """
        if rows < 1 or cols < 1:
            raise ValueError(f"cannot resize to {rows} x {cols}; need at least 1 x 1")
        old_rows, old_cols = self.processed_size
        matrix = (cols / old_cols, 0.0, 0.0, 0.0, rows / old_rows, 0.0)
        return self._then("resize", matrix, (rows, cols))

    def decoded_smaller(self, rows: int, cols: int, factor: int) -> "Geometry":
        """A JPEG 2000 image (of wavelets) decoded at 1 / ``factor`` of its resolution.

        Pixel (r, c) of the result samples pixel (factor r, factor c), centre on centre; it is not
        the mean of a block, which would lie (factor - 1) / 2 pixels further.

        The centre of pixel (4, 8) is that of pixel (2, 4) at half the resolution:

        >>> half = Geometry((100, 60)).decoded_smaller(50, 30, 2)
        >>> half.to_processed(np.array([8.5, 4.5])).tolist()
        [4.5, 2.5]
        """
        shift = 0.5 - 0.5 / factor
        matrix = (1 / factor, 0.0, shift, 0.0, 1 / factor, shift)
        return self._then("decoded_smaller", matrix, (rows, cols))

    def rotated(self, degrees: float) -> "Geometry":
        """Turn clockwise as displayed (x to the right, y down) on a canvas that loses nothing.

        >>> turned = Geometry((100, 60)).rotated(90)
        >>> turned.processed_size, turned.to_processed(np.array([10.0, 20.0])).round(6).tolist()
        ((60, 100), [80.0, 10.0])
        """
        rows, cols = self.processed_size
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        # 1e-9: at 90 degrees the cosine is not quite 0, which must not add a row or column.
        new_cols = math.ceil(abs(cols * cos) + abs(rows * sin) - 1e-9)
        new_rows = math.ceil(abs(cols * sin) + abs(rows * cos) - 1e-9)
        b_x = new_cols / 2 - (cos * cols / 2 - sin * rows / 2)
        b_y = new_rows / 2 - (sin * cols / 2 + cos * rows / 2)
        return self._then("rotate", (cos, -sin, b_x, sin, cos, b_y), (new_rows, new_cols))

    def matrix(self) -> Float[np.ndarray, "2 3"]:
        """The whole way, stored to processed: (x', y') = A (x, y) + b.

        >>> Geometry((100, 60)).mirrored().matrix().tolist()
        [[-1.0, 0.0, 60.0], [0.0, 1.0, 0.0]]
        """
        total = np.eye(3)
        for step in self.steps:
            total = np.vstack([np.reshape(step.matrix, (2, 3)), (0.0, 0.0, 1.0)]) @ total
        return total[:2]

    def to_processed(self, points: Float[np.ndarray, "*many 2"]) -> Float[np.ndarray, "*many 2"]:
        """Move points (x, y) from the stored to the processed frame.

        >>> Geometry((100, 60)).cropped(4, 5, 44, 95).to_processed(np.array([10.0, 20.0])).tolist()
        [6.0, 15.0]
        """
        matrix = self.matrix()
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])

    def to_stored(self, points: Float[np.ndarray, "*many 2"]) -> Float[np.ndarray, "*many 2"]:
        """Move points (x, y) from the processed back to the stored frame.

        >>> Geometry((100, 60)).cropped(4, 5, 44, 95).to_stored(np.array([6.0, 15.0])).tolist()
        [10.0, 20.0]
        """
        matrix = self.matrix()
        return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)

    def box_to_processed(self, box: Box) -> Box:
        """The box around the moved corners; exact where nothing was rotated.

        >>> Geometry((100, 60)).mirrored().box_to_processed(Box(0, 0, 10, 20))
        Box(x0=50.0, y0=0.0, x1=60.0, y1=20.0)
        """
        return Box.around(self.to_processed(box.corners()))

    def box_to_stored(self, box: Box) -> Box:
        """The box around the corners moved back; exact where nothing was rotated.

        >>> Geometry((100, 60)).resized(50, 30).box_to_stored(Box(0, 0, 10, 20))
        Box(x0=0.0, y0=0.0, x1=20.0, y1=40.0)
        """
        return Box.around(self.to_stored(box.corners()))

    def to_json(self) -> dict[str, Any]:
        """Plain containers, for a table or a report; ``from_json`` reads them.

        >>> Geometry((100, 60)).to_json()
        {'stored_size': [100, 60], 'steps': []}
        """
        return {
            "stored_size": list(self.stored_size),
            "steps": [
                {"name": s.name, "matrix": list(s.matrix), "size": list(s.size)} for s in self.steps
            ],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Geometry":
        """What ``to_json`` gave.

        >>> geometry = Geometry((100, 60)).mirrored()
        >>> Geometry.from_json(geometry.to_json()) == geometry
        True
        """
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
