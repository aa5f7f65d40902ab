"""Several ways, each run with several seeds, on the same units: means over seeds, and what differs.

The value of a way is the mean of its runs' metric. A replicate draws patients (or what the protocol
clusters by) once and measures every run of every way on them, so intervals of differences are
paired. Intervals speak of other patients; ``per_run`` shows what another seed does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float

from fourview.entities import Manifest, Metric
from fourview.errors import EvaluationError
from fourview.evaluate.interval import interval
from fourview.evaluate.measure import Columns
from fourview.evaluate.metrics import columns_of
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.run import Draws, resampling_of
from fourview.evaluate.table import OF_UNIT, completed
from fourview.evaluate.units import Units, gather_units
from fourview.suggest import no_such


@dataclass(frozen=True, slots=True, kw_only=True)
class WayResult:
    """One metric of one way.

    Attributes:
        way: Its name.
        metric: Mean over the runs, with its interval over clusters.
        per_run: The metric of each run, in the order given.
        gap: This way less the reference, paired; None for the reference itself.
    """

    way: str
    metric: Metric
    per_run: tuple[float, ...]
    gap: Metric | None


def measure_runs(
    ways: Mapping[str, Sequence[pl.DataFrame]],
    manifest: Manifest,
    protocol: str | Protocol,
    metric: str,
    *,
    reference: str,
    replicates: int = 2000,
    seed: int = 0,
    split: str | None = None,
) -> list[WayResult]:
    """Measure every way, and what it gains over the reference.

    Args:
        ways: Predictions tables of each way's runs.
        manifest: The data set's tables.
        protocol: A name out of ``PROTOCOLS``, or one of your own.
        metric: One of the protocol's.
        reference: The way that others are compared with.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        split: Measure this split; None for all of the manifest.

    Raises:
        EvaluationError: Runs that score different units, a reference or metric that there is not.
    """
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    if reference not in ways:
        raise EvaluationError(no_such("reference", reference, ways))
    units = {
        way: [gather_units(completed(table), manifest, rules, split) for table in tables]
        for way, tables in ways.items()
    }
    first = units[reference][0]
    for way, runs in units.items():
        for number, run in enumerate(runs):
            _require_same(first, run, rules, f"{way}, run {number + 1}", reference)
    resampling = resampling_of(first, rules, Draws(replicates=replicates, seed=seed, workers=1))
    rows = {
        way: np.stack([_column(columns_of(run, rules, {}, resampling), metric) for run in runs])
        for way, runs in units.items()
    }
    base = rows[reference].mean(axis=0)
    return [
        WayResult(
            way=way,
            metric=_with_interval(metric, values.mean(axis=0), f"mean of {len(values)} runs"),
            per_run=tuple(float(v) for v in values[:, 0]),
            gap=None if way == reference else _with_interval(metric, values.mean(axis=0) - base),
        )
        for way, values in rows.items()
    ]


def _require_same(one: Units, other: Units, rules: Protocol, name: str, reference: str) -> None:
    keys = list(OF_UNIT[rules.unit])
    if not one.frame.select(keys).equals(other.frame.select(keys)):
        raise EvaluationError(
            f"{name} scores {len(other.frame)} units, {reference} {len(one.frame)}, or others; "
            "score the same images with every run"
        )


def _column(columns: Columns, metric: str) -> Float[np.ndarray, " row"]:
    if metric not in columns:
        raise EvaluationError(no_such("metric", metric, columns))
    return columns[metric]


def _with_interval(name: str, row: Float[np.ndarray, " row"], note: str = "paired") -> Metric:
    ends = interval(row[1:])
    return Metric(name=name, value=float(row[0]), low=ends.low, high=ends.high, note=note)
