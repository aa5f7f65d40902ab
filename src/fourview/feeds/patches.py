"""Windows of images: where they are put, what is cut out of them, which cells of a grid they cover.

Frame:   processed pixels; points (x, y), the centre of pixel (row, col) is (col + 0.5, row + 0.5).
Paper:   Wu et al. 2020, arXiv:2009.09282 (reducing false-positive biopsies); see
         models/lesion/README.md. Windows have sides of 128 to 384 of the 2944 x 1920 pixels, are
         turned by up to 30 degrees, and are resized to 256 x 256.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Float32, Float64, UInt16

from fourview.fingerprint import number_of
from fourview.geometry import Box, Size

UPRIGHT = 1e-9  # an edge nearer than this to upright, in cells, has one column throughout
# gives the levels of an upright patch: first row, first column, size
PatchReader = Callable[[int, int, Size], UInt16[np.ndarray, "row col"]]


@dataclass(frozen=True, slots=True)
class Window:
    """A square that is cut from an image.

    Attributes:
        x: Of its centre.
        y: Of its centre.
        side: In pixels.
        degrees: Turned clockwise as displayed (x to the right, y down).
    """

    x: float
    y: float
    side: float
    degrees: float = 0.0

    def corners(self) -> Float64[np.ndarray, "4 2"]:
        """The four corners, (x, y) each, going round."""
        unit = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
        return np.asarray(self.side * unit @ self._turn().T + (self.x, self.y))

    def box(self) -> Box:
        """The upright box around it."""
        return Box.around(self.corners())

    def matrix(self, side_px: int) -> Float64[np.ndarray, "2 3"]:
        """From pixels (x, y) of the patch, ``side_px`` on a side, to the image's."""
        scale = self._turn() * (self.side / side_px)
        return np.column_stack([scale, (self.x, self.y) - scale @ np.full(2, side_px / 2)])

    def around(self, point: tuple[float, float], offset: tuple[float, float]) -> "Window":
        """The same window put so that ``point`` lies at ``offset`` of it, in sides from its centre.

        With both offsets within half a side the point is inside.
        """
        x, y = np.asarray(point) - self.side * self._turn() @ np.asarray(offset)
        return Window(float(x), float(y), self.side, self.degrees)

    def _turn(self) -> Float64[np.ndarray, "2 2"]:
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return np.array([(cos, -sin), (sin, cos)])


@dataclass(frozen=True, slots=True)
class Outline:
    """A finding's region in processed pixels: its polygon, or the four corners of its box."""

    points: Float64[np.ndarray, "point 2"]

    def draw_point(self, draw: np.random.Generator) -> tuple[float, float]:
        """A point of it, drawn uniformly."""
        (x0, y0), (x1, y1) = self.points.min(axis=0), self.points.max(axis=0)
        points = self.points.astype(np.float32)
        for _ in range(1000):
            x, y = float(draw.uniform(x0, x1)), float(draw.uniform(y0, y1))
            if cv2.pointPolygonTest(points, (x, y), False) >= 0:
                return x, y
        return float(self.points[0, 0]), float(self.points[0, 1])  # thinner than any draw

    def overlap(self, window: Window) -> float:
        """Square pixels that its convex hull shares with a window."""
        hull = cv2.convexHull(self.points.astype(np.float32))
        shared, _ = cv2.intersectConvexConvex(hull, window.corners().astype(np.float32))
        return float(shared)


def draw_window(
    draw: np.random.Generator,
    outline: Outline,
    *,
    sides: tuple[float, float],
    degrees: float = 0.0,
    min_overlap_px: float = 0.0,
    tries: int = 50,
) -> Window:
    """A random window that overlaps a region: a point of the region at a random place of it.

    Args:
        draw: Everything random comes from it.
        outline: Of the region.
        sides: Smallest and largest side, uniform between.
        degrees: Largest turn to either side, uniform.
        min_overlap_px: Least area shared with the region; the largest of ``tries`` where none does.
        tries: How many windows are drawn to get that.
    """
    best, most = None, -1.0
    for _ in range(tries):
        window = Window(
            0, 0, draw.uniform(*sides), draw.uniform(-degrees, degrees) if degrees else 0
        )
        offset = (float(draw.uniform(-0.5, 0.5)), float(draw.uniform(-0.5, 0.5)))
        window = window.around(outline.draw_point(draw), offset)
        if min_overlap_px <= 0:
            return window
        shared = outline.overlap(window)
        if shared >= min_overlap_px:
            return window
        if shared > most:
            best, most = window, shared
    assert best is not None
    return best


def windows_of_finding(
    key: str, outline: Outline, *, num: int, sides: tuple[float, float], min_overlap_px: float = 0.0
) -> list[Window]:
    """The windows that a finding is scored by: upright, and always the same for the same key.

    Args:
        key: Of finding and image.
        outline: Of its region on the image.
        num: How many.
        sides: Smallest and largest side.
        min_overlap_px: See ``draw_window``.
    """
    draw = np.random.default_rng(number_of(key))
    return [
        draw_window(draw, outline, sides=sides, min_overlap_px=min_overlap_px) for _ in range(num)
    ]


def cut_window(
    read_patch: PatchReader, window: Window, side_px: int
) -> Float32[np.ndarray, "side side"]:
    """The pixels of a window, in [0, 1]: bilinear, turned about its centre, 0 beyond the image.

    Args:
        read_patch: Called once, for the upright part of the image that is needed.
        window: Where.
        side_px: Rows and columns of the result.
    """
    box = window.box()
    x0, y0 = math.floor(box.x0) - 1, math.floor(box.y0) - 1  # one more for the interpolation
    size = (math.ceil(box.y1) + 1 - y0, math.ceil(box.x1) + 1 - x0)
    levels = read_patch(y0, x0, size).astype(np.float32)
    matrix = window.matrix(side_px)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5 - (x0, y0)  # OpenCV counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(levels, matrix, (side_px, side_px), flags=flags)
    return np.asarray(turned / np.float32(65535))


def patch_reader(levels: UInt16[np.ndarray, "row col"]) -> PatchReader:
    """Parts of an image in memory, with zeros beyond it, as ``Store.patch`` gives them."""

    def read_patch(y0: int, x0: int, size: Size) -> UInt16[np.ndarray, "row col"]:
        out = np.zeros(size, dtype=np.uint16)
        rows = slice(max(y0, 0), max(min(y0 + size[0], levels.shape[0]), 0))
        cols = slice(max(x0, 0), max(min(x0 + size[1], levels.shape[1]), 0))
        part = levels[rows, cols]
        if part.size:
            top, left = rows.start - y0, cols.start - x0
            out[top : top + part.shape[0], left : left + part.shape[1]] = part
        return out

    return read_patch


def coverage(
    corners: Float[np.ndarray, "corner 2"], size: Size, grid: Size
) -> Float32[np.ndarray, "grid_row grid_col"]:
    """The part of each cell of a grid that a convex shape covers, exactly.

    By Green's theorem the area in cell (r, c) is the integral of clip(x, c, c + 1) - c over the
    y of the outline within row r, which has a closed form on every edge. So the sum over the cells
    is the area of the shape inside the image over that of a cell.

    Args:
        corners: (x, y) in pixels, going round in either direction.
        size: Rows and columns of the image.
        grid: Rows and columns of the grid that covers it evenly.
    """
    points = corners * (grid[1] / size[1], grid[0] / size[0])  # in cells
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, axis=0).T
    rise = y1 - y0
    slope = np.divide(x1 - x0, rise, out=np.zeros_like(rise), where=rise != 0)
    rows = np.arange(grid[0])[:, None]
    start, end = np.clip(y0, rows, rows + 1), np.clip(y1, rows, rows + 1)  # (row, edge)
    from_x = (x0 + (start - y0) * slope)[:, None]  # (row, 1, edge), with columns in the middle
    to_x = (x0 + (end - y0) * slope)[:, None]
    cols = np.arange(grid[1])[:, None]
    run = to_x - from_x
    flat = np.abs(run) < UPRIGHT
    mean = np.divide(
        _integral(to_x - cols) - _integral(from_x - cols),
        run,
        out=np.clip((from_x + to_x) / 2 - cols, 0, 1),
        where=~flat,
    )
    area = (mean * (end - start)[:, None]).sum(axis=2)
    covered: np.ndarray = np.clip(np.abs(area), 0, 1).astype(np.float32)
    return covered


def _integral(x: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Of clip(x, 0, 1), from 0."""
    inside = np.clip(x, 0, 1)
    return np.asarray(inside * inside / 2 + np.maximum(x - 1, 0))


def overlaps_any(window: Window, outlines: Sequence[Outline]) -> bool:
    """Whether a window shares a pixel's worth with the hull of any region."""
    return any(outline.overlap(window) > 0 for outline in outlines)


def grid_maps(
    windows: Sequence[Window],
    size: Size,
    grid: Size,
    context: Float32[np.ndarray, "map grid_row grid_col"] | None,
    *,
    upright: bool = False,
) -> Float32[np.ndarray, "patch channel grid_row grid_col"]:
    """For each window the part of each cell that it covers, then the context's maps.

    Args:
        windows: On one image.
        size: Of the image.
        grid: Rows and columns of the maps.
        context: Heatmaps of the image; None gives the coverage alone.
        upright: Cover what the window covered before it was turned.
    """
    turned = [replace(w, degrees=0.0) if upright else w for w in windows]
    covered = np.stack([coverage(w.corners(), size, grid) for w in turned])[:, None]
    if context is None:
        return covered
    shared = np.broadcast_to(context, (len(windows), *context.shape))
    return np.concatenate([covered, shared], axis=1)
