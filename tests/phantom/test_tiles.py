import numpy as np
import pytest

from fourview.phantom.streams import clipped_normal, stream
from fourview.phantom.tiles import PADDED, SIDE, flat_tile, tile


@pytest.mark.parametrize("kind", ["power", "band"])
def test_a_tile_has_mean_zero_and_variance_one(kind):
    values = tile(kind, 1)
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)


def test_a_power_tile_holds_only_its_frequencies_and_falls_as_they_rise():
    spectrum = np.abs(np.fft.fftn(tile("power", 0))) ** 2
    f = np.fft.fftfreq(SIDE) * SIDE
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + f**2)
    inside = (radius >= 2) & (radius <= 20)
    assert spectrum[~inside].max() < 1e-6 * spectrum[inside].max()  # float32 rounding
    slope = np.polyfit(np.log(radius[inside]), np.log(spectrum[inside]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.1)  # amplitude -1.5; 30,000 exponential draws


def test_a_flat_tile_repeats_its_first_voxel_at_the_far_side():
    cube = flat_tile("band", 2).reshape(PADDED, PADDED, PADDED)
    assert (cube[SIDE] == cube[0]).all()
    assert (cube[:, :, SIDE] == cube[:, :, 0]).all()


def test_streams_are_their_names():
    first = stream(5, "anatomy", "L").random(4)
    assert (stream(5, "anatomy", "L").random(4) == first).all()
    for other in [(5, "anatomy", "R"), (6, "anatomy", "L"), (5, "anatomyL")]:
        assert (stream(*other).random(4) != first).any()


def test_a_clipped_draw_stays_inside():
    rng = stream(0, "clip")
    draws = [clipped_normal(rng, 0, 10, -1, 2) for _ in range(100)]
    assert min(draws) == -1
    assert max(draws) == 2
