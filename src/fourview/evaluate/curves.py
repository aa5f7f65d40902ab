"""The curves of a result, thinned to what a page can show."""

import numpy as np
from jaxtyping import Float

from fourview.entities import Curve
from fourview.evaluate.auc import Labels, Scores, roc_curve
from fourview.evaluate.calibration import calibration_curve
from fourview.evaluate.decision import decision_curves
from fourview.evaluate.interval import interval
from fourview.evaluate.pr import pr_curve
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.ranks import FIXED_COLUMNS, RankStatistic
from fourview.evaluate.resample import Resampling, bootstrap
from fourview.evaluate.units import Units

MAX_POINTS = 1000
MISS_POINTS = 100  # a hundredth of the cancers from one to the next; to miss all is no choice


def curves_of(units: Units, protocol: Protocol) -> tuple[Curve, ...]:
    """The ROC, precision-recall, calibration and decision curves; for several classes one ROC each.

    Curves that a table does not define are left out: of one class, of scores outside [0, 1].
    """
    if not protocol.is_binary:
        return tuple(
            _roc(units.class_scores[:, c], units.labels == c, f"roc {name}")
            for c, name in enumerate(protocol.classes)
            if 0 < np.sum(units.labels == c) < len(units.labels)
        )
    scores, positive = units.scores, units.positive
    if not 0 < positive.sum() < len(positive):
        return ()
    recall, precision = thinned(*pr_curve(scores, positive))
    out = (
        _roc(scores, positive, "roc"),
        Curve(name="pr", x_label="recall", y_label="precision", x=recall, y=precision),
    )
    if scores.min() < 0 or scores.max() > 1:
        return out
    return (*out, calibration_curve(scores, positive), *decision_curves(scores, positive))


def miss_curve(units: Units, protocol: Protocol, resampling: Resampling) -> tuple[Curve, ...]:
    """Share of benign findings below the threshold, over the share of malignant ones below it.

    Figure 7 of Wu et al. 2020 (its axes' labels are exchanged there; its caption is right), with
    intervals point by point. Only of protocols about findings, and of tables with both kinds.
    """
    positive = units.positive if protocol.is_binary else np.zeros(0, dtype=bool)
    if "finding" not in protocol.unit or not 0 < positive.sum() < len(positive):
        return ()
    rates = np.arange(MISS_POINTS) / MISS_POINTS
    statistic = RankStatistic.of(
        units.scores,
        positive,
        resampling.cluster,
        partial_from=1.0,
        max_fnr=tuple(float(rate) for rate in rates),
    )
    rows = bootstrap(statistic, resampling)[:, FIXED_COLUMNS:]
    ends = [interval(column, protocol.interval) for column in rows[1:].T]
    low, high = (
        np.array([np.nan if v is None else v for v in side], dtype=np.float64)
        for side in ([e.low for e in ends], [e.high for e in ends])
    )
    known = not (np.isnan(low).any() or np.isnan(high).any())
    return (
        Curve(
            name="misses",
            x_label="false-negative rate",
            y_label="true-negative rate",
            x=rates,
            y=rows[0],
            low=low if known else None,
            high=high if known else None,
        ),
    )


def thinned(
    x: Float[np.ndarray, " vertex"], y: Float[np.ndarray, " vertex"]
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """At most MAX_POINTS of the vertices, about evenly along the curve, with both ends."""
    if len(x) <= MAX_POINTS:
        return x, y
    length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    wanted = np.linspace(0, length[-1], MAX_POINTS - 1)
    at = np.unique(np.append(np.searchsorted(length, wanted).clip(0, len(x) - 1), len(x) - 1))
    return x[at], y[at]


def _roc(scores: Scores, positive: Labels, name: str) -> Curve:
    x, y = thinned(*roc_curve(scores, positive))
    return Curve(name=name, x_label="1 - specificity", y_label="sensitivity", x=x, y=y)
