"""Whether large values are dense is seen in the air around the breast."""

import numpy as np
import pytest

from fourview.dicom.polarity import LEAST_SIDE, air_is_dark


def picture(rows=200, cols=120, *, air=0, low=300, high=900):
    """A half disc of tissue at the left in even air."""
    y, x = np.mgrid[:rows, :cols]
    inside = (y - rows / 2) ** 2 + x**2 < (0.4 * rows) ** 2
    tissue = np.random.default_rng(0).integers(low, high, (rows, cols))
    return np.where(inside, tissue, air).astype(np.int32)


@pytest.mark.parametrize("shift", [0, -5000, 100_000])
def test_dark_and_bright_air_are_told_apart_wherever_the_values_lie(shift):
    dark = picture() + shift
    assert air_is_dark(dark, None) is True
    assert air_is_dark(dark.max() + dark.min() - dark, None) is False


def test_what_cannot_be_told_is_none():
    assert air_is_dark(picture(rows=LEAST_SIDE - 1, cols=60), None) is None  # too small
    assert air_is_dark(np.full((200, 100), 7), None) is None  # one value
    noise = np.random.default_rng(1).integers(0, 1000, (200, 100))
    assert air_is_dark(noise, None) is None  # tissue alone
    middle = picture(air=600, low=0, high=1000)
    assert air_is_dark(middle, None) is None  # neither the lowest nor the highest


def test_padding_is_no_air():
    values = picture()
    padded = np.pad(values, ((0, 0), (0, 60)), constant_values=4095)
    padding = np.zeros(padded.shape, dtype=bool)
    padding[:, 120:] = True
    assert air_is_dark(padded, padding) is True
    everything = np.ones(padded.shape, dtype=bool)
    assert air_is_dark(padded, everything) is None
