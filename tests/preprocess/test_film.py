import numpy as np
import pytest

from fourview.entities import Image, View
from fourview.phantom.exam import film_image, make_exam
from fourview.phantom.film_draws import draw_film
from fourview.phantom.lesions import Contents
from fourview.preprocess.breast import find_breast, mask_without_film
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import SPECS
from mammogram_examples import breast_pixels, image_of, overlap
from phantom_examples import breast

SPEC = SPECS["mvccl-192x96"]


def entity(phantom, side=None):
    return Image(
        image_id="1",
        patient_id="p",
        exam_id="e",
        view=View(side=side or phantom.side, position=phantom.position),
        pixels=phantom.pixels,
        stored_size=phantom.pixels.shape,
        bits=phantom.bits,
        value_range=(0.0, float(2**phantom.bits - 1)),
        spacing_mm=None,
        bright_is_dense=phantom.photometric == "MONOCHROME2",
    )


def film(seed, side="L", position="CC", kind="usual"):
    of = breast(seed=seed, side=side, density="abcd"[seed % 4])
    draws = draw_film(seed, side, position, kind)
    return film_image(of, position, draws, contents=Contents((), ()), rows=320, image_id="1")


@pytest.mark.parametrize("kind", ["usual", "odd"])
def test_films_keep_the_breast_and_tell_its_side(kind):
    ious, walls = [], []
    for seed in range(400, 404):
        phantom = film(seed, "LR"[seed % 2], ("CC", "MLO")[seed // 2 % 2], kind)
        breast = find_breast(entity(phantom))
        ious.append(overlap(breast.mask, phantom.film.mask))
        walls.append(breast.chest_wall == phantom.film.wall)
    assert np.median(ious) > 0.93  # the benchmark has the figures of many
    assert all(walls)


def test_digital_images_keep_their_masks_to_the_bit():
    for vendor in "AB":
        exam = make_exam(4, "miniature", rows=224, vendor=vendor)
        for image in exam.images:
            breast = find_breast(exam.entity(image))
            assert not breast.on_film
            np.testing.assert_array_equal(breast.mask, mask_without_film(exam.entity(image)))


@pytest.mark.parametrize("header", ["L", "R"])
def test_the_pixels_win_over_the_header_and_say_how_sure_they_are(header):
    phantom = film(412)
    wall = phantom.film.wall
    done = process(entity(phantom, header), SPEC)
    assert done.geometry.is_mirrored == (wall == "right")
    said = " ".join(done.notes)
    assert "certainty 0." in said or "certainty 1." in said
    agrees = wall == {"L": "left", "R": "right"}[header]
    assert (f"though the header's side is {header}" in said) != agrees


def test_the_header_wins_where_the_pixels_are_silent():
    rows, cols = 448, 336  # the same from both sides
    y, x = np.mgrid[0:rows, 0:cols]
    disc = ((x - cols / 2 + 0.5) / 110) ** 2 + ((y - rows / 2 + 0.5) / 150) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 20, disc.shape)
    pixels = (np.where(disc, 2500, 500) + noise + noise[:, ::-1]).clip(0, 4095).astype(np.uint16)
    for side in "LR":
        done = process(image_of(pixels, side=side), SPEC)
        assert done.geometry.is_mirrored == (side == "R")
        assert any("do not show the chest wall's side" in note for note in done.notes)


def test_a_mirrored_film_has_the_mirrored_side():
    phantom = film(417, position="MLO")
    image = entity(phantom)
    flipped = image_of(
        np.ascontiguousarray(phantom.pixels[:, ::-1]), bright_is_dense=image.bright_is_dense
    )
    there, here = find_breast(flipped), find_breast(image)
    assert {there.chest_wall, here.chest_wall} == {"left", "right"}
    assert overlap(there.mask[:, ::-1], here.mask) > 0.97  # rays and levels are not symmetric


def test_a_label_that_touches_the_skin_of_a_grey_film_is_left_out():
    pixels, truth = breast_pixels(air=500, noise=25)
    pixels = (pixels + np.linspace(0, 400, len(pixels))[:, None]).astype(np.uint16)  # haze
    edge = int(np.flatnonzero(truth[416])[-1])
    pixels[380:450, edge - 4 : edge + 90] = 3900
    breast = find_breast(image_of(pixels))
    assert breast.on_film
    beyond = np.zeros(truth.shape, bool)
    beyond[380:450, edge - 4 : edge + 90] = True
    assert (breast.mask & beyond & ~truth).sum() < 0.01 * truth.sum()
    assert overlap(breast.mask, truth) > 0.93


def test_a_film_on_a_black_bed_is_not_taken_for_the_breast():
    pixels, truth = breast_pixels(air=900, noise=25)
    bed = np.zeros((960, 760), np.uint16)
    bed[60:892, 60:700] = pixels
    breast = find_breast(image_of(bed))
    assert breast.chest_wall == "left"
    assert overlap(breast.mask[60:892, 60:700], truth) > 0.93


def test_a_small_breast_on_film_as_even_as_one_is_traced():
    """The film's rectangle holds nearly one level; a frame that a breast fills has no outline."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:448, 0:360]
    breast = ((x - 20) ** 2 + (y - 220) ** 2 < 75**2) & (x >= 20)
    levels = np.full((448, 360), 100.0)
    levels[20:430, 20:340] = 2600
    levels[breast] = 3600
    pixels = np.clip(levels + rng.normal(0, 20, levels.shape), 0, 4095).astype(np.uint16)
    traced = find_breast(image_of(pixels))
    assert traced.on_film and traced.chest_wall == "left"
    assert overlap(traced.mask, breast) > 0.85
    filled = np.clip(2600 + rng.normal(0, 20, levels.shape), 0, 4095).astype(np.uint16)
    filled[:2] = filled[-2:] = 0
    assert not find_breast(image_of(filled)).on_film
