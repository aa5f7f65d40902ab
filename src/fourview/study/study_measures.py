"""What a study measures of its runs, with intervals over seeds and patients, and its claims.

OUT/measured/ROW-SEED/...parquet   predictions of a data set, or what a function said; made once
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast

import polars as pl

from fourview.disk import write_table
from fourview.entities import Manifest, Metric
from fourview.errors import StudyError
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.several_runs import (
    Row,
    Runs,
    WayResult,
    over_runs,
    rows_of_runs,
    rows_of_units,
)
from fourview.evaluate.table import read_predictions
from fourview.fingerprint import fingerprint_of
from fourview.manifest.manifest import read_manifest
from fourview.predict.engine import engine_on
from fourview.predict.reader import load_model
from fourview.run_files import PREDICTIONS, RECIPE
from fourview.store.store import Store
from fourview.study.declaration import Claim, Measure, Study
from fourview.study.read_study import function_of
from fourview.study.study_data import DataSet
from fourview.study.study_runs import Run, runs_of
from fourview.train.parts import TEST, VALIDATION, divided
from fourview.train.recipe import Recipe, recipe_from_json

AT_ONCE = 16  # exams
Rows = Mapping[str, Mapping[int, Row]]
Verdict = Literal["holds", "falls", "cannot be told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure of all rows that have finished runs.

    Attributes:
        measure: The measure as declared.
        results: One result per row, in the order declared.
        seeds: Seeds that were measured, of each row.
        units: Number of units that each run was measured on, by row.
    """

    measure: Measure
    results: tuple[WayResult, ...]
    seeds: Mapping[str, tuple[int, ...]]
    units: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim with its answer.

    Attributes:
        claim: The claim as declared.
        value: The number, with its interval; None where its runs are not done.
        verdict: Whether it holds.
    """

    claim: Claim
    value: Metric | None
    verdict: Verdict

    @property
    def as_it_must(self) -> bool | None:
        """Whether a control came out as it has to; None of any other claim."""
        if self.claim.control is None:
            return None
        return (self.verdict == "holds") == (self.claim.control == "positive")


class Measuring:
    """Measures the runs of a study.

    Args:
        study: Study to measure.
        out: Folder of the study.
        data: Data sets of the study.
        device: Where to predict; None takes the best there is.
        replicates: Replicates of the bootstrap.
        progress: Called with what is done, how much, and of how much.
    """

    def __init__(
        self,
        study: Study,
        out: Path,
        data: Mapping[str, DataSet],
        *,
        device: str | None = None,
        replicates: int = REPLICATES,
        progress: Callable[[str, int, int | None], None] = lambda *_: None,
    ) -> None:
        self.study, self.out, self.data = study, out, data
        self.device, self.replicates, self.progress = device, replicates, progress
        self._known: dict[str, tuple[Rows, dict[str, int]]] = {}
        self._manifests: dict[tuple[str, str], Manifest] = {}

    def measure(self, measure: Measure, reference: str | None = None) -> Measured | None:
        """A measure of the rows that are done; None where none is.

        Args:
            measure: Measure to take.
            reference: Row that differences are from, in place of the declared one.
        """
        rows, units = self._rows(measure)
        if not rows:
            return None
        wanted = reference or measure.reference
        results = over_runs(
            rows,
            measure.name,
            reference=wanted if wanted in rows else None,
            draw_runs=True,
        )
        return Measured(
            measure=measure,
            results=tuple(results),
            seeds={row: tuple(by_seed) for row, by_seed in rows.items()},
            units=units,
        )

    def judge(self, claim: Claim) -> Judged:
        """Whether a claim holds."""
        measured = self.measure(self.study.measure(claim.measure), reference=claim.less)
        result = None
        if measured is not None:
            result = next((r for r in measured.results if r.way == claim.row), None)
        value = None if result is None else result.metric if claim.less is None else result.gap
        return Judged(claim=claim, value=value, verdict=verdict_of(claim, value))

    def _part(self, measure: Measure) -> str | None:
        """Which part of the data is measured, of every row alike; None for all of it."""
        if measure.part is not None:
            return measure.part
        return TEST if any(self._is_own(measure, r) for r in self.study.rows_of(measure)) else None

    def _is_own(self, measure: Measure, row: str) -> bool:
        """Whether the exams that are measured are those of the row's training and test."""
        own = self.study.data_of(row)
        return measure.on is None or self.study.exams_of(measure.on) == self.study.exams_of(own)

    def _rows(self, measure: Measure) -> tuple[Rows, dict[str, int]]:
        """The number of each run with its replicates, and how many rows its table has.

        They are kept, as claims ask for them again.
        """
        if measure.name not in self._known:
            tables = self._tables(measure)
            units = {row: len(next(iter(by_seed.values()))) for row, by_seed in tables.items()}
            self._known[measure.name] = self._rows_of(measure, tables), units
        return self._known[measure.name]

    def _rows_of(self, measure: Measure, tables: Mapping[str, Runs]) -> Rows:
        if not tables:
            return {}
        if measure.protocol is None:
            return rows_of_units(
                tables,
                measure.name,
                column=measure.column,
                less=measure.less,
                statistic=measure.statistic,
                replicates=self.replicates,
            )
        return rows_of_runs(
            tables,
            self._manifests_of(measure, tables),
            measure.protocol,
            measure.metric,
            replicates=self.replicates,
            split=self._part(measure),
        )

    def _tables(self, measure: Measure) -> dict[str, dict[int, pl.DataFrame]]:
        """What each finished run says, by row and seed."""
        rows = self.study.rows_of(measure)
        runs = [run for row in rows for run in runs_of(self.study, self.out, row)]
        done = [run for run in runs if run.is_done]
        tables: dict[str, dict[int, pl.DataFrame]] = {}
        for number, run in enumerate(done):
            self.progress(measure.name, number, len(done))
            tables.setdefault(run.row, {})[run.seed] = self._table(measure, run)
        self.progress(measure.name, len(done), len(done))
        return tables

    def _table(self, measure: Measure, run: Run) -> pl.DataFrame:
        if measure.function is not None:
            return self._of_function(measure, run)
        part = self._part(measure)
        if self._is_own(measure, run.row) and not measure.views and part in (TEST, VALIDATION):
            path = run.folder / PREDICTIONS
            if not path.exists():
                raise StudyError(
                    f"measures '{measure.name}': {run.row} predicts no classes; name the rows that "
                    "do (rows = [...]), or set measured = false for the row"
                )
            return read_predictions(path)[0]
        return self._predicted(measure, run)

    def _predicted(self, measure: Measure, run: Run) -> pl.DataFrame:
        """Scores of another data set, or of some views."""
        name = measure.on or self.study.data_of(run.row)
        views = "-".join(("", *measure.views))
        part = self._part(measure)
        path = run.measured / f"{name}{views}{'' if part is None else f'-{part}'}.parquet"
        if not path.exists():
            reader = load_model(run.folder, engine=engine_on(self.device))
            manifest = self._manifest(measure, run)
            if measure.views:
                some = manifest.images.filter(pl.col("view").is_in(measure.views))
                manifest = replace(manifest, images=some)
            store = self._store(name, reader.spec.name)
            splits = None if part is None else [part]
            table = reader.predict_store(manifest, store, splits=splits, batch_size=AT_ONCE)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(table, path)
        return read_predictions(path)[0]

    def _of_function(self, measure: Measure, run: Run) -> pl.DataFrame:
        assert measure.function is not None
        asked = {
            "function": measure.function,
            "arguments": dict(measure.arguments),
            "on": measure.on or self.study.data_of(run.row),
            "part": self._part(measure),
        }
        stem = measure.function.replace(":", "-").replace(".", "-")
        path = run.measured / f"{stem}-{fingerprint_of(asked)}.parquet"
        if not path.exists():
            spec = _recipe(run).pixel_spec
            table = function_of(measure.function)(
                replace(run, device=self.device),
                manifest=self._manifest(measure, run),
                store=self._store(str(asked["on"]), spec),
                part=self._part(measure),
                **measure.arguments,
            )
            if not isinstance(table, pl.DataFrame) or "patient_id" not in table.columns:
                raise StudyError(
                    f"measures '{measure.name}': {measure.function} gives no polars table with "
                    "patient_id"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            write_table(table, path)
        return pl.read_parquet(path)

    def _store(self, data: str, spec: str) -> Store:
        return Store.open(self.data[data].stores[spec])

    def _manifest(self, measure: Measure, run: Run) -> Manifest:
        """Manifest of the data set that is measured; a row's own has the split of the run."""
        name = measure.on or self.study.data_of(run.row)
        split = _recipe(run).split if self._part(measure) is not None else None
        key = name, fingerprint_of(None if split is None else asdict(split))
        if key not in self._manifests:
            manifest = read_manifest(self.data[name].manifest)
            self._manifests[key] = manifest if split is None else divided(manifest, split)
        return self._manifests[key]

    def _manifests_of(
        self, measure: Measure, tables: Mapping[str, Mapping[int, pl.DataFrame]]
    ) -> Manifest | dict[int, Manifest]:
        """One manifest for all runs; or one by seed, where each seed divides the patients anew."""
        by_run = {
            run.seed: self._manifest(measure, run)
            for row in tables
            for run in runs_of(self.study, self.out, row)
            if run.seed in tables[row]
        }
        manifests = list(by_run.values())
        return manifests[0] if all(m is manifests[0] for m in manifests) else by_run


def verdict_of(claim: Claim, value: Metric | None) -> Verdict:
    """Whether the whole interval lies where the claim says, outside of it, or neither."""
    if value is None or value.value is None or value.low is None or value.high is None:
        return "cannot be told"
    low, high = claim.range
    inside = value.low > low if claim.between is None else value.low >= low
    inside = inside and (value.high < high if claim.between is None else value.high <= high)
    if inside:
        return "holds"
    outside = value.high < low or value.low > high
    return "falls" if outside else "cannot be told"


def specs_to_measure(study: Study, spec_of: Callable[[str], str]) -> dict[str, set[str]]:
    """The pixel specs that training and measuring need, by data set."""
    needed: dict[str, set[str]] = {}
    for row in study.rows:
        needed.setdefault(study.data_of(row), set()).add(spec_of(row))
    for measure in study.measures:
        for row in study.rows_of(measure) if measure.on is not None else ():
            needed.setdefault(cast(str, measure.on), set()).add(spec_of(row))
    return needed


def _recipe(run: Run) -> Recipe:
    return recipe_from_json((run.folder / RECIPE).read_text(encoding="utf-8"))


def judged(measuring: Measuring, claims: Sequence[Claim]) -> tuple[Judged, ...]:
    """All claims with their answers."""
    return tuple(measuring.judge(claim) for claim in claims)
