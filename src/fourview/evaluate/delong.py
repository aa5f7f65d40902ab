"""DeLong's variance of an area under the ROC curve and of a difference of two, from mid-ranks.

With ``cluster`` the variance is Obuchowski's, which allows for several units of one patient; where
every unit is its own cluster it is DeLong's to the digit.

References:
    [1] DeLong, DeLong, Clarke-Pearson 1988, Biometrics 44:837.
    [2] Sun, Xu 2014, "Fast implementation of DeLong's algorithm", IEEE SPL 21:1389.
    [3] Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data", Biometrics 53:567.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class DeLong:
    """An area (or a difference of two) with its variance and 95 % interval.

    ``p`` is two-sided, against no difference; None for a single area.
    """

    value: float
    variance: float
    low: float
    high: float
    p: float | None = None


def delong(
    scores: Float[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    cluster: Int[np.ndarray, " unit"] | None = None,
) -> DeLong:
    """The area under the ROC curve; its interval is cut to [0, 1].

    Raises:
        ValueError: A class has fewer than two units (or clusters): no variance.

    >>> scores = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    >>> area = delong(scores, np.array([True, True, False, True, False, False]))
    >>> round(area.value, 4), round(area.low, 4), round(area.high, 4)
    (0.8889, 0.5809, 1.0)
    """
    from scipy.stats import norm

    areas, covariance = delong_covariance(scores[None], positive, cluster)
    value, variance = float(areas[0]), float(covariance[0, 0])
    half = float(norm.ppf((1 + LEVEL) / 2)) * variance**0.5
    return DeLong(value, variance, max(0.0, value - half), min(1.0, value + half))


def delong_paired(
    scores_a: Float[np.ndarray, " unit"],
    scores_b: Float[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    cluster: Int[np.ndarray, " unit"] | None = None,
) -> DeLong:
    """The difference of two areas, A minus B, of two scores of the same units.

    Raises:
        ValueError: A class has fewer than two units (or clusters): no variance.

    >>> positive = np.array([True, True, False, True, False, False])
    >>> good = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    >>> poor = np.array([0.9, 0.1, 0.7, 0.3, 0.8, 0.2])
    >>> difference = delong_paired(good, poor, positive)
    >>> round(difference.value, 4), round(difference.p, 4)
    (0.4444, 0.1573)
    """
    from scipy.stats import norm

    areas, covariance = delong_covariance(np.stack([scores_a, scores_b]), positive, cluster)
    value = float(areas[0] - areas[1])
    # rounding can take the variance of two equal models below 0
    variance = max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 0.0)
    half = float(norm.ppf((1 + LEVEL) / 2)) * variance**0.5
    if variance > 0:
        p = 2 * float(norm.sf(abs(value) / variance**0.5))
    else:
        p = 1.0 if value == 0 else 0.0
    return DeLong(value, variance, value - half, value + half, p)


def delong_covariance(
    scores: Float[np.ndarray, "model unit"],
    positive: Bool[np.ndarray, " unit"],
    cluster: Int[np.ndarray, " unit"] | None = None,
) -> tuple[Float[np.ndarray, " model"], Float[np.ndarray, "model model"]]:
    """Areas of several scores of the same units, and their covariance matrix.

    Raises:
        ValueError: A class has fewer than two units (or clusters): no variance.

    >>> scores = np.array([[0.9, 0.8, 0.3, 0.1], [0.1, 0.3, 0.8, 0.9]])
    >>> areas, covariance = delong_covariance(scores, np.array([True, False, True, False]))
    >>> areas.tolist(), covariance.tolist()
    ([0.75, 0.25], [[0.125, -0.125], [-0.125, 0.125]])
    """
    from scipy.stats import rankdata

    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if min(num_positive, num_negative) < 2:
        raise ValueError(
            f"DeLong's variance needs 2 units of each class, got {num_positive} positive and"
            f" {num_negative} negative"
        )
    ranks = rankdata(scores, axis=1)
    own = rankdata(scores[:, positive], axis=1), rankdata(scores[:, ~positive], axis=1)
    of_positive = (ranks[:, positive] - own[0]) / num_negative  # V10 of [1]
    of_negative = 1 - (ranks[:, ~positive] - own[1]) / num_positive  # V01 of [1]
    areas = of_positive.mean(axis=1)
    placements = np.empty_like(ranks)  # each unit's deviation, over the size of its class
    placements[:, positive] = (of_positive - areas[:, None]) / num_positive
    placements[:, ~positive] = (of_negative - areas[:, None]) / num_negative
    if cluster is None:
        cluster = np.arange(len(positive))
    _, number = np.unique(cluster, return_inverse=True)
    return areas, _clustered(placements, positive, number)


def _clustered(
    placements: Float[np.ndarray, "model unit"],
    positive: Bool[np.ndarray, " unit"],
    number: Int[np.ndarray, " unit"],
) -> Float[np.ndarray, "model model"]:
    """Sum deviations within clusters and classes; then their products, as in [3, Eq. 3]."""
    size = int(number.max()) + 1
    sums = [
        np.stack([np.bincount(number[k], row[k], size) for row in placements])
        for k in (positive, ~positive)
    ]
    holding = [len(np.unique(number[k])) for k in (positive, ~positive)]
    if min(holding) < 2:
        raise ValueError("Obuchowski's variance needs 2 clusters with each class")
    within = [h / (h - 1) * s @ s.T for h, s in zip(holding, sums, strict=True)]
    across = sums[0] @ sums[1].T
    return np.asarray(within[0] + within[1] + size / (size - 1) * (across + across.T))
