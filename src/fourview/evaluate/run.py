"""``evaluate``: predictions, a manifest and a protocol in; a result with its protocol out."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float

from fourview.entities import Manifest, Metric, Result
from fourview.errors import EvaluationError
from fourview.evaluate.interval import interval
from fourview.evaluate.measure import ARGMAX, AT_THRESHOLD, columns_of
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.evaluate.resample import Resampling
from fourview.evaluate.units import Units, gather_units

METAREPO_MINIMUM = 8  # units below which the meta-repository gives no intervals


def evaluate(
    predictions: pl.DataFrame,
    manifest: Manifest,
    protocol: str | Protocol,
    *,
    replicates: int = 2000,
    seed: int = 0,
    workers: int = 1,
    thresholds: Mapping[str, float] | None = None,
    split: str | None = "",
    metadata: Mapping[str, str] | None = None,
) -> Result:
    """Measure a predictions table.

    Args:
        predictions: As ``read_predictions`` gives it; only the ids of the protocol's unit, ``class``
            and ``score`` are needed.
        manifest: The data set's tables; labels come from here.
        protocol: A name out of ``PROTOCOLS``, or one of your own.
        replicates: Of the bootstrap; 0 gives no intervals.
        seed: Of the bootstrap.
        workers: Threads; the numbers do not depend on it.
        thresholds: Operating points by name, chosen on another table.
        split: Measure this split instead of the protocol's; None for all of the manifest.
        metadata: What the predictions' file says of itself, for the provenance.

    Raises:
        EvaluationError: An unknown protocol, or a table that gives no number; the message names the
            rows. What is undefined for a good table (one class only, say) is a metric without a
            value and with a note instead.
    """
    rules = find_protocol(protocol) if isinstance(protocol, str) else protocol
    if replicates < 0 or seed < 0 or workers < 1:
        raise EvaluationError(
            f"replicates {replicates}, seed {seed}, workers {workers}: need 0 or more replicates,"
            " a seed of 0 or more and at least 1 worker"
        )
    units = gather_units(predictions, manifest, rules, rules.split if split == "" else split)
    resampling = resampling_of(units, rules, replicates=replicates, seed=seed, workers=workers)
    at = {"": ARGMAX} if rules.threshold == "argmax" else dict(thresholds or {})
    columns = columns_of(units, rules, at, resampling)
    metrics = tuple(
        metric_of(name, columns[name], rules) if name in columns else _undefined(name, units)
        for name in _names(rules, at)
    )
    return Result(
        protocol=rules.name,
        unit=rules.unit,
        num_units=len(units.frame),
        num_positive=int(units.positive.sum()),
        metrics=metrics,
        interval="none",
        provenance=dict(metadata or {}),
        notes=units.notes,
    )


def resampling_of(
    units: Units, protocol: Protocol, *, replicates: int, seed: int, workers: int
) -> Resampling:
    """How this protocol draws replicates of these units."""
    cluster = units.codes(protocol.cluster)
    num_clusters = int(cluster.max()) + 1 if len(cluster) else 0
    strata = np.array([0, num_clusters])
    if protocol.stratified:
        with_positive = np.zeros(num_clusters, dtype=bool)
        with_positive[cluster[units.positive]] = True
        rank = np.argsort(np.argsort(with_positive, kind="stable"), kind="stable")
        cluster = rank[cluster].astype(np.int32)
        strata = np.array([0, int((~with_positive).sum()), num_clusters])
    return Resampling(
        cluster=cluster,
        strata=strata,
        replicates=replicates,
        seed=seed,
        workers=workers,
        stream=protocol.stream,
    )


def metric_of(name: str, column: Float[np.ndarray, " row"], protocol: Protocol) -> Metric:
    """A column of values as a metric with its interval."""
    ends = interval(column[1:], protocol.interval)
    value = column[0] if protocol.center == "table" else np.nanmean(column[1:])
    return Metric(name=name, value=float(value), low=ends.low, high=ends.high)


def _names(protocol: Protocol, at: Mapping[str, float]) -> list[str]:
    names: list[str] = []
    for metric in protocol.metrics:
        if metric in AT_THRESHOLD and protocol.is_binary and protocol.threshold == "given":
            names += [f"{metric} ({name})" for name in at] or [metric]
        elif metric in AT_THRESHOLD and protocol.is_binary:
            names.append(f"{metric} ()")
        else:
            names.append(metric)
    return names


def _undefined(name: str, units: Units) -> Metric:
    return Metric(name=name, value=None, note="undefined")
