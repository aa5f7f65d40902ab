"""Weighted sums of a table are those of the table with its rows repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.evaluate.sums import GroupCounts, Moments, above

SEEDS = st.integers(0, 10_000)


def drawn(seed, num=60, clusters=25):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(num), 1)  # many ties, some at thresholds
    weights = rng.integers(0, 4, clusters).astype(np.uint16)
    return scores, rng.random(num) < 0.4, rng.integers(0, clusters, num), weights


@settings(deadline=None)
@given(SEEDS, st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.55, 1.0, 2.0]), max_size=4))
def test_counts_above_thresholds_equal_a_loop(seed, given_thresholds):
    scores, positive, cluster, weights = drawn(seed)
    thresholds = np.array(given_thresholds, dtype=np.float64)
    groups = GroupCounts.above_thresholds(scores, positive, cluster, thresholds)
    row = np.empty(groups.width)
    groups.one(weights, row)
    counted, whole = above(row[None], thresholds)
    weight = weights[cluster].astype(float)
    for k in (0, 1):
        own = positive == bool(k)
        assert whole[k, 0, 0] == weight[own].sum()
        for i, threshold in enumerate(thresholds):
            assert counted[k, 0, i] == weight[own & (scores >= threshold)].sum()


@settings(deadline=None)
@given(SEEDS)
def test_moments_equal_numpy_on_the_repeated_table(seed):
    scores, positive, cluster, weights = drawn(seed)
    moments = Moments.of(scores, positive, cluster, num_bins=10)
    row = np.empty(moments.width)
    moments.one(weights, row)
    again = np.repeat(np.arange(len(scores)), weights[cluster])
    s, y = scores[again], positive[again].astype(float)
    want = [len(s), y.sum(), s.sum(), (s * y).sum(), ((s - y) ** 2).sum()]
    np.testing.assert_allclose(row[:5], want, atol=1e-9)
    bins = np.minimum(np.floor(s * 10 + 0.0), 9)
    for k in range(10):
        np.testing.assert_allclose(row[5 + 2 * k], y[bins == k].sum(), atol=1e-9)
        np.testing.assert_allclose(row[6 + 2 * k], s[bins == k].sum(), atol=1e-9)


def test_more_thresholds_than_a_byte_numbers_are_refused():
    scores, positive, cluster, _ = drawn(0)
    GroupCounts.above_thresholds(scores, positive, cluster, np.arange(127.0))
    with pytest.raises(ValueError, match="128 thresholds are too many"):
        GroupCounts.above_thresholds(scores, positive, cluster, np.arange(128.0))
