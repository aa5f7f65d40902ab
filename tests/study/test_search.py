"""A search puts the best trial first, whichever way the best lies."""

import json
import math
from dataclasses import replace

import pytest

from fourview.models.mvccl.model import TINY
from fourview.study.search import best_value, search
from fourview.train.recipe import OptimizerConfig, Recipe
from fourview.train.run_folder import RunLog

RECIPE = Recipe(
    name="mvccl:tiny",
    family="mvccl",
    model=TINY,
    pixel_spec="mvccl-192x96",
    optimizer=OptimizerConfig(search=(1e-5, 1e-3)),
)


def logged(run, *epochs):
    """A run whose epochs had these values, each with whether it was the best so far."""
    run.mkdir(parents=True)
    log = RunLog(run / "log.jsonl", keep_steps=0, keep_epochs=0)
    for epoch, (value, best) in enumerate(epochs):
        row = {"validation_loss": value, "validation_auc": value}
        log.write("epoch", epoch=epoch, best=best, validation_parts={"bce": value}, **row)
    log.close()
    return run


@pytest.mark.parametrize(
    ("select", "order"), [("auc", [1, 3, 0, 2]), ("loss", [0, 3, 1, 2]), ("bce", [0, 3, 1, 2])]
)
def test_the_highest_area_or_the_lowest_loss_comes_first_and_the_unknown_last(
    select, order, tmp_path
):
    values = iter([0.6, 0.9, None, 0.7])

    def train_one(_, run):
        value = next(values)
        return logged(run, (value, value is not None))

    trials = search(replace(RECIPE, select=select), 4, tmp_path, train_one)
    assert [t.run.name for t in trials] == [f"trial-{index:02d}" for index in order]
    told = json.loads((tmp_path / "search.json").read_text())
    assert [row["run"] for row in told["trials"]] == [t.run.name for t in trials]
    assert told["best"] == told["trials"][0]
    assert told["trials"][-1][select] is None


def test_of_equals_the_earlier_comes_first(tmp_path):
    train_one = lambda _, run: logged(run, (0.5, True))  # noqa: E731
    trials = search(replace(RECIPE, select="auc"), 3, tmp_path, train_one)
    assert [t.run.name for t in trials] == ["trial-00", "trial-01", "trial-02"]


def test_a_runs_value_is_that_of_the_checkpoint_it_kept(tmp_path):
    run = logged(tmp_path / "run", (0.6, True), (0.8, True), (0.7, False))
    assert best_value(replace(RECIPE, select="auc"), run) == 0.8
    assert math.isnan(best_value(RECIPE, tmp_path / "never"))
