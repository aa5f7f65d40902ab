"""How well scores are probabilities: against scikit-learn and a loop over bins."""

import numpy as np
import pytest
from sklearn import metrics

from fourview.evaluate.calibration import brier, calibration_curve, calibration_error

SUMS = 1e-12  # float64 sums of a few hundred terms in another order


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
