"""Where the film is, in what a scanner saw."""

import cv2
import numpy as np
import pytest

from fourview.preprocess.film_area import film_area


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
