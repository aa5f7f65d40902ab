"""What a protocol measures: numbers with intervals, curves, groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number with its interval; ``value`` is None where undefined, and ``note`` says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of one curve of a result, in drawing order.

    Attributes:
        name: roc, pr, calibration, decision, misses, froc; ``decision_all`` for the decision to
            recall all; ``scores_negative`` and ``scores_positive`` are histograms, x the bins'
            centres.
        x: Values in the unit that ``x_label`` names.
        y: Values in the unit that ``y_label`` names.
        low: Lower ends of intervals of ``y``; None where there are none.
        high: Upper ends; None where there are none.
    """

    name: str
    x_label: str
    y_label: str
    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]
    low: Float[np.ndarray, " point"] | None = None
    high: Float[np.ndarray, " point"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """A result among the units that share a value of a manifest column.

    ``note`` warns where there are too few to say much.
    """

    column: str
    value: str
    num_units: int
    num_positive: int
    metrics: tuple[Metric, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedNumber:
    """A number that a paper prints for a protocol, in our units (fractions, not percent)."""

    protocol: str
    dataset: str
    method: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    setting: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a protocol measured on one table of predictions.

    Attributes:
        protocol: Name with version.
        unit: image, breast, exam, finding, or finding_image (a finding on one image).
        num_units: How many were scored and labelled.
        num_positive: How many of them are positive.
        interval: How the intervals were made: "bootstrap by patient, 2,000, percentile, seed 0".
        provenance: Manifest hash, model digest, pixel spec and terms, by name.
        notes: Rows that could not be matched, thresholds chosen on the test itself, small groups.
        curves: What the report draws.
        groups: The main metrics by subgroup.
        published: Numbers of papers that used this protocol.
        thresholds: Applied here, by name; chosen on another table unless a note says otherwise.
        chosen: Thresholds that this table suggests for other tables, by name.
        unmatched: Every row left out, with ``found_in`` (predictions, manifest) and ``reason``.
        worst: The units that the model is most wrong of: ``kind``, ids, ``label``, ``said``,
            ``score``.
    """

    protocol: str
    unit: str
    num_units: int
    num_positive: int
    metrics: tuple[Metric, ...]
    interval: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    published: tuple[PublishedNumber, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    chosen: Mapping[str, float] = field(default_factory=dict)
    unmatched: pl.DataFrame | None = None
    worst: pl.DataFrame | None = None
