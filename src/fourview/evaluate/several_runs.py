"""Several ways, each run with several seeds, on the same units: means over seeds, and what differs.

The value of a way is the mean of its runs' metric. A replicate draws patients (or what the protocol
clusters by) once and measures every run of every way on them, so intervals of differences are
paired. With ``draw_runs`` a replicate draws seeds too, the same for both sides of a difference:
then intervals speak of other patients and of other seeds; without, of other patients alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int, UInt16

from fourview.entities import Manifest, Metric
from fourview.errors import EvaluationError
from fourview.evaluate.interval import interval
from fourview.evaluate.marks import marks_and_columns
from fourview.evaluate.measure import Columns, rank_columns
from fourview.evaluate.metrics import columns_of
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.resample import REPLICATES, Resampling, bootstrap
from fourview.evaluate.table import OF_UNIT, completed
from fourview.evaluate.units import Units, cluster_keys, gather_units
from fourview.suggest import no_such

Runs = Mapping[int, pl.DataFrame]  # a table for each seed
Row = Float[np.ndarray, " row"]  # the table's own value, then one for each replicate
Statistic = Literal["mean", "auroc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WayResult:
    """One metric of one way.

    Attributes:
        way: Its name.
        metric: Mean over the runs, with its interval.
        per_run: The metric of each run, in the order given.
        gap: This way less the reference, paired; None for the reference itself.
    """

    way: str
    metric: Metric
    per_run: tuple[float, ...]
    gap: Metric | None


def measure_runs(
    ways: Mapping[str, Sequence[pl.DataFrame] | Runs],
    manifest: Manifest | Mapping[int, Manifest],
    protocol: str | Protocol,
    metric: str,
    *,
    reference: str | None,
    replicates: int = REPLICATES,
    seed: int = 0,
    split: str | None = None,
    draw_runs: bool = False,
) -> list[WayResult]:
    """Measure every way, and what it gains over the reference.

    Args:
        ways: Predictions tables of each way's runs, in a list or by seed.
        manifest: The data set's tables; by seed where each seed splits the patients anew.
        protocol: A name out of ``PROTOCOLS``, or one of your own.
        metric: One of the protocol's.
        reference: The way that others are compared with; None compares none.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        split: Measure this split; None for all of the manifest.
        draw_runs: A replicate draws the runs as well as the patients.

    Raises:
        EvaluationError: Runs that score different units, a reference or metric that there is not.
    """
    rows = rows_of_runs(
        ways, manifest, protocol, metric, replicates=replicates, seed=seed, split=split
    )
    return over_runs(rows, metric, reference=reference, seed=seed, draw_runs=draw_runs)


def rows_of_runs(
    ways: Mapping[str, Sequence[pl.DataFrame] | Runs],
    manifest: Manifest | Mapping[int, Manifest],
    protocol: str | Protocol,
    metric: str,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    split: str | None = None,
) -> dict[str, dict[int, Row]]:
    """The metric of each run, and of the same replicates of patients; see ``measure_runs``."""
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    runs = {way: _by_seed(tables) for way, tables in ways.items()}

    def tables_of(run: int) -> Manifest:
        return manifest if isinstance(manifest, Manifest) else manifest[run]

    complete = {(w, s): completed(table) for w, by in runs.items() for s, table in by.items()}
    units = {
        key: gather_units(table, tables_of(key[1]), rules, split) for key, table in complete.items()
    }
    frames = {key: its_units.frame for key, its_units in units.items()}
    _require_same(frames, list(OF_UNIT[rules.unit]), one_for_all=isinstance(manifest, Manifest))
    codes, num_clusters = _shared_codes(frames, cluster_keys(rules.cluster))
    rows: dict[str, dict[int, Row]] = {}
    for (way, run), its_units in units.items():
        its_units.cluster_numbers(rules.cluster)  # refuses units without such an id
        resampling = Resampling(
            cluster=codes[way, run],
            num_clusters=num_clusters,
            replicates=replicates,
            seed=seed,
            stream=rules.stream,
        )
        columns = columns_of(its_units, rules, {}, resampling)
        if metric not in columns and rules.froc is not None:
            marked = marks_and_columns(
                complete[way, run], tables_of(run), its_units, rules, {}, resampling
            )
            columns = {**columns, **marked[0]}
        rows.setdefault(way, {})[run] = _column(columns, metric)
    return rows


def rows_of_units(
    ways: Mapping[str, Runs],
    name: str,
    *,
    column: str = "value",
    less: str | None = None,
    statistic: Statistic = "mean",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[int, Row]]:
    """Measure tables of units that a program made, such as whether a map peaks on a finding.

    Args:
        ways: Tables of each way's runs by seed, a row a unit, with ``patient_id``.
        name: What the number is called.
        column: What is averaged over the units; NaN and null are left out.
        less: A column that is subtracted from it.
        statistic: ``mean``; or ``auroc`` of the column against ``known`` (true or false): of
            ``score`` where no other is named, less that of ``less``.
        replicates: Of the bootstrap, by patient.
        seed: Of the bootstrap.

    Returns:
        The number of each run, and of the same replicates of patients, for ``over_runs``.

    Raises:
        EvaluationError: Tables without the columns, or of different units.
    """
    tables = {(way, run): table for way, by in ways.items() for run, table in by.items()}
    if statistic == "auroc" and column == "value":
        column = "score"
    needed = {column} | ({less} if less else set()) | ({"known"} if statistic == "auroc" else set())
    for (way, run), table in tables.items():
        absent = sorted({"patient_id", *needed} - set(table.columns))
        if absent:
            raise EvaluationError(f"{name}: {way}, run {run} has no column {', '.join(absent)}")
    _require_same(tables, ["patient_id"], one_for_all=False)
    codes, num_clusters = _shared_codes(tables, ("patient_id",))
    rows: dict[str, dict[int, Row]] = {}
    for (way, run), table in tables.items():
        resampling = Resampling(
            cluster=codes[way, run], num_clusters=num_clusters, replicates=replicates, seed=seed
        )
        if statistic == "auroc":
            areas = [
                rank_columns(_scored(table, name), ("auroc",), resampling)["auroc"]
                for name in (column, *([less] if less else []))
            ]
            values = areas[0] - areas[1] if less else areas[0]
        else:
            shown = table[column] if less is None else table[column] - table[less]
            of_unit = shown.cast(pl.Float64).fill_null(float("nan")).to_numpy()
            values = bootstrap(_Mean(of_unit, codes[way, run]), resampling)[:, 0]
        rows.setdefault(way, {})[run] = values
    return rows


def over_runs(
    rows: Mapping[str, Mapping[int, Row]],
    name: str,
    *,
    reference: str | None,
    seed: int = 0,
    draw_runs: bool,
) -> list[WayResult]:
    """Means over runs and differences from a reference, of the runs' values and replicates.

    A difference is of the runs that both have.

    Args:
        rows: Of each way and seed: the value, then replicates that drew the same patients.
        name: Of the metric.
        reference: What others are compared with; None compares none.
        seed: Of the draw of runs.
        draw_runs: As for ``measure_runs``.

    Raises:
        EvaluationError: There is no such reference.
    """
    if reference is not None and reference not in rows:
        raise EvaluationError(no_such("reference", reference, rows))

    def mean(by_run: Mapping[int, Row], runs: Sequence[int]) -> Row:
        stacked = np.stack([by_run[run] for run in runs])
        return np.asarray((stacked * _weights(stacked.shape, seed, draw_runs)).sum(axis=0))

    results = []
    for way, by_run in rows.items():
        gap = None
        if reference is not None and way != reference:
            both = [run for run in by_run if run in rows[reference]]
            if both:
                difference = mean(by_run, both) - mean(rows[reference], both)
                note = "paired" if len(both) == len(by_run) else f"paired, {len(both)} runs"
                gap = _with_interval(name, difference, note)
        whole = mean(by_run, list(by_run))
        results.append(
            WayResult(
                way=way,
                metric=_with_interval(name, whole, f"mean of {len(by_run)} runs"),
                per_run=tuple(float(values[0]) for values in by_run.values()),
                gap=gap,
            )
        )
    return results


def _weights(shape: tuple[int, ...], seed: int, draw_runs: bool) -> Float[np.ndarray, "run row"]:
    """What each run counts in each row: all alike in the first, and as often as drawn in others."""
    num_runs, num_rows = shape
    weights = np.full((num_runs, num_rows), 1 / num_runs)
    if draw_runs:
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(num_runs,)))
        drawn = stream.multinomial(num_runs, [1 / num_runs] * num_runs, size=num_rows - 1)
        weights[:, 1:] = drawn.T / num_runs
    return weights


def _by_seed(tables: Sequence[pl.DataFrame] | Runs) -> Runs:
    return tables if isinstance(tables, Mapping) else dict(enumerate(tables))


def _require_same(
    frames: Mapping[tuple[str, int], pl.DataFrame], keys: list[str], *, one_for_all: bool
) -> None:
    """Refuse runs that cannot be compared: those of one seed, or all, need the same units."""
    firsts: dict[int, tuple[str, pl.DataFrame]] = {}
    for (way, run), frame in frames.items():
        other, first = firsts.setdefault(0 if one_for_all else run, (way, frame))
        if not first.select(keys).equals(frame.select(keys)):
            number = run + 1 if one_for_all else run
            raise EvaluationError(
                f"{way}, run {number} scores {len(frame)} units, {other} {len(first)}, or others; "
                "score the same images with every run"
            )


def _shared_codes(
    frames: Mapping[tuple[str, int], pl.DataFrame], keys: Iterable[str]
) -> tuple[dict[tuple[str, int], Int[np.ndarray, " unit"]], int]:
    """Numbers of what is drawn together, one number for a patient in all frames; and how many."""
    names = list(keys)
    every = pl.concat([frame.select(names) for frame in frames.values()])
    groups = every.unique(maintain_order=True).with_row_index("code")
    codes = {
        key: frame.select(names)
        .join(groups, on=names, how="left", maintain_order="left")["code"]
        .to_numpy()
        .astype(np.int32)
        for key, frame in frames.items()
    }
    return codes, len(groups)


def _scored(table: pl.DataFrame, column: str) -> Units:
    frame = table.select(
        score=pl.col(column).cast(pl.Float64), label=pl.col("known").cast(pl.Int64)
    )
    return Units(frame=frame, num_classes=2, unmatched=pl.DataFrame(), notes=())


@dataclass(frozen=True, slots=True)
class _Mean:
    """A ``Statistic``: the mean over the units that have a value."""

    values: Float[np.ndarray, " unit"]
    cluster: Int[np.ndarray, " unit"]

    @property
    def width(self) -> int:
        return 1

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        known: Bool[np.ndarray, " unit"] = np.isfinite(self.values)
        weights = counts[self.cluster[known]].astype(np.float64)
        total = weights.sum()
        out[0] = (weights * self.values[known]).sum() / total if total else np.nan


def _column(columns: Columns, metric: str) -> Row:
    if metric not in columns:
        raise EvaluationError(no_such("metric", metric, columns))
    return np.asarray(columns[metric])


def _with_interval(name: str, row: Row, note: str) -> Metric:
    ends = interval(row[1:])
    value = float(row[0]) if np.isfinite(row[0]) else None
    return Metric(name=name, value=value, low=ends.low, high=ends.high, note=note)
