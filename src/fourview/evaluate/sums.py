"""Weighted sums over a table for every replicate: confusion counts, calibration, agreement."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8, UInt16

from fourview.compiled import compiled

MAX_GROUPS = 255  # groups are numbered in one byte


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounts:
    """How many units each group has, by weight. A row has one number per group.

    Confusion counts are groups (class, segment between two thresholds); a confusion matrix is
    groups (true class, predicted class).
    """

    cluster: Int[np.ndarray, " unit"]
    group: UInt8[np.ndarray, " unit"]
    num_groups: int

    @classmethod
    def above_thresholds(
        cls,
        scores: Float[np.ndarray, " unit"],
        positive: Bool[np.ndarray, " unit"],
        cluster: Int[np.ndarray, " unit"],
        thresholds: Float[np.ndarray, " threshold"],
    ) -> "GroupCounts":
        """Groups for ``above``; a score equal to a threshold is above it.

        Raises:
            ValueError: There are more thresholds than one byte can number.
        """
        if len(thresholds) > MAX_GROUPS // 2:
            raise ValueError(f"{len(thresholds)} thresholds are too many; at most 127")
        segment = np.searchsorted(np.sort(thresholds), scores, side="right")
        group = segment + (len(thresholds) + 1) * positive.astype(np.int64)
        return cls(
            cluster=cluster.astype(np.int32),
            group=group.astype(np.uint8),
            num_groups=2 * (len(thresholds) + 1),
        )

    @property
    def width(self) -> int:
        """One number per group."""
        return self.num_groups

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        """Fill ``out`` for the given weights."""
        _count_groups(counts, self.cluster, self.group, out)


def above(
    rows: Float[np.ndarray, "row number"], thresholds: Float[np.ndarray, " threshold"]
) -> tuple[Float[np.ndarray, "2 row threshold"], Float[np.ndarray, "2 row 1"]]:
    """From rows of ``GroupCounts.above_thresholds``: how many are above each threshold.

    Returns:
        Units of class 0 and of class 1 at or above each threshold, and how many there are at all.
    """
    by_class = rows.reshape(len(rows), 2, -1).swapaxes(0, 1)
    from_top = np.flip(np.cumsum(np.flip(by_class, axis=2), axis=2), axis=2)
    # groups are between sorted thresholds; the answer is in the order in which they were given
    position = np.argsort(np.argsort(thresholds, kind="stable"), kind="stable")
    return from_top[:, :, 1:][:, :, position], from_top[:, :, :1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums of scores and labels, in all and in bins of the score.

    A row: sum of weights, of labels, of scores, of scores of positives, of squared errors; then for
    each bin the sum of labels and of scores.
    """

    cluster: Int[np.ndarray, " unit"]
    positive: Bool[np.ndarray, " unit"]
    scores: Float[np.ndarray, " unit"]
    bins: UInt8[np.ndarray, " unit"]
    num_bins: int

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, " unit"],
        positive: Bool[np.ndarray, " unit"],
        cluster: Int[np.ndarray, " unit"],
        *,
        num_bins: int,
    ) -> "Moments":
        """Bins of equal width over [0, 1], the last closed."""
        bins = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1)
        return cls(
            cluster=cluster.astype(np.int32),
            positive=positive,
            scores=scores,
            bins=bins.astype(np.uint8),
            num_bins=num_bins,
        )

    @property
    def width(self) -> int:
        """Five sums over all, two for each bin."""
        return 5 + 2 * self.num_bins

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        """Fill ``out`` for the given weights."""
        _moments(counts, self.cluster, self.positive, self.scores, self.bins, out)


@compiled
def _count_groups(
    counts: UInt16[np.ndarray, " cluster"],
    cluster: Int[np.ndarray, " unit"],
    group: UInt8[np.ndarray, " unit"],
    out: Float[np.ndarray, " number"],
) -> None:
    out[:] = 0.0
    for i in range(len(cluster)):
        out[group[i]] += counts[cluster[i]]


@compiled
def _moments(
    counts: UInt16[np.ndarray, " cluster"],
    cluster: Int[np.ndarray, " unit"],
    positive: Bool[np.ndarray, " unit"],
    scores: Float[np.ndarray, " unit"],
    bins: UInt8[np.ndarray, " unit"],
    out: Float[np.ndarray, " number"],
) -> None:
    out[:] = 0.0
    for i in range(len(cluster)):
        w = float(counts[cluster[i]])
        if w == 0.0:
            continue
        s = scores[i]
        y = 1.0 if positive[i] else 0.0
        out[0] += w
        out[1] += w * y
        out[2] += w * s
        out[3] += w * s * y
        out[4] += w * (s - y) * (s - y)
        out[5 + 2 * bins[i]] += w * y
        out[6 + 2 * bins[i]] += w * s
