"""Windows over a grid of context, and what they show."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fourview.feeds.patches import (
    Outline,
    Window,
    coverage,
    cut_window,
    draw_window,
    grid_maps,
    patch_reader,
    windows_of_finding,
)

PAPER, GRID = (2944, 1920), (46, 30)


SQUARE = Outline(np.array([(40.0, 60.0), (60.0, 60.0), (60.0, 90.0), (40.0, 90.0)]))


def test_the_worked_example_of_the_paper_covers_its_cells_as_printed():
    maps = coverage(Window(600, 400, 200).corners(), PAPER, GRID)  # rows 300-500, cols 500-700
    rows, cols = np.nonzero(maps)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (4, 7, 7, 10)
    assert (maps > 0).sum() == 16
    assert maps.sum() == pytest.approx(9.765625, abs=1e-6)
    assert maps[4, 7] == pytest.approx(0.05859375, abs=1e-7)
    assert maps[5, 8] == 1.0


@settings(max_examples=60, deadline=None)
@given(st.floats(300, 1600), st.floats(300, 2600), st.floats(128, 384), st.floats(-30, 30))
def test_coverage_sums_to_the_area_of_a_turned_window(x, y, side, degrees):
    maps = coverage(Window(x, y, side, degrees).corners(), PAPER, GRID)
    assert maps.sum(dtype=np.float64) == pytest.approx(side**2 / 4096, rel=1e-6)  # float32 cells
    assert maps.min() >= 0 and maps.max() <= 1


def test_coverage_of_a_turned_window_agrees_with_counting_points():
    window, fine = Window(70, 50, 60, 25), 16
    y, x = (np.mgrid[: 128 * fine, : 96 * fine] + 0.5) / fine
    turn = math.radians(25)
    along = (x - 70) * math.cos(turn) + (y - 50) * math.sin(turn)
    across = -(x - 70) * math.sin(turn) + (y - 50) * math.cos(turn)
    inside = (abs(along) < 30) & (abs(across) < 30)
    want = inside.reshape(8, 16 * fine, 6, 16 * fine).mean(axis=(1, 3))
    # points a 1/16 pixel apart miss at most half of that along a side through a cell of 16 pixels
    np.testing.assert_allclose(coverage(window.corners(), (128, 96), (8, 6)), want, atol=5e-3)


def test_coverage_counts_what_lies_inside_the_image_only():
    maps = coverage(Window(0, 64, 64).corners(), (128, 128), (2, 2))
    assert maps.tolist() == [[0.25, 0.0], [0.25, 0.0]]


def test_a_window_shows_the_pixels_below_it_turned_about_its_centre():
    levels = np.random.default_rng(0).integers(1, 65535, (120, 90)).astype(np.uint16)
    smooth = ndimage.gaussian_filter(levels.astype(float), 3)
    levels = smooth.astype(np.uint16)
    window = Window(41.3, 63.7, 30, 20)
    got = cut_window(patch_reader(levels), window, 24)
    place = ((np.mgrid[:24, :24] + 0.5) / 24 - 0.5) * 30
    turn = math.radians(20)
    x = 41.3 + place[1] * math.cos(turn) - place[0] * math.sin(turn)
    y = 63.7 + place[1] * math.sin(turn) + place[0] * math.cos(turn)
    want = ndimage.map_coordinates(levels.astype(float), [y - 0.5, x - 0.5], order=1) / 65535
    # OpenCV rounds places to 1/32 pixel; neighbours differ by less than 4 % here
    np.testing.assert_allclose(got, want, atol=0.04 / 32 + 1e-4)


def test_a_window_is_dark_beyond_the_image():
    levels = np.full((40, 40), 65535, np.uint16)
    got = cut_window(patch_reader(levels), Window(0, 20, 20), 20)
    assert (got[:, :9] == 0).all() and (got[:, 11:] == 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_window_of_a_finding_overlaps_it(seed):
    draw = np.random.default_rng(seed)
    window = draw_window(draw, SQUARE, sides=(10, 40), degrees=30)
    assert SQUARE.overlap(window) > 0
    assert 10 <= window.side <= 40 and abs(window.degrees) <= 30
    wide = draw_window(draw, SQUARE, sides=(10, 40), min_overlap_px=80)
    assert SQUARE.overlap(wide) >= 80


def test_points_are_drawn_from_the_polygon_and_not_from_its_box():
    triangle = Outline(np.array([(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)]))
    draw = np.random.default_rng(0)
    points = np.array([triangle.draw_point(draw) for _ in range(300)])
    assert (points.sum(axis=1) <= 10 + 1e-5).all()
    assert abs(points.mean(axis=0) - 10 / 3).max() < 4 * 2.4 / math.sqrt(300)  # sd of a coordinate


def test_a_finding_is_scored_by_the_same_upright_windows_every_time():
    one, again = (windows_of_finding("f\ni", SQUARE, num=9, sides=(10, 40)) for _ in range(2))
    assert one == again != windows_of_finding("g\ni", SQUARE, num=9, sides=(10, 40))
    assert all(w.degrees == 0 and SQUARE.overlap(w) > 0 for w in one)


def test_maps_are_the_coverage_then_the_context():
    context = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    windows = [Window(20, 30, 20, 30), Window(10, 10, 10)]
    maps = grid_maps(windows, (60, 40), (3, 2), context)
    assert maps.shape == (2, 3, 3, 2)
    np.testing.assert_array_equal(maps[:, 1:], np.stack([context, context]))
    np.testing.assert_array_equal(maps[0, 0], coverage(windows[0].corners(), (60, 40), (3, 2)))
    upright = grid_maps(windows, (60, 40), (3, 2), None, upright=True)
    np.testing.assert_array_equal(
        upright[0, 0], coverage(Window(20, 30, 20).corners(), (60, 40), (3, 2))
    )
