"""The precision-recall curve and its two areas, which differ and are never named alike.

Joining the curve's points by straight lines (``auprc_trapezoid``, what the public meta-repository
calls AUPRC) is optimistic; the step sum (``average_precision``) is not.
"""

import numpy as np
from jaxtyping import Float

from fourview.evaluate.auc import Labels, Scores, counts_above
from fourview.evaluate.ranks import AUPRC_TRAPEZOID, AVERAGE_PRECISION, RankStatistic


def pr_curve(
    scores: Scores, positive: Labels
) -> tuple[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]]:
    """Recall and precision at every distinct threshold, from (0, 1) to (1, prevalence).

    Raises:
        ValueError: There is no positive unit.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> recall, precision = pr_curve(scores, positive)
    >>> recall.tolist(), precision.round(2).tolist()
    ([0.0, 0.5, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 0.67, 0.5])
    """
    fp, tp = counts_above(scores, positive)
    if tp[-1] == 0:
        raise ValueError("a precision-recall curve needs positive units")
    called = tp + fp
    return tp / tp[-1], np.where(called > 0, tp / np.maximum(called, 1), 1.0)


def auprc_trapezoid(scores: Scores, positive: Labels) -> float:
    """The area under straight lines between the points; NaN where one class is absent.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> round(auprc_trapezoid(scores, positive), 4)  # 1/2 and (1/2 + 2/3) / 4
    0.7917
    """
    return float(_row(scores, positive)[AUPRC_TRAPEZOID])


def average_precision(scores: Scores, positive: Labels) -> float:
    """The sum of precision times gain in recall; NaN where one class is absent.

    >>> scores = np.array([0.9, 0.8, 0.3, 0.1])
    >>> positive = np.array([True, False, True, False])
    >>> round(average_precision(scores, positive), 4)  # 1/2 and 2/3 / 2
    0.8333
    """
    return float(_row(scores, positive)[AVERAGE_PRECISION])


def _row(scores: Scores, positive: Labels) -> Float[np.ndarray, " number"]:
    cluster = np.zeros(len(scores), dtype=np.int32)
    statistic = RankStatistic.of(scores, positive, cluster, partial_from=1.0)
    out = np.full(statistic.width, np.nan)
    statistic.one(np.ones(1, dtype=np.uint16), out)
    return out
