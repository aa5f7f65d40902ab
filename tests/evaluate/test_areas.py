"""Areas and operating points against scikit-learn and against loops over pairs."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics

from fourview.evaluate import auc, pr
from fourview.evaluate.calibration import brier, calibration_curve, calibration_error
from fourview.evaluate.decision import decision_curves, net_benefit
from fourview.evaluate.operating import choose_threshold
from fourview.evaluate.ranks import AUPRC_TRAPEZOID, AUROC, AVERAGE_PRECISION, RankStatistic

SUMS = 1e-12  # float64 sums of a few hundred terms in another order


def tables():
    rng = np.random.default_rng(1)
    out = []
    for num_units, decimals in ((400, 12), (400, 1), (400, 0), (31, 1), (2, 12)):
        positive = rng.random(num_units) < 0.3
        positive[:2] = True, False
        out.append((np.round(rng.normal(size=num_units) + positive, decimals), positive))
    return out


@pytest.mark.parametrize(("scores", "positive"), tables())
def test_areas_equal_scikit_learn(scores, positive):
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    assert auc.auroc(scores, positive) == pytest.approx(
        metrics.roc_auc_score(positive, scores), abs=SUMS
    )
    assert pr.average_precision(scores, positive) == pytest.approx(
        metrics.average_precision_score(positive, scores), abs=SUMS
    )
    assert pr.auprc_trapezoid(scores, positive) == pytest.approx(
        metrics.auc(recall, precision), abs=SUMS
    )


@pytest.mark.parametrize(("scores", "positive"), tables())
def test_curves_equal_scikit_learn(scores, positive):
    fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    x, y = auc.roc_curve(scores, positive)
    np.testing.assert_allclose([x, y], [fpr, tpr], atol=SUMS)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    x, y = pr.pr_curve(scores, positive)
    np.testing.assert_allclose([x, y], [recall[::-1], precision[::-1]], atol=SUMS)


@pytest.mark.parametrize(("scores", "positive"), tables())
def test_a_weighted_row_equals_scikit_learn_on_the_repeated_table(scores, positive):
    counts = np.random.default_rng(2).integers(0, 4, len(scores)).astype(np.uint16)
    counts[:2] = 1
    statistic = RankStatistic.of(scores, positive, np.arange(len(scores)))
    row = np.empty(statistic.width)
    statistic.one(counts, row)
    again = np.repeat(np.arange(len(scores)), counts)
    precision, recall, _ = metrics.precision_recall_curve(positive[again], scores[again])
    want = {
        AUROC: metrics.roc_auc_score(positive[again], scores[again]),
        AVERAGE_PRECISION: metrics.average_precision_score(positive[again], scores[again]),
        AUPRC_TRAPEZOID: metrics.auc(recall, precision),
    }
    for column, value in want.items():
        assert row[column] == pytest.approx(value, abs=SUMS)


@pytest.mark.parametrize(("scores", "positive"), tables())
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
    for scores, positive in tables():
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
        assert np.isnan(pr.average_precision(scores, positive))
        assert np.isnan(auc.partial_auc(scores, positive))
        assert np.isnan(auc.tnr_at_fnr(scores, positive, 0.1))


def test_brier_equals_scikit_learn_and_calibration_error_a_loop_over_bins():
    rng = np.random.default_rng(4)
    scores, positive = rng.random(500), rng.random(500) < 0.4
    scores[:2] = 0.0, 1.0
    want = 0.0
    for k in range(10):
        inside = (scores >= k / 10) & ((scores < (k + 1) / 10) | (k == 9))
        want += inside.mean() * abs(scores[inside].mean() - positive[inside].mean())
    assert brier(scores, positive) == pytest.approx(metrics.brier_score_loss(positive, scores))
    assert calibration_error(scores, positive) == pytest.approx(want, abs=SUMS)


def test_calibration_curve_keeps_equal_scores_together_and_loses_no_unit():
    scores = np.repeat([0.1, 0.5, 0.9], [50, 5, 45])
    positive = np.tile([True, False], 50)
    curve = calibration_curve(scores, positive)
    assert len(curve.x) == len(np.unique(curve.x))
    assert np.all((curve.low <= curve.y) & (curve.y <= curve.high))


def test_net_benefit_counts_what_is_acted_on():
    scores = np.array([0.1, 0.3, 0.3, 0.8])
    positive = np.array([False, True, False, True])
    got = net_benefit(scores, positive, np.array([0.3, 0.5]))
    np.testing.assert_allclose(got, [2 / 4 - 1 / 4 * 0.3 / 0.7, 1 / 4])
    model, everyone = decision_curves(scores, positive)
    assert model.y[0] == everyone.y[0] == positive.mean()  # at 0 everyone is recalled


def test_a_chosen_threshold_meets_its_rule_and_the_next_one_would_not():
    rng = np.random.default_rng(5)
    positive = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + positive, 1)
    steps = np.unique(scores)
    cut = choose_threshold(scores, positive, "sensitivity-0.90")
    assert np.mean(scores[positive] >= cut) >= 0.9
    assert np.mean(scores[positive] >= steps[steps > cut][0]) < 0.9
    cut = choose_threshold(scores, positive, "specificity-0.90")
    assert np.mean(scores[~positive] < cut) >= 0.9
    assert np.mean(scores[~positive] < steps[steps < cut][-1]) < 0.9
    assert choose_threshold(scores, np.zeros(300, dtype=bool), "youden") is None
