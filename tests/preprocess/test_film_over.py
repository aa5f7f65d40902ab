"""Labels over the skin: on grey film, on black film and on digital images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fourview.preprocess.breast import find_breast, mask_without_film
from fourview.preprocess.film_fan import FAN, RAYS, Fan
from fourview.preprocess.film_over import CLEAR, _course, _plane, _rim, _rises, clearness
from mammogram_examples import breast_pixels, image_of, overlap

ANGLE = np.linspace(-0.5, 0.5, RAYS) * np.pi * FAN


def beyond(truth, box):
    """Where a label covers no breast."""
    y0, y1, x0, x1 = box
    label = np.zeros(truth.shape, bool)
    label[y0:y1, x0:x1] = True
    return label & ~truth


def at_skin(truth, row, height, width, inside):
    """A box whose middle row's left end lies ``inside`` pixels within the skin."""
    edge = int(np.flatnonzero(truth[row])[-1])
    return row - height // 2, row + height // 2, edge - inside, edge - inside + width


@pytest.mark.parametrize("shape", ["circle", "line", "ellipse"])
def test_the_skin_goes_on_under_a_label_as_it_bends_beside_it(shape):
    if shape == "circle":
        true = np.full(RAYS, 120.0)
    elif shape == "line":
        true = 100 / np.cos(0.55 * ANGLE)  # bends little
    else:
        true = 1 / np.sqrt((np.cos(ANGLE) / 100) ** 2 + (np.sin(ANGLE) / 150) ** 2)
    radii = true.copy()
    radii[50:75] += 30  # a label
    shows = np.ones(RAYS)
    shows[50:75] = 0
    course = _course(np.rint(radii).astype(np.intp), shows, np.full(RAYS, 400))
    assert np.abs(course - true)[5:-5].max() < 2  # radii are whole pixels


def test_what_sticks_out_without_being_told_counts_less():
    radii = np.full(RAYS, 120)
    radii[60:75] = 150
    course = _course(radii, np.ones(RAYS), np.full(RAYS, 400))
    plain = _course(np.full(RAYS, 120), np.ones(RAYS), np.full(RAYS, 400))
    assert np.abs(course - plain).max() < 12  # well under half of the 30 that stick out


def test_the_air_is_a_plane_through_most_of_its_levels():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-150, 150, (2, RAYS))
    level = 0.3 + 0.001 * x - 0.0005 * y
    true = level.copy()
    level[20:60] = 0.9  # labels
    level[100:110] = np.nan
    np.testing.assert_allclose(_plane(x, y, level), true, atol=0.02)  # weights never reach 0


def test_a_plate_beside_the_muscle_of_an_oblique_view_is_left_out():
    pixels, truth = breast_pixels(position="MLO", air=700, noise=25)
    pixels = (pixels + np.linspace(300, 0, len(pixels))[:, None]).astype(np.uint16)  # haze
    box = at_skin(truth, 120, 70, 90, 15)
    pixels[box[0] : box[1], box[2] : box[3]] = 2600
    breast = find_breast(image_of(pixels, position="MLO"))
    assert breast.on_film
    assert (breast.mask & beyond(truth, box)).sum() < 0.01 * truth.sum()
    assert overlap(breast.mask, truth) > 0.93


def test_two_labels_side_by_side_are_left_out():
    pixels, truth = breast_pixels(air=700, noise=25)
    pixels = (pixels + np.linspace(0, 300, len(pixels))[:, None]).astype(np.uint16)
    boxes = [at_skin(truth, 520, 60, 70, 10), at_skin(truth, 590, 60, 100, 10)]
    for y0, y1, x0, x1 in boxes:
        pixels[y0:y1, x0:x1] = 3000
    breast = find_breast(image_of(pixels))
    for box in boxes:
        assert (breast.mask & beyond(truth, box)).sum() < 0.01 * truth.sum()
    assert overlap(breast.mask, truth) > 0.93


def test_a_nipple_is_no_label():
    pixels, truth = breast_pixels()
    edge = int(np.flatnonzero(truth[416])[-1])
    nipple = np.zeros(truth.shape, np.uint8)
    cv2.ellipse(nipple, (edge, 416), (16, 14), 0, 0, 360, 1, -1)
    pixels = np.where((nipple > 0) & ~truth, 1500, pixels).astype(np.uint16)
    image = image_of(pixels)
    np.testing.assert_array_equal(find_breast(image).mask, mask_without_film(image))


def disc_on(air, tape=None):
    """A half disc of 0.7 on air, its fan and its true radii; perhaps with tape over its corner."""
    y, x = np.mgrid[0:400, 0:300]
    inside = (x**2 + (y - 200) ** 2) < 120**2
    shown = np.where(inside, 0.7, air).astype(np.float32)
    if tape is not None:
        shown[60:110, :80] = np.where(inside[60:110, :80], 0.7, tape)
    fan = Fan.of(shown, np.ones(shown.shape, bool), (0.0, 0.0), 200.0)
    return fan, np.full(RAYS, 120, np.intp)


def test_an_outline_is_clear_where_the_level_falls_at_it_and_nowhere_else():
    fan, radii = disc_on(0.2)
    assert clearness(fan, radii) == pytest.approx(1.0)
    assert clearness(fan, radii - 40) == pytest.approx(0.0, abs=0.01)  # in the tissue
    assert clearness(fan, radii + 40) == pytest.approx(0.0, abs=0.01)  # in the air
    fan, radii = disc_on(0.64)
    assert clearness(fan, radii) == pytest.approx(0.06 / CLEAR, abs=0.02)


def test_tape_darker_than_the_air_is_not_followed():
    fan, radii = disc_on(0.4, tape=0.3)
    radii[20:40] = 150  # along the tape's edge
    edge = disc_on(0.4)[0].level.copy()
    edge[20:40, :120], edge[20:40, 120:150], edge[20:40, 150:] = 0.7, 0.3, 0.4
    fan = replace(fan, level=edge)
    rises = _rises(_rim(fan, radii))
    assert rises[20:40].all() and rises.sum() == 20
    edge[20:40, 150:] = 1.0  # beyond it is a margin
    assert not _rises(_rim(replace(fan, level=edge), radii)).any()
