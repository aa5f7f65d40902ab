"""Runs of a study: which there are, in which order, and how each was declared.

OUT/runs/ROW-SEED        an ordinary run folder
OUT/runs/ROW-SEED.json   that it is done, with its seconds
``study_train`` trains those that are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourview.errors import StudyError
from fourview.json_file import read_json_object
from fourview.study.declaration import Study
from fourview.study.find_recipe import find_recipe
from fourview.study.read_study import filled
from fourview.train.recipe import Recipe, override


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a study.

    Attributes:
        row: Row of the study.
        seed: Seed of the run.
        folder: Where it is.
        device: Where to compute; None takes the best there is.
    """

    row: str
    seed: int
    folder: Path
    device: str | None = None

    @property
    def name(self) -> str:
        """ROW-SEED."""
        return f"{self.row}-{self.seed}"

    @property
    def marker(self) -> Path:
        """The file that is there when the run is done."""
        return self.folder.with_name(f"{self.name}.json")

    @property
    def measured(self) -> Path:
        """The folder of what was measured of it."""
        return self.folder.parents[1] / "measured" / self.name

    @property
    def is_done(self) -> bool:
        """Whether it was trained to its end."""
        return self.marker.exists()

    @property
    def seconds(self) -> tuple[float, float]:
        """Seconds of processor and by the clock, of the calls that trained it."""
        record = read_json_object(self.marker)
        return float(record["cpu_seconds"]), float(record["seconds"])


def runs_of(study: Study, out: Path, row: str) -> list[Run]:
    """The runs of a row, done or not."""
    return [
        Run(row=row, seed=seed, folder=out / "runs" / f"{row}-{seed}")
        for seed in study.seeds_of(row)
    ]


def run_of(study: Study, out: Path, row: str, seed: int) -> Run:
    """A row's run of this seed; a row with one seed serves all."""
    own = runs_of(study, out, row)
    return own[0] if len(own) == 1 else next(run for run in own if run.seed == seed)


def ordered_runs(study: Study, out: Path, rows: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """The runs in the order of training: a seed of all rows before the next, starts before all.

    Args:
        study: Study whose rows are run.
        out: The study's folder.
        rows: Those that are wanted; what they start from comes with them.
        seeds: Those that are wanted.
    """
    runs: dict[str, Run] = {}

    def add(row: str, seed: int) -> None:
        for other in study.needs(row):
            add(other, seed)
        run = run_of(study, out, row, seed)
        runs.setdefault(run.name, run)

    for seed in sorted({s for row in rows for s in study.seeds_of(row)}):
        for row in rows:
            if seed in study.seeds_of(row) and seed in seeds:
                add(row, seed)
    return list(runs.values())


def recipe_of(study: Study, row: str, seed: int) -> Recipe:
    """The recipe of a run, before it is fitted to what it starts from."""
    settings = (*study.set, *study.rows[row].set)
    changed = [filled(text, study.paths, row=row, seed=seed) for text in settings]
    return replace(override(find_recipe(study.rows[row].recipe), changed), seed=seed)


def declared_as(study: Study, run: Run) -> dict[str, Any]:
    """What the study declares of a run: a run that is done must have been trained so."""
    row = study.rows[run.row]
    return {
        "recipe": row.recipe,
        "set": [*study.set, *row.set],
        "data": study.data_of(run.row),
        "start": row.start,
        "context": row.context,
    }


def require_as_declared(study: Study, runs: Sequence[Run]) -> None:
    """Refuse runs that are done and were trained otherwise than the rows say now.

    Raises:
        StudyError: One was.
    """
    for run in runs:
        if run.is_done and read_json_object(run.marker).get("declared") != declared_as(study, run):
            raise StudyError(
                f"{run.folder}: was trained otherwise than rows.{run.row} says now; give the new "
                f"settings a row of another name, or remove the run and {run.marker.name}"
            )


def spec_of(study: Study, row: str) -> str:
    """The pixel spec of a row: its recipe's, or that of the image tower it starts from."""
    recipe = recipe_of(study, row, study.seeds_of(row)[0])
    start = study.rows[row].start
    if start is not None and start in study.rows and hasattr(recipe.model, "image"):
        return spec_of(study, start)
    return recipe.pixel_spec
