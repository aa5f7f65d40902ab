"""The way between stored and processed pixels, there and back, against moved arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.geometry import Box, Geometry

SIZE = (40, 24)
STEPS = {
    "mirrored": lambda g: g.mirrored(),
    "exchanged": lambda g: g.exchanged(),
    "upside_down": lambda g: g.upside_down(),
    "resized": lambda g: g.resized(17, 9),
    "rotated": lambda g: g.rotated(20.0),
    "cropped": lambda g: g.cropped(2, 3, 2 + g.processed_size[1] // 2, g.processed_size[0]),
}
CHAINS = st.lists(st.sampled_from(sorted(STEPS)), max_size=5).filter(
    lambda names: names.count("cropped") <= 2  # a third crop may leave nothing
)
POINTS = st.tuples(st.floats(0, 24), st.floats(0, 40))
MOVED = {  # what numpy does to the pixels themselves
    "mirrored": lambda a: a[:, ::-1],
    "exchanged": lambda a: a.T,
    "upside_down": lambda a: a[::-1],
    "cropped": lambda a: a[3:, 2 : 2 + a.shape[1] // 2],
}


def chained(names):
    geometry = Geometry(SIZE)
    for name in names:
        geometry = STEPS[name](geometry)
    return geometry


@settings(deadline=None)
@given(CHAINS, POINTS)
def test_a_point_goes_there_and_back_and_where_the_matrix_says(names, point):
    geometry = chained(names)
    there = geometry.to_processed(np.array(point))
    np.testing.assert_allclose(geometry.to_stored(there), point, atol=1e-8)
    matrix = geometry.matrix()
    np.testing.assert_allclose(there, matrix[:, :2] @ point + matrix[:, 2], atol=1e-8)


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(MOVED)), max_size=4))
def test_a_pixel_lies_where_numpy_puts_it(names):
    pixels, geometry = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE), Geometry(SIZE)
    for name in names:
        pixels, geometry = MOVED[name](pixels), STEPS[name](geometry)
    assert geometry.processed_size == pixels.shape
    for row, col in ((0, 0), (pixels.shape[0] - 1, pixels.shape[1] - 1)):
        x, y = geometry.to_stored(np.array((col + 0.5, row + 0.5)))
        assert pixels[row, col] == int(y) * SIZE[1] + int(x)


@settings(deadline=None)
@given(CHAINS)
def test_json_keeps_every_step(names):
    geometry = chained(names)
    assert Geometry.from_json(geometry.to_json()) == geometry
    assert geometry.is_mirrored == (np.linalg.det(geometry.matrix()[:, :2]) < 0)


@settings(deadline=None)
@given(CHAINS, POINTS, st.floats(0.5, 10), st.floats(0.5, 10))
def test_a_box_holds_its_own_corners(names, point, width, height):
    geometry = chained(names)
    box = Box(point[0], point[1], point[0] + width, point[1] + height)
    moved = geometry.box_to_processed(box)
    corners = geometry.to_processed(box.corners())
    low, high = corners.min(axis=0), corners.max(axis=0)
    np.testing.assert_allclose((moved.x0, moved.y0, moved.x1, moved.y1), (*low, *high), atol=1e-8)


BOXES = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 9)] * 2).map(
    lambda b: Box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(BOXES, BOXES)
def test_overlap_counts_pixels(one, other):
    grid = np.zeros((2, 32, 32), dtype=bool)
    for plane, box in zip(grid, (one, other), strict=True):
        plane[box.y0 : box.y1, box.x0 : box.x1] = True
    both, either = (grid[0] & grid[1]).sum(), (grid[0] | grid[1]).sum()
    assert one.intersection(other) == both
    assert one.iou(other) == pytest.approx(both / either)
    assert one.iom(other) == pytest.approx(both / min(grid[0].sum(), grid[1].sum()))


def test_a_box_beyond_the_image_is_cut_or_nothing():
    assert Box(-5, -5, 5, 5).clipped((10, 10)) == Box(0, 0, 5, 5)
    assert Box(10, 0, 12, 5).clipped((10, 10)) is None
    for corners in ((0, 0, 0, 5), (3, 0, 2, 5), (0, 0, float("nan"), 1)):
        with pytest.raises(ValueError, match=r"x0|box|Box"):
            Box(*corners)
