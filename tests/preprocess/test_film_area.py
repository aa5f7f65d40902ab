"""Where the film is, in what a scanner saw."""

import cv2
import numpy as np
import pytest

from fourview.preprocess.film_area import film_area, without_rest


@pytest.mark.parametrize("degrees", [0.0, 4.0])
def test_a_bright_bed_is_no_film_even_where_the_film_lies_askew(degrees):
    film_pixels = np.full((192, 144), 0.2, np.float32)
    y, x = np.mgrid[0:192, 0:144]
    film_pixels[((x / 60) ** 2 + ((y - 96) / 60) ** 2) < 1] = 0.7
    matrix = cv2.getRotationMatrix2D((72, 96), degrees, 1.0)
    matrix[:, 2] += (12, 12)
    scan = cv2.warpAffine(film_pixels, matrix, (168, 216), borderValue=1.0)
    inside = cv2.warpAffine(np.ones_like(film_pixels), matrix, (168, 216)) > 0.5
    area = film_area(scan)
    assert area[cv2.erode(inside.astype(np.uint8), np.ones((7, 7))) > 0].mean() > 0.99
    assert area[~inside].mean() < 0.12  # corners are cut by straight lines


def test_tissue_at_the_chest_wall_is_no_margin():
    shown = np.full((192, 144), 0.1, np.float32)
    y, x = np.mgrid[0:192, 0:144]
    shown[x < 50 - y * 0.2] = 0.9  # a muscle, bright and even
    assert film_area(shown).all()


def test_a_margin_that_is_not_straight_leaves_no_rest():
    shown = np.full((400, 300), 0.6, np.float32)
    ragged = (6 + 3 * np.sin(np.arange(400) / 9)).astype(int)  # margin's width by row
    margin = np.arange(300)[None, :] < ragged[:, None]
    shown[margin] = 1.0
    valid = np.ones(shown.shape, bool)
    valid[:, :3] = False  # as far as a straight line goes
    assert not without_rest(shown, valid)[margin].any()
    assert without_rest(shown, valid)[:, 12:].all()
    shown[:] = 1.0  # tissue as bright as the margin: nothing says where that ends
    np.testing.assert_array_equal(without_rest(shown, valid), valid)
