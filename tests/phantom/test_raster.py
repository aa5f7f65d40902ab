"""Splats and enlarging."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from fourview.phantom.raster import enlarge, splat


def test_a_splat_adds_its_volume_and_peaks_where_it_is():
    image = np.zeros((60, 80), np.float32)
    where = {"x": np.array([20.3]), "y": np.array([9.8])}
    splat(image, 0.5, **where, volume=np.array([7.0]), sigma=np.array([1.5]))
    assert image.sum() * 0.25 == pytest.approx(7, rel=0.04)  # cut at 2.7 sigma
    assert np.unravel_index(image.argmax(), image.shape) == (20, 41)  # 9.8 / 0.5, 20.3 / 0.5


def test_a_splat_finer_than_pixels_keeps_its_volume():
    image = np.zeros((9, 9), np.float32)
    splat(
        image, 2.0, x=np.array([8.0]), y=np.array([8.0]), volume=np.ones(1), sigma=np.array([0.01])
    )
    assert image.sum() * 4 == pytest.approx(1, rel=0.08)  # 0.45 px wide, sampled at its peak


def test_enlarging_agrees_with_scipy_and_takes_a_part_of_it():
    coarse = np.random.default_rng(0).random((12, 9)).astype(np.float32)
    want = zoom(coarse, 3, order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(enlarge(coarse, 3.0, (0, 36), (0, 27)), want, atol=1e-6)
    np.testing.assert_allclose(enlarge(coarse, 3.0, (5, 20), (4, 9)), want[5:20, 4:9], atol=1e-6)
