"""What reaches the detector: beams, noise."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

import phantom_examples as examples
from fourview.phantom.physics import SKIN_MM, log_signal
from fourview.phantom.vendor import VENDORS, Detector
from phantom_examples import render


def test_the_log_signal_is_beer_lamberts_away_from_the_skin():
    flat = np.full((4, 4), 12, np.float32)
    calc = np.full((4, 4), 0.2, np.float32)
    deep = np.full((4, 4), 100, np.float32)
    signal, noise = log_signal(
        flat, calc, deep, ap=(60, 0, 0), thickness=50, vendor=VENDORS["A"], px=0.1
    )
    skin = 2 * 0.85 * (0.45 * 50 - (0.45 * 50 - SKIN_MM))
    want = (0.0802 - 0.0456) * 12 + (1.5 - 0.0456) * 0.2 + (0.080 - 0.0456) * skin
    assert signal == pytest.approx(want, rel=1e-5)
    arriving = 3e5 * 0.1**2 * np.exp(0.35 - want)  # photons in a pixel behind the breast
    assert noise == pytest.approx(arriving**-0.5, rel=1e-5)


def test_another_acquisition_changes_only_the_noise():
    of = examples.breast()
    first, again, other = (render(of, "CC", acquisition_seed=s) for s in (0, 0, 1))
    assert (first.pixels == again.pixels).all()
    assert (first.pixels != other.pixels).any()
    assert (first.mask == other.mask).all()
    inside = binary_erosion(first.mask, iterations=3)
    together = np.corrcoef(first.pixels[inside], other.pixels[inside])[0, 1]
    assert together > 0.99


def test_the_noise_power_falls_as_in_mammograms():
    slopes = []
    for seed in range(4):
        of = examples.breast(seed)
        got = render(of, "CC" if seed % 2 else "MLO", Detector((768, 384), 0.3))
        view = examples.view(of, "CC" if seed % 2 else "MLO", Detector((768, 384), 0.3))
        row, col = np.indices(got.mask.shape)
        x, _ = view.from_image((col + 0.5) * 0.3, (row + 0.5) * 0.3)
        slopes.append(slope(got.pixels, binary_erosion(got.mask, iterations=20) & (x > 12)))
    assert 2.2 < np.mean(slopes) < 3.3  # published 3.2, less the sharpening of presentation images


def slope(pixels, inside, px=0.3, side=85):
    """Exponent of the power spectrum between 0.15 and 0.7 /mm, of Hann-windowed squares."""
    window = np.hanning(side)[:, None] * np.hanning(side)
    power, images = np.zeros((side, side)), 0
    for r in range(0, pixels.shape[0] - side, side // 3):
        for c in range(0, pixels.shape[1] - side, side // 3):
            if inside[r : r + side, c : c + side].all():
                part = pixels[r : r + side, c : c + side].astype(float)
                power += abs(np.fft.fft2((part - part.mean()) * window)) ** 2
                images += 1
    assert images > 0
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side, px), np.fft.fftfreq(side, px)))
    band = (f > 0.15) & (f < 0.7)
    return -np.polyfit(np.log(f[band]), np.log(power[band]), 1)[0]
