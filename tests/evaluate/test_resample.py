"""Replicates: the same for any number of workers, fair, and the meta-repository's own."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.utils import resample

from fourview.evaluate.interval import interval
from fourview.evaluate.ranks import AUPRC_TRAPEZOID, AUROC, RankStatistic
from fourview.evaluate.resample import Resampling, bootstrap, replicate_counts


def resampling(num_clusters, replicates, **settings):
    cluster = np.arange(num_clusters, dtype=np.int32)
    return Resampling(cluster=cluster, num_clusters=num_clusters, replicates=replicates, **settings)


def table(num_units, seed=0):
    rng = np.random.default_rng(seed)
    positive = rng.random(num_units) < 0.2
    return np.round(rng.normal(size=num_units) + positive, 2), positive


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_replicates(workers):
    statistic = RankStatistic.of(*table(300), np.arange(300) // 3)
    alone = bootstrap(statistic, resampling(100, 77))
    np.testing.assert_array_equal(bootstrap(statistic, resampling(100, 77, workers=workers)), alone)


def test_a_replicate_depends_on_its_number_and_seed_alone():
    few = [c.copy() for c in replicate_counts(resampling(50, 3))]
    many = [c.copy() for c in replicate_counts(resampling(50, 9))]
    other = [c.copy() for c in replicate_counts(resampling(50, 3, seed=1))]
    np.testing.assert_array_equal(few, many[:3])
    assert not np.array_equal(few, other)
    assert len({c.tobytes() for c in many}) == 9


def test_clusters_are_drawn_evenly_and_independently():
    replicates = 20_000
    drawn = np.array([c.copy() for c in replicate_counts(resampling(7, replicates))], dtype=float)
    # counts are multinomial: mean 1, variance 6/7, covariance -1/7; six standard errors
    error = 6 / replicates**0.5
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=error)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(7) - 1 / 7, atol=2 * error)


def test_metarepo_intervals_are_those_of_a_scikit_learn_loop_on_the_same_random_numbers():
    scores, positive = table(120)
    got = bootstrap(
        RankStatistic.of(scores, positive, np.arange(120)),
        resampling(120, 200, seed=7, stream="metarepo"),
    )
    np.random.seed(7)  # noqa: NPY002 - the loop of the meta-repository draws from the global one
    roc, prc = [], []
    for _ in range(200):
        s, y = resample(scores, positive, replace=True, n_samples=120)
        if len(np.unique(y)) < 2:
            continue
        roc.append(metrics.roc_auc_score(y, s))
        precision, recall, _ = metrics.precision_recall_curve(y, s)
        prc.append(metrics.auc(recall, precision))
    for column, values in ((AUROC, roc), (AUPRC_TRAPEZOID, prc)):
        ordered = sorted(values)
        ends = interval(got[1:, column], "metarepo")
        # the last digit that is printed anywhere; sums in another order differ by 1e-16
        assert round(ends.low, 14) == round(ordered[int(0.025 * len(ordered))], 14)
        assert round(ends.high, 14) == round(ordered[int(0.975 * len(ordered))], 14)


def test_metarepo_drops_replicates_of_one_class_and_counts_those_left():
    scores, positive = np.array([0.1, 0.2, 0.3, 0.9]), np.array([False, False, False, True])
    got = bootstrap(
        RankStatistic.of(scores, positive, np.arange(4)), resampling(4, 300, stream="metarepo")
    )[1:, AUROC]
    draws = np.random.RandomState(0)
    usable = sum(3 in (k := draws.randint(0, 4, size=4)) and k.min() < 3 for _ in range(300))
    assert interval(got, "metarepo").num_used == usable < 300
