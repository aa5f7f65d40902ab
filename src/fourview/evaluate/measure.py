"""Metric names to columns: one value for the table and one for each replicate.

A column is an array whose entry 0 is the table's own value and whose other entries are the
replicates'. NaN is undefined.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from fourview.evaluate.ranks import (
    AUPRC_TRAPEZOID,
    AUROC,
    AVERAGE_PRECISION,
    FIXED_COLUMNS,
    PARTIAL_AUC,
    RankStatistic,
)
from fourview.evaluate.resample import Resampling, bootstrap
from fourview.evaluate.sums import GroupCounts, Moments, above
from fourview.evaluate.units import Units

Column = Float[np.ndarray, " row"]
Columns = dict[str, Column]
CALIBRATION_BINS = 10
ARGMAX = float(np.nextafter(0.5, 1.0))  # of two classes: the second wins if above one half
_AREAS = {
    "auroc": AUROC,
    "auprc_trapezoid": AUPRC_TRAPEZOID,
    "average_precision": AVERAGE_PRECISION,
    "partial_auc": PARTIAL_AUC,
}
OWN_POINTS = ("specificity_at_sensitivity_", "tnr_at_fnr_", "specificity_near_sensitivity_")


def rank_columns(units: Units, metrics: tuple[str, ...], resampling: Resampling) -> Columns:
    """Areas, and specificities at operating points that the protocol reads off the curve itself."""
    names: list[list[str]] = [[m for m in metrics if m.startswith(p)] for p in OWN_POINTS]
    values = [tuple(float(m.rsplit("_", 1)[1]) for m in kind) for kind in names]
    statistic = RankStatistic.of(
        units.scores,
        units.positive,
        resampling.cluster,
        partial_from=0.8 if "partial_auc" in metrics else 1.0,  # 1 computes none
        min_sensitivity=values[0],
        max_fnr=values[1],
        nearest_sensitivity=values[2],
    )
    rows = bootstrap(statistic, resampling)
    out = {name: rows[:, i] for name, i in _AREAS.items() if name in metrics}
    points = [name for kind in names for name in kind]
    return out | {name: rows[:, FIXED_COLUMNS + i] for i, name in enumerate(points)}


def probability_columns(units: Units, resampling: Resampling) -> Columns:
    """Brier score, calibration error and probabilistic F1; empty for scores outside [0, 1].

    The calibration error is the mean over 10 bins of equal width of |mean score - share of
    positives|, weighted by the bins' sizes (Naeini et al. 2015). Probabilistic F1 takes scores as
    fractional answers (Yacouby and Axman 2020).
    """
    scores = units.scores
    if scores.min() < 0 or scores.max() > 1:
        return {}
    statistic = Moments.of(scores, units.positive, resampling.cluster, num_bins=CALIBRATION_BINS)
    rows = bootstrap(statistic, resampling)
    total, labels, sums, hits, squares = rows[:, :5].T
    gaps = np.abs(rows[:, 5::2] - rows[:, 6::2]).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / sums, hits / labels
        f1 = 2 * precision * recall / (precision + recall)
        return {
            "brier": squares / total,
            "calibration_error": gaps / total,
            "probabilistic_f1": f1,
        }


def threshold_columns(
    units: Units, thresholds: Mapping[str, float], resampling: Resampling
) -> Columns:
    """Confusion figures at each threshold, and what they mean for 1,000 exams.

    An exam is recalled if a breast of it is; a cancer is found if its own breast is recalled. The
    names are ``METRIC (THRESHOLD)``, or the metric alone for a threshold without a name.
    """
    cuts = np.array(list(thresholds.values()), dtype=np.float64)
    statistic = GroupCounts.above_thresholds(units.scores, units.positive, resampling.cluster, cuts)
    counted, totals = above(bootstrap(statistic, resampling), cuts)
    figures = confusion(counted[1], counted[0], totals[1], totals[0])
    figures |= _per_thousand_exams(units, cuts, resampling)
    return {
        at_threshold(metric, name): values[:, i]
        for i, name in enumerate(thresholds)
        for metric, values in figures.items()
    }


def at_threshold(metric: str, name: str) -> str:
    """The metric's name at a threshold of that name.

    >>> at_threshold("sensitivity", "specificity-0.90")
    'sensitivity (specificity-0.90)'
    """
    return f"{metric} ({name})" if name else metric


def confusion(
    tp: Float[np.ndarray, "*many"],
    fp: Float[np.ndarray, "*many"],
    num_positive: Float[np.ndarray, "*other"],
    num_negative: Float[np.ndarray, "*other"],
) -> dict[str, Float[np.ndarray, "*many"]]:
    """What four counts say; NaN where a share has no denominator.

    Three of four cancers are found, with two false alarms among six:

    >>> shares = confusion(*(np.array([float(n)]) for n in (3, 2, 4, 6)))
    >>> {name: shares[name].round(3).tolist() for name in ("sensitivity", "specificity", "ppv")}
    {'sensitivity': [0.75], 'specificity': [0.667], 'ppv': [0.6]}
    """
    fn, tn = num_positive - tp, num_negative - fp
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = tp / num_positive, tn / num_negative
        return {
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }


def _per_thousand_exams(
    units: Units, cuts: Float[np.ndarray, " threshold"], resampling: Resampling
) -> dict[str, Float[np.ndarray, "row threshold"]]:
    """Recalls and cancers found; kind 0 holds every exam's highest score, 1 that of its cancers."""
    frame = units.frame.select("exam_id", "score", "label", cluster=resampling.cluster)
    if frame["exam_id"].null_count():
        return {}
    cancer = pl.col("score").filter(pl.col("label") == 1).max().alias("cancer")
    exams = frame.group_by("exam_id", maintain_order=True).agg(
        pl.col("score").max(), cancer, pl.col("cluster").first()
    )
    with_cancer = exams.filter(pl.col("cancer").is_not_null())
    statistic = GroupCounts.above_thresholds(
        np.concatenate([exams["score"].to_numpy(), with_cancer["cancer"].to_numpy()]),
        np.repeat([False, True], [len(exams), len(with_cancer)]),
        np.concatenate([exams["cluster"].to_numpy(), with_cancer["cluster"].to_numpy()]),
        cuts,
    )
    (recalled, found), (num_exams, _) = above(bootstrap(statistic, resampling), cuts)
    return {
        "recall_rate_per_1000": 1000 * recalled / num_exams,
        "cancers_found_per_1000": 1000 * found / num_exams,
    }


def multiclass_columns(units: Units, metrics: tuple[str, ...], resampling: Resampling) -> Columns:
    """Balanced accuracy at argmax and the unweighted mean of one-against-rest areas.

    Both are means over all classes of the protocol: undefined where one has no unit.
    """
    scores, labels = units.class_scores, units.labels
    out: Columns = {}
    if "macro_auroc" in metrics:
        areas = [
            bootstrap(
                RankStatistic.of(scores[:, c], labels == c, resampling.cluster, partial_from=1.0),
                resampling,
            )[:, AUROC]
            for c in range(units.num_classes)
        ]
        out["macro_auroc"] = np.mean(areas, axis=0)
    if "balanced_accuracy" in metrics:
        out["balanced_accuracy"] = _balanced_accuracy(
            labels, scores.argmax(axis=1), units.num_classes, resampling
        )
    return out


def _balanced_accuracy(
    labels: Int[np.ndarray, " unit"],
    predicted: Int[np.ndarray, " unit"],
    num_classes: int,
    resampling: Resampling,
) -> Column:
    statistic = GroupCounts(
        cluster=resampling.cluster,
        group=(labels.astype(np.int64) * num_classes + predicted).astype(np.uint8),
        num_groups=num_classes**2,
    )
    matrices = bootstrap(statistic, resampling).reshape(-1, num_classes, num_classes)
    with np.errstate(invalid="ignore"):
        recalls = np.diagonal(matrices, axis1=1, axis2=2) / matrices.sum(axis=2)
    return np.asarray(recalls.mean(axis=1))
