"""Channels that show grey: the rule against a loop over pixels. Files: tests/field_cases."""

import numpy as np
import pytest

from fourview.dicom.colours import NEARLY_GREY, channels_apart, one_grey, shows_grey
from fourview.dicom.elements import Elements
from fourview.dicom.modality import PixelFormat
from fourview.errors import ColourError

FORMAT = PixelFormat(size=(9, 7), allocated=8, stored=8, shift=0, signed=False, channels=3)


def channels(most, seed=0):
    """A grey texture whose channels are up to ``most`` levels off."""
    make = np.random.default_rng(seed)
    grey = make.integers(20, 230, (9, 7, 1))
    return (grey + make.integers(0, most + 1, (9, 7, 3))).astype(np.uint8)


def test_the_largest_difference_is_that_of_a_loop():
    values = channels(9)
    want = max(max(map(int, pixel)) - min(map(int, pixel)) for row in values for pixel in row)
    assert channels_apart(values) == want


@pytest.mark.parametrize("most", [0, 2, 4, 5, 9])
def test_rgb_is_grey_up_to_four_levels_of_255(most):
    values = channels(most)
    is_grey = channels_apart(values) <= NEARLY_GREY * 255
    assert is_grey == (most <= 4)
    assert shows_grey(values, FORMAT) == is_grey
    if not is_grey:
        with pytest.raises(ColourError):
            one_grey(values, FORMAT, Elements(), [])
        return
    notes = []
    found, layout = one_grey(values, FORMAT, Elements(), notes)
    assert np.array_equal(found, values[..., 1])
    assert layout.for_screen
    assert notes


@pytest.mark.parametrize("off", [0, 1, 2, 5])
def test_ybr_is_grey_by_the_colours_that_it_stands_for(off):
    """By the equations of PS3.3 C.7.6.3.1.2: a blue difference moves blue and green."""
    values = channels(0)
    values[..., 1:] = 128
    values[4, 4, 1] = 128 + off
    green, blue = -0.3441 * off, 1.772 * off
    assert shows_grey(values, FORMAT) == (blue - green <= NEARLY_GREY * 255)
