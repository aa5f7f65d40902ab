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


@pytest.mark.parametrize("stop", [0.1, 0.3])
def test_a_margin_that_a_piece_of_tape_crosses_is_no_film(stop):
    make = np.random.default_rng(0)
    shown = np.full((192, 144), 0.25, np.float32)
    y, x = np.mgrid[0:192, 0:144]
    shown[((x / 70) ** 2 + ((y - 100) / 80) ** 2) < 1] = 0.7
    shown[:8] = 1.0  # where no light fell
    shown[:16, : round(stop * 144)] = 0.6  # tape beside the axilla
    shown += make.normal(0, 0.005, shown.shape).astype(np.float32)
    area = film_area(shown)
    assert area[10:].all()
    assert area[:7].mean() < 0.05


def test_a_margin_that_is_dark_in_several_places_is_film():
    """Labels along the film's edge: what lies between them is no margin for that."""
    shown = np.full((192, 144), 0.25, np.float32)
    shown[:8] = 1.0
    for start in range(0, 144, 36):
        shown[:16, start : start + 12] = 0.6
    assert film_area(shown).all()


@pytest.mark.parametrize("tilt", [0.03, -0.03])
def test_a_thin_margin_that_leaves_the_picture_is_no_film_and_a_muscle_is(tilt):
    shown = np.full((192, 144), 0.4, np.float32)
    y, x = np.mgrid[0:192, 0:144]
    shown[(x > 90) & (y < 100)] = 0.75  # the axilla
    inner = 1.5 + tilt * (x - 72)  # its end is at -0.7
    shown[y < inner] = 1.0
    area = film_area(shown)
    assert area[6:].all()
    assert area[(y < inner - 1) & (y > 0)].mean() < 0.05
    shown[:] = 0.4
    shown[y < 20 + 12 * inner] = 1.0  # a wide one of the same kind: nothing says what it is
    assert film_area(shown).all()


def half_disc(level, height=70):
    y, x = np.mgrid[0:192, 0:144]
    shown = np.full((192, 144), 0.25, np.float32)
    shown[(((x - 10) / 80) ** 2 + ((y - 96) / height) ** 2) < 1] = level
    return shown


@pytest.mark.parametrize("grey", [0.45, 0.05])
def test_a_grey_bed_at_the_chest_wall_is_no_film(grey):
    shown = half_disc(0.7)
    shown[:, :10] = grey
    area = film_area(shown)
    assert area[:, 11:].all()
    assert not area[:, :8].any()


def test_light_at_the_chest_wall_is_film_and_a_margin_as_white_is_none():
    """Light adds to what is under it: white over tissue, grey over air. A margin is white."""
    light = half_disc(0.75, height=88)
    light[:, :10] = np.minimum(light[:, 10:11] + 0.3, 1.0)
    assert film_area(light).all()
    margin = half_disc(0.75, height=88)
    margin[:, :10] = 1.0
    assert not film_area(margin)[:, :9].any()
