"""``compare``: two models on the same units; differences with paired intervals."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Float

from fourview.entities import Manifest, Metric
from fourview.errors import EvaluationError
from fourview.evaluate.auc import auroc
from fourview.evaluate.delong import delong_paired
from fourview.evaluate.interval import interval
from fourview.evaluate.measure import ARGMAX
from fourview.evaluate.metrics import columns_of
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.resample import REPLICATES
from fourview.evaluate.run import OF_PROTOCOL, Draws, resampling_of
from fourview.evaluate.table import OF_UNIT, completed
from fourview.evaluate.units import Units, gather_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric of two models.

    Attributes:
        name: Of the metric.
        a: Value of the first model; None where undefined.
        b: Value of the second model; None where undefined.
        difference: A minus B with its interval, and how it was made in the note.
        p: Two-sided, against no difference; None where undefined.
    """

    name: str
    a: float | None
    b: float | None
    difference: Metric
    p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A protocol's results for two predictions tables, on the units that both score."""

    protocol: str
    unit: str
    num_units: int
    num_positive: int
    differences: tuple[Difference, ...]
    interval: str
    notes: tuple[str, ...] = ()


def compare(
    a: pl.DataFrame,
    b: pl.DataFrame,
    manifest: Manifest,
    protocol: str | Protocol,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    workers: int = 1,
    split: str | None = OF_PROTOCOL,
) -> Comparison:
    """Compare two predictions tables, unit by unit.

    Every metric that needs no threshold chosen elsewhere gets the paired bootstrap of its
    difference (both models see the same replicates), and the area under the ROC curve DeLong's
    paired test as well, with Obuchowski's variance where a cluster holds several units.

    Raises:
        EvaluationError: As in ``evaluate``; or the tables share no unit.
    """
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    draws = Draws(replicates=replicates, seed=seed, workers=workers)
    at_split = rules.split if split == OF_PROTOCOL else split
    both = [gather_units(completed(table), manifest, rules, at_split) for table in (a, b)]
    units_a, units_b, notes = _shared(both[0], both[1], rules)
    resampling = resampling_of(units_a, rules, draws)
    at = {"": ARGMAX} if rules.threshold == "argmax" else {}
    columns = [columns_of(units, rules, at, resampling) for units in (units_a, units_b)]
    differences = [
        _bootstrapped(name, columns[0][name], columns[1][name], rules)
        for name in rules.metrics
        if name in columns[0] and name in columns[1]
    ]
    if rules.is_binary and "auroc" in rules.metrics:
        differences.insert(0, _by_delong(units_a, units_b, rules))
    return Comparison(
        protocol=rules.name,
        unit=rules.unit,
        num_units=len(units_a.frame),
        num_positive=int(units_a.positive.sum()) if rules.is_binary else 0,
        differences=tuple(differences),
        interval=f"paired bootstrap by {rules.cluster}, {replicates:,} replicates, seed {seed}",
        notes=notes,
    )


def _shared(a: Units, b: Units, protocol: Protocol) -> tuple[Units, Units, tuple[str, ...]]:
    """The units that both tables score, in the order of the first."""
    keys = list(OF_UNIT[protocol.unit])
    scores = [c for c in b.frame.columns if c.startswith("score")]
    renamed = b.frame.select(*keys, *(pl.col(c).alias(f"{c}_b") for c in scores))
    joined = a.frame.join(renamed, on=keys, how="inner", maintain_order="left")
    if len(joined) == 0:
        raise EvaluationError("the two tables have no unit in common; nothing can be compared")
    notes = tuple(
        f"{len(units.frame) - len(joined):,} units only in {name}: left out"
        for name, units in (("A", a), ("B", b))
        if len(units.frame) > len(joined)
    )
    of_b = joined.with_columns(pl.col(f"{c}_b").alias(c) for c in scores)
    return replace(a, frame=joined), replace(b, frame=of_b), notes


def _bootstrapped(
    name: str,
    a: Float[np.ndarray, " row"],
    b: Float[np.ndarray, " row"],
    protocol: Protocol,
) -> Difference:
    gap = a - b
    if not np.isfinite(gap[0]):
        undefined = Metric(name=name, value=None, note="undefined for one of the two")
        return Difference(name=name, a=_known(a[0]), b=_known(b[0]), difference=undefined, p=None)
    ends = interval(gap[1:], "metarepo" if protocol.interval == "metarepo" else "percentile")
    kept = gap[1:][~np.isnan(gap[1:])]
    p = None
    if len(kept):  # one replicate more on either side, so that p is never 0
        p = min(1.0, 2 * (1 + min(np.sum(kept <= 0), np.sum(kept >= 0))) / (1 + len(kept)))
    metric = Metric(
        name=name, value=float(gap[0]), low=ends.low, high=ends.high, note="paired bootstrap"
    )
    return Difference(name=name, a=float(a[0]), b=float(b[0]), difference=metric, p=p)


def _by_delong(a: Units, b: Units, protocol: Protocol) -> Difference:
    method = "DeLong"
    cluster: np.ndarray | None = None
    if protocol.cluster != protocol.unit:
        method, cluster = (
            f"DeLong, clustered by {protocol.cluster}",
            a.cluster_numbers(protocol.cluster),
        )
    try:
        gap = delong_paired(a.scores, b.scores, a.positive, cluster)
    except ValueError as error:
        metric = Metric(name="auroc", value=None, note=str(error))
        return Difference(name="auroc", a=None, b=None, difference=metric, p=None)
    metric = Metric(name="auroc", value=gap.value, low=gap.low, high=gap.high, note=method)
    areas = [auroc(units.scores, units.positive) for units in (a, b)]
    return Difference(name="auroc", a=areas[0], b=areas[1], difference=metric, p=gap.p)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
