"""The precision-recall curve and its two areas, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from fourview.evaluate import pr
from scored_sets import tied_tables

SUMS = 1e-12  # float64 sums of a few hundred terms in another order


@pytest.mark.parametrize(("scores", "positive"), tied_tables())
def test_areas_below_precision_equal_scikit_learn(scores, positive):
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    assert pr.average_precision(scores, positive) == pytest.approx(
        metrics.average_precision_score(positive, scores), abs=SUMS
    )
    assert pr.auprc_trapezoid(scores, positive) == pytest.approx(
        metrics.auc(recall, precision), abs=SUMS
    )
    x, y = pr.pr_curve(scores, positive)
    np.testing.assert_allclose([x, y], [recall[::-1], precision[::-1]], atol=SUMS)
    assert np.isnan(pr.average_precision(scores, np.zeros(len(scores), dtype=bool)))
