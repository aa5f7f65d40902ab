"""Random streams: the same for the same purpose, independent for others."""

import numpy as np
import pytest

from fourview.phantom.streams import clipped_lognormal, clipped_normal, stream


def first(*names, seed=7):
    return stream(seed, *names).random(64)


def test_a_purpose_has_its_own_numbers_for_ever():
    np.testing.assert_array_equal(first("anatomy", "L"), first("anatomy", "L"))
    others = [
        first("anatomy", "R"),
        first("anatomy"),
        first("noise", "L"),
        first("anatomy", "L", seed=8),
    ]
    for other in others:
        assert abs(np.corrcoef(first("anatomy", "L"), other)[0, 1]) < 0.5
        assert not np.array_equal(first("anatomy", "L"), other)


@pytest.mark.parametrize("draw", [clipped_normal, clipped_lognormal])
def test_draws_are_clipped_and_have_their_median(draw):
    rng = np.random.default_rng(0)
    values = [draw(rng, 10.0, 1.0, 8.0, 13.0) for _ in range(4000)]
    assert min(values) == 8.0 and max(values) == 13.0
    assert np.median(values) == pytest.approx(10, rel=0.05)  # 4,000 draws of that sd
