"""The published way to the pectoral line, against plain numpy."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage

from fourview.preprocess.plain_hough import (
    BOTTOM,
    CANNY_LOW,
    CANNY_SIGMA,
    REFERENCE_ROWS,
    SMALL_ROWS,
    _accumulator,
    _edges,
    plain_hough,
)


def drawn(degrees=30.0, offset=60.0, size=(360, 200), dark=40, bright=200):
    """A bright triangle behind a line, with noise."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    t = math.radians(degrees)
    behind = x * math.cos(t) + y * math.sin(t) < offset
    noise = np.random.default_rng(0).normal(size=size) * 6
    return np.clip(np.where(behind, bright, dark) + noise, 1, 255).astype(np.uint8)


@pytest.mark.parametrize("degrees", [20, 35, 50])
def test_a_drawn_line_is_found(degrees):
    pixels = drawn(degrees, offset=55)
    line = plain_hough(pixels, np.ones(pixels.shape, dtype=bool))
    assert line[0] == pytest.approx(degrees, abs=2)  # whole degrees, and the blur of the edge
    assert line[1] == pytest.approx(55, abs=4)


def test_edges_have_a_step_whose_length_reaches_the_lower_threshold():
    """The length of the gradient, not the sum of its parts, which is up to 1.4 times as much."""
    rng = np.random.default_rng(1)
    texture = ndimage.gaussian_filter(rng.normal(size=(SMALL_ROWS, 180)), 4)
    small = np.clip(120 + 60 * texture / texture.std(), 1, 255).astype(np.uint8)
    part = SMALL_ROWS / REFERENCE_ROWS
    equal = cv2.equalizeHist(small)
    equal[round((1 - BOTTOM) * SMALL_ROWS) :] = 0
    smooth = cv2.GaussianBlur(equal, (0, 0), CANNY_SIGMA * part).astype(float)
    length = np.hypot(ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1))
    reaches = length >= CANNY_LOW * 255 / part - 1e-6
    edges = _edges(small)
    assert edges[4:-4, 4:-4].any()
    near = ndimage.binary_dilation(reaches, np.ones((3, 3)))  # edges are a pixel wider all round
    assert not (edges & ~near)[4:-4, 4:-4].any()  # the frame's border is each library's own


def test_counts_are_those_of_a_loop_over_pixels():
    edges = np.zeros((20, 12), dtype=bool)
    edges[3, 4] = edges[15, 9] = True
    counts = _accumulator(edges)
    diagonal = counts.shape[1] // 2
    assert counts.sum() == 180 * 2
    for degrees in (-90, -45, 0, 30, 89):
        t = math.radians(degrees)
        for row, col in ((3, 4), (15, 9)):
            offset = math.floor((col + 0.5) * math.cos(t) + (row + 0.5) * math.sin(t))
            assert counts[degrees + 90, offset + diagonal] >= 1


def test_nothing_is_found_in_an_even_picture():
    pixels = np.full((360, 200), 90, np.uint8)
    assert plain_hough(pixels, np.ones(pixels.shape, dtype=bool)) is None
