"""Areas of a table of units, and the difference of two of its columns, beside scikit-learn's."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fourview.errors import EvaluationError
from fourview.evaluate.several_runs import rows_of_units


def table(seed):
    make = np.random.default_rng(seed)
    known = make.random(60) < 0.5
    return pl.DataFrame(
        {
            "patient_id": [f"p{i // 2}" for i in range(60)],
            "mean": known + make.normal(size=60),
            "single": known + 2 * make.normal(size=60),
            "known": known,
        }
    )


def areas(one):
    return [roc_auc_score(one["known"], one[name]) for name in ("mean", "single")]


def test_an_area_is_of_the_named_column_and_less_that_of_another():
    ways = {"a": {0: table(0), 1: table(1)}}
    alone = rows_of_units(ways, "area", column="mean", statistic="auroc", replicates=20)
    gain = rows_of_units(
        ways, "gain", column="mean", less="single", statistic="auroc", replicates=20
    )
    for seed, one in ways["a"].items():
        mean, single = areas(one)
        assert alone["a"][seed][0] == pytest.approx(mean)
        assert gain["a"][seed][0] == pytest.approx(mean - single)
    single = rows_of_units(ways, "one", column="single", statistic="auroc", replicates=20)
    for seed in (0, 1):  # replicate by replicate: the same patients are drawn for both columns
        np.testing.assert_allclose(gain["a"][seed], alone["a"][seed] - single["a"][seed])


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(EvaluationError, match="no column score"):
        rows_of_units({"a": {0: table(0)}}, "area", statistic="auroc", replicates=2)
