"""Every metric there is, one record each: what it is called, computed by, needs, and looks like.

Adding one: a record in ``_RECORDS`` (or ``register`` in a module of your own) is all; protocols
name it, and the tables, pages and command lines show it. See docs/adding_a_metric.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt16

from fourview.errors import EvaluationError
from fourview.evaluate.measure import (
    Columns,
    at_threshold,
    multiclass_columns,
    probability_columns,
    rank_columns,
    threshold_columns,
)
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.resample import Resampling, bootstrap
from fourview.evaluate.units import Units
from fourview.suggest import no_such

Needs = Literal["scores", "probabilities", "threshold", "classes", "boxes"]
Thresholds = Mapping[str, float]
Compute = Callable[[Units, tuple[str, ...], Thresholds, Resampling], Columns]
OneNumber = Callable[
    [Float[np.ndarray, " unit"], Bool[np.ndarray, " unit"], Float[np.ndarray, " unit"]], float
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRecord:
    """All that is known of one metric.

    Attributes:
        name: As protocols and tables write it; ``tnr_at_fnr_{}`` stands for every number.
        label: For people; with ``{}`` for the number.
        compute: Units, the names that are wanted, thresholds and resampling to columns: the table's
            own value and one for each replicate. Metrics of one ``compute`` are made together. None
            for those that ``marks`` computes, which need the predictions' boxes.
        needs: ``scores`` in any unit; ``probabilities``, scores in [0, 1]; a ``threshold`` chosen
            on another table; several ``classes``; ``boxes`` of findings.
        compute_classes: As ``compute``, where the question has several classes.
        reads_own_point: Whether its operating point is read off the very table, which a note says.
        digits: Behind the point.
        bar: Whether a bar from 0 to 1 is drawn beside it.
    """

    name: str
    label: str
    compute: Compute | None
    needs: Needs = "scores"
    compute_classes: Compute | None = None
    reads_own_point: bool = False
    digits: int = 3
    bar: bool = True

    def number(self, name: str) -> str | None:
        """The number in a name of this metric; "" where it takes none; None for another's name."""
        before, hole, after = self.name.partition("{}")
        if not hole:
            return "" if name == self.name else None
        inside = name.startswith(before) and name.endswith(after)
        return name[len(before) : len(name) - len(after)] if inside else None


def weighted(function: OneNumber) -> Compute:
    """Make a ``compute`` of a function of scores, positives and weights; the way for most metrics.

    Args:
        function: Gives one number, NaN where undefined. A unit's weight is how often a replicate
            drew it, and 1 for the table itself.
    """

    def compute(
        units: Units,
        names: tuple[str, ...],
        thresholds: Thresholds,  # noqa: ARG001 - every ``compute`` is called so
        resampling: Resampling,
    ) -> Columns:
        statistic = _Weighted(units.scores, units.positive, resampling.cluster, function)
        rows = bootstrap(statistic, resampling)
        return dict.fromkeys(names, rows[:, 0])

    return compute


@dataclass(frozen=True, slots=True)
class _Weighted:
    """A ``Statistic`` of one number."""

    scores: Float[np.ndarray, " unit"]
    positive: Bool[np.ndarray, " unit"]
    cluster: Int[np.ndarray, " unit"]
    function: OneNumber

    @property
    def width(self) -> int:
        return 1

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        weights = counts[self.cluster].astype(np.float64)
        out[0] = self.function(self.scores, self.positive, weights)


def _ranks(units: Units, names: tuple[str, ...], _: Thresholds, resampling: Resampling) -> Columns:
    return rank_columns(units, names, resampling)


def _probabilities(
    units: Units, names: tuple[str, ...], _: Thresholds, resampling: Resampling
) -> Columns:
    columns = probability_columns(units, resampling)
    return {name: columns[name] for name in names if name in columns}


def _at_thresholds(
    units: Units, names: tuple[str, ...], thresholds: Thresholds, resampling: Resampling
) -> Columns:
    columns = threshold_columns(units, thresholds, resampling)
    return {name: values for name, values in columns.items() if name.partition(" (")[0] in names}


def _classes(
    units: Units, names: tuple[str, ...], _: Thresholds, resampling: Resampling
) -> Columns:
    return multiclass_columns(units, names, resampling)


def _area(name: str, label: str) -> MetricRecord:
    return MetricRecord(name=name, label=label, compute=_ranks)


def _point(name: str, label: str) -> MetricRecord:
    return MetricRecord(name=name, label=label, compute=_ranks, reads_own_point=True)


def _yes_or_no(
    name: str, label: str, *, classes: Compute | None = None, per_thousand: bool = False
) -> MetricRecord:
    return MetricRecord(
        name=name,
        label=label,
        compute=_at_thresholds,
        needs="threshold",
        compute_classes=classes,
        digits=1 if per_thousand else 3,
        bar=not per_thousand,
    )


def _probability(name: str, label: str) -> MetricRecord:
    return MetricRecord(name=name, label=label, compute=_probabilities, needs="probabilities")


_RECORDS = (
    _area("auroc", "AUC-ROC"),
    _area("auprc_trapezoid", "AUC-PR (trapezoid)"),
    _area("average_precision", "Average precision"),
    _area("partial_auc", "Partial AUC, sensitivity 0.8 to 1"),
    _point("specificity_at_sensitivity_{}", "Specificity at sensitivity {}"),
    _point("specificity_near_sensitivity_{}", "Specificity near sensitivity {}"),
    _point("tnr_at_fnr_{}", "True-negative rate at miss rate {}"),
    MetricRecord(
        name="macro_auroc",
        label="AUC-ROC, mean over classes",
        compute=None,
        needs="classes",
        compute_classes=_classes,
    ),
    _yes_or_no("balanced_accuracy", "Balanced accuracy", classes=_classes),
    _yes_or_no("sensitivity", "Sensitivity"),
    _yes_or_no("specificity", "Specificity"),
    _yes_or_no("ppv", "Positive predictive value"),
    _yes_or_no("npv", "Negative predictive value"),
    _yes_or_no("f1", "F1"),
    _yes_or_no("recall_rate_per_1000", "Recalled of 1,000 exams", per_thousand=True),
    _yes_or_no("cancers_found_per_1000", "Cancers found in 1,000 exams", per_thousand=True),
    _probability("brier", "Brier score"),
    _probability("calibration_error", "Calibration error"),
    _probability("probabilistic_f1", "Probabilistic F1"),
    MetricRecord(
        name="froc_sensitivity_at_{}_fp",
        label="Share found at {} false marks per image",
        compute=None,
        needs="boxes",
    ),
    MetricRecord(
        name="localisation_recall", label="Findings marked", compute=None, needs="threshold"
    ),
)
METRICS: dict[str, MetricRecord] = {record.name: record for record in _RECORDS}


def register(record: MetricRecord) -> None:
    """Add a metric of your own, for this process.

    Raises:
        EvaluationError: There is one of that name.
    """
    if record.name in METRICS:
        raise EvaluationError(f"metric '{record.name}': there is one of that name; take another")
    METRICS[record.name] = record


def metric_record(name: str) -> MetricRecord | None:
    """The record that a metric's name is of, without a threshold's name; None where none is.

    >>> metric_record("no such") is None
    True
    """
    return next((r for r in METRICS.values() if r.number(name) is not None), None)


def find_metric(name: str) -> MetricRecord:
    """The record that a metric's name is of.

    Raises:
        EvaluationError: There is none; the message names the nearest.

    >>> find_metric("tnr_at_fnr_0.03").label
    'True-negative rate at miss rate {}'
    """
    record = metric_record(name)
    if record is None:
        raise EvaluationError(no_such("metric", name, METRICS))
    return record


def columns_of(
    units: Units, protocol: Protocol, thresholds: Thresholds, resampling: Resampling
) -> Columns:
    """Every metric of the protocol that scores and labels define (boxes are for ``marks``).

    Raises:
        EvaluationError: The protocol names a metric that there is not.
    """
    groups: dict[Compute, list[str]] = {}
    for name in protocol.metrics:
        record = find_metric(name)
        compute = record.compute if protocol.is_binary else record.compute_classes
        waits = protocol.is_binary and record.needs == "threshold" and not thresholds
        if compute is not None and not waits:
            groups.setdefault(compute, []).append(name)
    out: Columns = {}
    for compute, names in groups.items():
        out |= compute(units, tuple(names), thresholds, resampling)
    return out


def with_thresholds(names: Iterable[str], protocol: Protocol, thresholds: Thresholds) -> list[str]:
    """The names of the columns: a metric that needs a threshold stands once for each."""
    out: list[str] = []
    for name in names:
        record = metric_record(name)
        several = record is not None and record.needs == "threshold" and protocol.is_binary
        out += [at_threshold(name, at) for at in thresholds] if several and thresholds else [name]
    return out


def label_of(name: str) -> str:
    """A metric's name for people, with its threshold; the name itself where nothing is known.

    >>> label_of("sensitivity (specificity-0.90)")
    'Sensitivity at specificity-0.90'
    """
    stem, _, threshold = name.partition(" (")
    record = metric_record(stem)
    words = stem if record is None else record.label.format(record.number(stem))
    return f"{words} at {threshold.removesuffix(')')}" if threshold else words
