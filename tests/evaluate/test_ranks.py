"""All areas of a weighted table are those of the table with its rows repeated."""

import numpy as np
import pytest
from sklearn import metrics

from fourview.evaluate.ranks import AUPRC_TRAPEZOID, AUROC, AVERAGE_PRECISION, RankStatistic
from scored_sets import tied_tables

SUMS = 1e-12  # float64 sums of a few hundred terms in another order


@pytest.mark.parametrize(("scores", "positive"), tied_tables())
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
