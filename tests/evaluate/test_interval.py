import numpy as np
import pytest
from scipy import stats

from fourview.evaluate.interval import interval


def test_metarepo_ends_are_elements_50_and_1950_of_2000():
    values = np.random.default_rng(0).permutation(2000).astype(float)
    ends = interval(values, "metarepo")
    assert (ends.low, ends.high, ends.num_used) == (50, 1950, 2000)


def test_percentile_ends_interpolate_and_undefined_replicates_are_left_out():
    values = np.append(np.arange(101.0), [np.nan, np.nan])
    ends = interval(values)
    assert (ends.low, ends.high, ends.num_used) == (2.5, 97.5, 101)
    assert interval(np.array([np.nan])).low is None


def test_an_interval_of_a_mean_agrees_with_scipy():
    sample = np.random.default_rng(1).exponential(size=40)
    draws = np.random.default_rng(2).integers(0, 40, size=(20_000, 40))
    got = interval(sample[draws].mean(axis=1))
    want = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    # both have Monte Carlo error: about 0.01 of a quantile at 2.5 % of 20,000 replicates
    assert got.low == pytest.approx(want.low, abs=0.015)
    assert got.high == pytest.approx(want.high, abs=0.03)
