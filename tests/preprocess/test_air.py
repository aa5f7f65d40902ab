"""What air says: a constant is a digital image's, noise and haze are a film's."""

import cv2
import numpy as np
import pytest

from fourview.preprocess.air import air_is_flat, air_is_noisy, disc, holds_label, is_even

SHAPE = (448, 320)


def breast():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (((x / 150) ** 2 + ((y - 220) / 180) ** 2) < 1).astype(np.uint8)


def shown(air, noise=0.0):
    rng = np.random.default_rng(0)
    levels = np.where(breast() > 0, 180.0, air) + rng.normal(0, 1, SHAPE) * noise
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def test_constant_air_is_flat_and_a_gradient_is_not():
    assert air_is_flat(shown(0), breast())
    assert air_is_flat(shown(10, noise=5), breast())  # as much as codecs and dark films have
    assert not air_is_flat(shown(np.linspace(20, 120, SHAPE[1])[None, :]), breast())


def test_a_small_label_leaves_air_flat_and_a_long_one_does_not():
    small, long = shown(0), shown(0)
    small[20:50, 260:300] = 255
    long[20:300, 300:310] = 255
    assert air_is_flat(small, breast())
    assert not air_is_flat(long, breast())


@pytest.mark.parametrize(("noise", "noisy"), [(0, False), (1, False), (6, True)])
def test_the_noise_of_even_air_is_that_of_a_film(noise, noisy):
    assert air_is_noisy(shown(30, noise), breast()) == noisy


def test_a_label_is_not_noise():
    image = shown(0)
    image[20:50, 260:300] = 255
    assert not air_is_noisy(image, breast())


def test_without_air_there_is_no_noise():
    assert not air_is_noisy(shown(0), np.ones(SHAPE, np.uint8))


def test_what_is_even_holds_no_air():
    assert is_even(shown(0), breast())
    assert not is_even(shown(0), np.ones(SHAPE, np.uint8))


def test_a_label_is_what_one_of_two_masks_of_a_breast_has_more():
    with_label = breast()
    with_label[180:240, 140:200] = 1
    assert holds_label(with_label, breast())
    assert not holds_label(breast(), breast())
    assert not holds_label(cv2.dilate(breast(), disc(5)), breast())  # a rim of two pixels
    assert not holds_label(np.ones(SHAPE, np.uint8), breast())  # another thing than the breast
