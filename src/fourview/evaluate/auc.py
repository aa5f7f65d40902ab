"""The ROC curve, its area and points on it. Higher scores mean more suspicion; ties count half.

Each number is NaN where one class is absent. Intervals are made by ``run``; these functions are for
a single value.
"""

import numpy as np
from jaxtyping import Bool, Float

from fourview.evaluate.ranks import AUROC, FIXED_COLUMNS, PARTIAL_AUC, RankStatistic

Scores = Float[np.ndarray, " unit"]
Labels = Bool[np.ndarray, " unit"]


def roc_curve(
    scores: Scores, positive: Labels
) -> tuple[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]]:
    """All vertices: false-positive rate and sensitivity, from (0, 0) to (1, 1).

    Raises:
        ValueError: One class is absent.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> rates, sensitivities = roc_curve(scores, positive)
    >>> rates.tolist(), sensitivities.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    fp, tp = counts_above(scores, positive)
    if tp[-1] == 0 or fp[-1] == 0:
        raise ValueError("a ROC curve needs positive and negative units")
    return fp / fp[-1], tp / tp[-1]


def counts_above(
    scores: Scores, positive: Labels
) -> tuple[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]]:
    """False and true positives at every distinct threshold, the first above all scores.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> false, true = counts_above(scores, positive)
    >>> false.tolist(), true.tolist()
    ([0.0, 0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 1.0, 2.0, 2.0])
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    tp = np.cumsum(positive[order])[last]
    zero = np.zeros(1)
    return np.append(zero, last + 1 - tp), np.append(zero, tp)


def auroc(scores: Scores, positive: Labels) -> float:
    """The area under the ROC curve: how often a positive unit outranks a negative one.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> auroc(scores, positive)  # three of four pairs are in order
    0.75
    """
    return float(_row(scores, positive)[AUROC])


def partial_auc(scores: Scores, positive: Labels, *, min_sensitivity: float = 0.8) -> float:
    """Mean specificity over sensitivities from ``min_sensitivity`` to 1 (0.1 by chance for 0.8).

    References:
        Jiang, Metz, Nishikawa 1996, Radiology 201:745.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> partial_auc(scores, positive)
    0.5
    """
    return float(_row(scores, positive, partial_from=min_sensitivity)[PARTIAL_AUC])


def specificity_at_sensitivity(scores: Scores, positive: Labels, sensitivity: float) -> float:
    """Specificity at the first ROC vertex whose sensitivity is at least the given one.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> specificity_at_sensitivity(scores, positive, 0.9)  # all positives: 0.3 and above
    0.5
    """
    return float(_row(scores, positive, min_sensitivity=(sensitivity,))[FIXED_COLUMNS])


def specificity_near_sensitivity(scores: Scores, positive: Labels, sensitivity: float) -> float:
    """Specificity at the ROC vertex nearest in sensitivity, the first of several.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> specificity_near_sensitivity(scores, positive, 0.6)  # nearest is 0.5, at 0.9 and above
    1.0
    """
    return float(_row(scores, positive, nearest_sensitivity=(sensitivity,))[FIXED_COLUMNS])


def tnr_at_fnr(scores: Scores, positive: Labels, fnr: float) -> float:
    """Share of negatives strictly below the highest threshold that misses at most ``fnr``.

    Of P positives floor(fnr P) may be missed: the threshold is the next-lowest positive score.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> tnr_at_fnr(scores, positive, 0.5), tnr_at_fnr(scores, positive, 0.0)
    (1.0, 0.5)
    """
    return float(_row(scores, positive, max_fnr=(fnr,))[FIXED_COLUMNS])


def _row(
    scores: Scores,
    positive: Labels,
    *,
    partial_from: float = 1.0,
    min_sensitivity: tuple[float, ...] = (),
    max_fnr: tuple[float, ...] = (),
    nearest_sensitivity: tuple[float, ...] = (),
) -> Float[np.ndarray, " number"]:
    statistic = RankStatistic.of(
        scores,
        positive,
        np.zeros(len(scores), dtype=np.int32),
        partial_from=partial_from,
        min_sensitivity=min_sensitivity,
        max_fnr=max_fnr,
        nearest_sensitivity=nearest_sensitivity,
    )
    out = np.full(statistic.width, np.nan)
    statistic.one(np.ones(1, dtype=np.uint16), out)
    return out
