"""Random search of the learning rate: a few runs of one recipe, the best by its validation part."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fourview.disk import write_text
from fourview.errors import RecipeError
from fourview.run_files import SEARCH, TRIAL
from fourview.train.processes import is_first
from fourview.train.recipe import Recipe
from fourview.train.run_folder import read_log
from fourview.train.validate import LAST_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of a search.

    Attributes:
        lr: Learning rate of the run.
        run: Folder of the run.
        value: Value that the recipe selects by, of its best epoch: validation AUC, loss or a part
            of it; NaN where unknown.
    """

    lr: float
    run: Path
    value: float


def learning_rates(recipe: Recipe, num: int) -> list[float]:
    """Rates of a search, uniform in the logarithm; the same for the same seed of the recipe.

    Raises:
        RecipeError: The recipe says no range.
    """
    if recipe.optimizer.search is None:
        raise RecipeError(
            f"recipe '{recipe.name}' names no range for a search; give one with --set "
            "'optimizer.search=[1e-5,1e-3]'"
        )
    low, high = recipe.optimizer.search
    if not 0 < low <= high:
        raise RecipeError(f"optimizer.search is {low}, {high}; need 0 < lowest <= highest")
    draw = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(2,)))
    return [float(x) for x in np.exp(draw.uniform(math.log(low), math.log(high), num))]


def search(
    recipe: Recipe, num: int, out: Path, train_one: Callable[[Recipe, Path], Path]
) -> tuple[Trial, ...]:
    """Train a recipe with several learning rates.

    The test part is measured by every run, as it always is, but decides nothing here.

    Args:
        recipe: Recipe with ``optimizer.search``.
        num: Number of trials.
        out: Folder: trial-00, trial-01, ..., and search.json, which lists them, the best first.
        train_one: Trains a recipe in a folder; goes on with a run that is there.

    Returns:
        The trials, the best first; of equals the earlier.
    """
    trials = []
    for index, lr in enumerate(learning_rates(recipe, num)):
        run = out / f"{TRIAL}{index:02d}"
        train_one(replace(recipe, optimizer=replace(recipe.optimizer, lr=lr)), run)
        trials.append(Trial(lr=lr, run=run, value=best_value(recipe, run)))
    sign = -1 if recipe.select == "auc" else 1
    trials.sort(key=lambda t: math.inf if math.isnan(t.value) else sign * t.value)
    rows = [{"lr": t.lr, "run": t.run.name, recipe.select: _or_none(t.value)} for t in trials]
    if is_first():
        write_text(out / SEARCH, json.dumps({"best": rows[0], "trials": rows}, indent=2) + "\n")
    return tuple(trials)


def best_value(recipe: Recipe, run: Path) -> float:
    """What the recipe selects by, of the checkpoint that a run kept; NaN where it had none."""
    kept = [line for line in read_log(run) if line["kind"] == "epoch" and line["best"]]
    if not kept:
        return math.nan
    row, select = kept[-1], recipe.select
    named = "validation_loss" if select == LAST_EPOCH else f"validation_{select}"
    value = row[named] if named in row else row["validation_parts"].get(select)
    return math.nan if value is None else float(value)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
