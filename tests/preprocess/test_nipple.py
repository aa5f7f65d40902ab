import math

import cv2
import numpy as np
import pytest

from ap_examples import angle, phantom
from fourview.preprocess.nipple import find_nipple


def half_ellipse(tip_x, tip_y, *, degrees=0.0, size=(400, 300)):
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    t = math.radians(degrees)
    along = (x - tip_x) * math.cos(t) + (y - tip_y) * math.sin(t)
    across = (y - tip_y) * math.cos(t) - (x - tip_x) * math.sin(t)
    return ((along + 180) / 180) ** 2 + (across / 140) ** 2 < 1


@pytest.mark.parametrize("degrees", [0, 15, 30])
def test_finds_the_tip_along_the_axis(degrees):
    nipple = find_nipple(half_ellipse(240, 215, degrees=degrees), degrees=degrees)
    # An ellipse is flat within 1 pixel for 15 pixels to either side of its tip
    assert nipple == pytest.approx((240, 215), abs=3)


def test_size_does_not_matter():
    mask = half_ellipse(240, 215)
    large = cv2.resize(mask.view(np.uint8), None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST) > 0
    small_x, small_y = find_nipple(mask)
    assert find_nipple(large) == pytest.approx((4 * small_x, 4 * small_y), abs=8)


@pytest.mark.parametrize("seed", [60, 61])
def test_is_near_the_truth_of_phantoms(seed):
    for image, done in phantom(seed):
        degrees = angle(image, done)
        x, y = find_nipple(done.mask, degrees=degrees)
        off = (np.array([x, y]) - done.geometry.to_processed(np.array(image.truth.nipple))) * 0.9
        t = math.radians(degrees)
        along, across = off @ (math.cos(t), math.sin(t)), off @ (-math.sin(t), math.cos(t))
        assert abs(across) < 3  # mm; the base of the nipple is 8 to 13 mm wide
        assert -2 < along < 7  # truth is its base; it stands out by up to 5 mm


def test_an_empty_mask_has_none():
    assert find_nipple(np.zeros((50, 50), bool)) is None
    speck = np.zeros((50, 50), bool)
    speck[3:6, 3:40] = True
    assert find_nipple(speck) is None
