"""The ROC curve, its area and points on it, against scikit-learn and loops."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics

from fourview.evaluate import auc
from scored_sets import tied_tables

SUMS = 1e-12  # float64 sums of a few hundred terms in another order


@pytest.mark.parametrize(("scores", "positive"), tied_tables())
def test_areas_equal_scikit_learn(scores, positive):
    assert auc.auroc(scores, positive) == pytest.approx(
        metrics.roc_auc_score(positive, scores), abs=SUMS
    )


@pytest.mark.parametrize(("scores", "positive"), tied_tables())
def test_curves_equal_scikit_learn(scores, positive):
    fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    x, y = auc.roc_curve(scores, positive)
    np.testing.assert_allclose([x, y], [fpr, tpr], atol=SUMS)


@pytest.mark.parametrize(("scores", "positive"), tied_tables())
def test_partial_area_is_the_integral_of_specificity_over_high_sensitivities(scores, positive):
    fpr, tpr = auc.roc_curve(scores, positive)
    knots = np.unique(np.append(np.clip(tpr, 0.8, 1), [0.8, 1.0]))
    total = 0.0
    for low, high in pairwise(knots):
        middle = (low + high) / 2  # specificity is linear between knots: the midpoint is exact
        k = np.searchsorted(tpr, middle)
        share = (middle - tpr[k - 1]) / (tpr[k] - tpr[k - 1])
        total += (high - low) * (1 - (fpr[k - 1] + share * (fpr[k] - fpr[k - 1])))
    assert auc.partial_auc(scores, positive) == pytest.approx(total / 0.2, abs=SUMS)


def test_partial_area_by_chance_is_a_tenth():
    positive = np.tile([True, False], 500)
    assert auc.partial_auc(np.zeros(1000), positive) == pytest.approx(0.1, abs=SUMS)


@pytest.mark.parametrize("sensitivity", [0.5, 0.8, 0.85, 1.0])
def test_specificity_is_read_at_the_first_vertex_that_reaches_the_sensitivity(sensitivity):
    for scores, positive in tied_tables():
        fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
        first = next(k for k in range(len(tpr)) if tpr[k] >= sensitivity - 1e-9)
        got = auc.specificity_at_sensitivity(scores, positive, sensitivity)
        assert got == pytest.approx(1 - fpr[first], abs=SUMS)
        near = int(np.argmin(np.abs(tpr - sensitivity)))
        got = auc.specificity_near_sensitivity(scores, positive, sensitivity)
        assert got == pytest.approx(1 - fpr[near], abs=SUMS)


@pytest.mark.parametrize(("fnr", "missed"), [(0.0, 0), (0.01, 1), (0.02, 2), (0.03, 4), (0.05, 6)])
def test_true_negative_rate_of_136_lesions_misses_as_many_as_the_paper_says(fnr, missed):
    rng = np.random.default_rng(3)
    positive = np.arange(600) < 136
    scores = np.round(rng.normal(size=600) + positive, 2)
    threshold = np.sort(scores[positive])[missed]
    want = np.mean(scores[~positive] < threshold)
    assert auc.tnr_at_fnr(scores, positive, fnr) == pytest.approx(want, abs=SUMS)


def test_one_class_has_no_area():
    scores = np.array([0.1, 0.7, 0.7])
    for positive in (np.zeros(3, dtype=bool), np.ones(3, dtype=bool)):
        assert np.isnan(auc.auroc(scores, positive))
        assert np.isnan(auc.partial_auc(scores, positive))
        assert np.isnan(auc.tnr_at_fnr(scores, positive, 0.1))
