"""Intervals over seeds and patients, against a slow loop that draws both."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fourview.errors import EvaluationError
from fourview.evaluate.several_runs import over_runs, rows_of_units

PATIENTS, UNITS = 40, 120


def tables(seed: int, shift: float = 0.0) -> dict[int, pl.DataFrame]:
    """Hits of three runs on the same units, three a patient."""
    stream = np.random.default_rng(seed)
    who = [f"p{n % PATIENTS:02d}" for n in range(UNITS)]
    return {
        run: pl.DataFrame(
            {
                "patient_id": who,
                "hit": stream.normal(shift + 0.2 * run, 1, UNITS),
                "chance": np.full(UNITS, 0.1),
                "score": stream.random(UNITS),
                "known": stream.random(UNITS) < 0.4,
            }
        )
        for run in range(3)
    }


def test_the_value_is_the_mean_over_runs_of_the_mean_over_units():
    given = {"one": tables(1)}
    (result,) = over_runs(
        rows_of_units(given, "hits", column="hit", less="chance"),
        "hits",
        reference=None,
        draw_runs=True,
    )
    means = [table["hit"].mean() - 0.1 for table in given["one"].values()]
    assert result.per_run == pytest.approx(means)
    assert result.metric.value == pytest.approx(np.mean(means))


def test_unknown_units_are_left_out_and_not_counted_as_nothing():
    table = pl.DataFrame({"patient_id": ["a", "b", "c"], "hit": [1.0, None, float("nan")]})
    rows = rows_of_units({"one": {0: table}}, "hits", column="hit", replicates=10)
    assert rows["one"][0][0] == 1.0


def test_the_interval_is_that_of_a_loop_that_draws_seeds_and_patients():
    given = {"one": tables(1), "two": tables(2, shift=0.3)}
    rows = rows_of_units(given, "hits", column="hit")
    two = over_runs(rows, "hits", reference="one", draw_runs=True)[1]
    stream, gaps = np.random.default_rng(5), []
    names = given["one"][0]["patient_id"].to_numpy()
    for _ in range(2000):
        drawn = np.bincount(stream.integers(PATIENTS, size=PATIENTS), minlength=PATIENTS)
        weight = drawn[[int(name[1:]) for name in names]]
        runs = stream.integers(3, size=3)
        means = {
            way: np.mean([np.average(by[run]["hit"].to_numpy(), weights=weight) for run in runs])
            for way, by in given.items()
        }
        gaps.append(means["two"] - means["one"])
    low, high = np.quantile(gaps, [0.025, 0.975])
    # two bootstraps of 2,000 replicates: an end's standard error is about 0.01 of these widths
    assert two.gap.low == pytest.approx(low, abs=0.04)
    assert two.gap.high == pytest.approx(high, abs=0.04)


def test_drawing_runs_widens_what_differs_between_runs():
    rows = rows_of_units({"one": tables(1)}, "hits", column="hit")
    widths = {}
    for draw_runs in (False, True):
        (result,) = over_runs(rows, "hits", reference=None, draw_runs=draw_runs)
        widths[draw_runs] = result.metric.high - result.metric.low
    assert widths[True] > 1.2 * widths[False]


def test_an_area_is_that_of_another_library():
    given = tables(3)
    rows = rows_of_units({"one": given}, "apart", statistic="auroc", replicates=10)
    for run, table in given.items():
        area = roc_auc_score(table["known"].to_numpy(), table["score"].to_numpy())
        assert rows["one"][run][0] == pytest.approx(area, abs=1e-12)


def test_a_difference_is_of_the_runs_that_both_have():
    one, two = tables(1), tables(2)
    del two[1]
    rows = rows_of_units({"one": one, "two": two}, "hits", column="hit", replicates=50)
    result = over_runs(rows, "hits", reference="one", draw_runs=True)[1]
    by_hand = np.mean([two[run]["hit"].mean() - one[run]["hit"].mean() for run in (0, 2)])
    assert result.gap.value == pytest.approx(by_hand)


def test_patients_of_several_splits_keep_their_number():
    """Runs may be measured on other patients each; who is in two of them is drawn for both."""
    first, second = tables(1)[0][:60], tables(1)[1][30:]
    rows = rows_of_units({"one": {0: first, 1: second}}, "hits", column="hit", replicates=20)
    assert set(rows["one"]) == {0, 1}


def test_other_units_within_a_seed_are_refused():
    fewer = {run: table[:-1] for run, table in tables(2).items()}
    with pytest.raises(EvaluationError, match="two, run 0 scores 119 units, one 120"):
        rows_of_units({"one": tables(1), "two": fewer}, "hits", column="hit")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(EvaluationError, match="hits: one, run 0 has no column depth"):
        rows_of_units({"one": tables(1)}, "hits", column="depth")
