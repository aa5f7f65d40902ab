"""How well scores are probabilities: the Brier score, the calibration curve and its error."""

import numpy as np
from jaxtyping import Bool, Float

from fourview.entities import Curve
from fourview.evaluate.wilson import wilson

NUM_BINS = 10


def brier(scores: Float[np.ndarray, " unit"], positive: Bool[np.ndarray, " unit"]) -> float:
    """Mean squared distance of scores from 0 and 1; 0 is perfect.

    >>> round(brier(np.array([0.9, 0.2]), np.array([True, False])), 4)  # (0.01 + 0.04) / 2
    0.025
    """
    return float(np.mean((scores - positive) ** 2))


def calibration_error(
    scores: Float[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    *,
    num_bins: int = NUM_BINS,
) -> float:
    """Mean gap of score and share of positives over bins of equal width, weighted by their sizes.

    References:
        Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian
        binning", AAAI.

    Four units in one bin: a mean score of 0.45 against a quarter of positives.

    >>> scores, positive = np.full(4, 0.45), np.array([True, False, False, False])
    >>> round(calibration_error(scores, positive), 4)
    0.2
    """
    bins = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1)
    gaps = np.bincount(bins, scores - positive, num_bins)
    return float(np.abs(gaps).sum() / len(scores))


def calibration_curve(
    scores: Float[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    *,
    num_bins: int = NUM_BINS,
) -> Curve:
    """Share of positives over mean score, in bins of equal size, with Wilson's intervals.

    Units with equal scores stay in one bin, so there may be fewer bins than asked for.

    >>> scores = np.array([0.1, 0.2, 0.7, 0.8])
    >>> curve = calibration_curve(scores, np.array([False, False, True, False]), num_bins=2)
    >>> curve.x.round(2).tolist(), curve.y.tolist()
    ([0.15, 0.75], [0.0, 0.5])
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    cuts = np.searchsorted(ranked, ranked[len(ranked) * np.arange(1, num_bins) // num_bins])
    bounds = np.unique([0, *cuts, len(ranked)])
    sizes = np.diff(bounds)
    hits = np.add.reduceat(positive[order].astype(np.float64), bounds[:-1])
    ends = np.array([wilson(int(h), int(n)) for h, n in zip(hits, sizes, strict=True)])
    return Curve(
        name="calibration",
        x_label="mean score",
        y_label="share of positives",
        x=np.add.reduceat(ranked, bounds[:-1]) / sizes,
        y=hits / sizes,
        low=ends[:, 0],
        high=ends[:, 1],
    )
