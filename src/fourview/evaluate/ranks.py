"""Everything that depends on the order of scores alone, for a weighted table, in one pass.

The table is sorted once. A replicate is a weight for each unit, so its ROC and precision-recall
curves are read off in one walk from the highest score down, with no second sort. The walk stops at
*rises* only: distinct scores that hold a positive, where sensitivity grows.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt16

from fourview.compiled import compiled

AUROC, AUPRC_TRAPEZOID, AVERAGE_PRECISION, PARTIAL_AUC, NUM_POSITIVE, NUM_NEGATIVE = range(6)
FIXED_COLUMNS = 6
ROUNDING = 1e-9  # 0.85 of 20 positives is 17, not 18


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStatistic:
    """A table sorted by score, ready for any weights.

    Attributes:
        positives: Clusters of the positive units, highest score first.
        negatives: Clusters of the negative units, highest score first.
        rise_end: For each rise, how many positives have its score or a higher one.
        above: For each rise, how many negatives have a higher score.
        above_or_tied: For each rise, how many negatives have its score or a higher one.
        partial_from: Lower end of the sensitivity range of the partial area; its upper end is 1.
        min_sensitivity: Sensitivities at which the specificity is asked for.
        max_fnr: False-negative rates at which the true-negative rate is asked for.
        nearest_sensitivity: Sensitivities at whose nearest ROC vertex specificity is asked for.
    """

    positives: Int[np.ndarray, " positive"]
    negatives: Int[np.ndarray, " negative"]
    rise_end: Int[np.ndarray, " rise"]
    above: Int[np.ndarray, " rise"]
    above_or_tied: Int[np.ndarray, " rise"]
    partial_from: float = 0.8
    min_sensitivity: tuple[float, ...] = ()
    max_fnr: tuple[float, ...] = ()
    nearest_sensitivity: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        scores: Float[np.ndarray, " unit"],
        positive: Bool[np.ndarray, " unit"],
        cluster: Int[np.ndarray, " unit"],
        *,
        partial_from: float = 0.8,
        min_sensitivity: tuple[float, ...] = (),
        max_fnr: tuple[float, ...] = (),
        nearest_sensitivity: tuple[float, ...] = (),
    ) -> "RankStatistic":
        """Sort a table. Higher scores mean more suspicion."""
        order_p = np.flatnonzero(positive)[np.argsort(-scores[positive], kind="stable")]
        order_n = np.flatnonzero(~positive)[np.argsort(-scores[~positive], kind="stable")]
        down_p, down_n = -scores[order_p], -scores[order_n]
        ends = np.flatnonzero(np.append(down_p[1:] != down_p[:-1], [True] * (len(down_p) > 0))) + 1
        at = down_p[ends - 1]
        return cls(
            positives=cluster[order_p].astype(np.int32),
            negatives=cluster[order_n].astype(np.int32),
            rise_end=ends.astype(np.int64),
            above=np.searchsorted(down_n, at, side="left").astype(np.int64),
            above_or_tied=np.searchsorted(down_n, at, side="right").astype(np.int64),
            partial_from=partial_from,
            min_sensitivity=min_sensitivity,
            max_fnr=max_fnr,
            nearest_sensitivity=nearest_sensitivity,
        )

    @property
    def width(self) -> int:
        """Columns of a row: the fixed ones, then one for each operating point asked for."""
        points = len(self.min_sensitivity) + len(self.max_fnr) + len(self.nearest_sensitivity)
        return FIXED_COLUMNS + points

    def one(
        self, counts: UInt16[np.ndarray, " cluster"], out: Float[np.ndarray, " number"]
    ) -> None:
        """Fill ``out`` for the given weights; everything but the counts is NaN for one class."""
        steps = np.empty((3, len(self.rise_end)), dtype=np.int64)
        num_steps = areas(
            counts,
            self.positives,
            self.negatives,
            self.rise_end,
            self.above,
            self.above_or_tied,
            steps,
            out,
        )
        if num_steps == 0 or out[NUM_NEGATIVE] == 0:
            out[FIXED_COLUMNS:] = np.nan
            return
        steps = steps[:, :num_steps]
        if self.partial_from < 1:
            out[PARTIAL_AUC] = partial_area(steps, out[NUM_NEGATIVE], self.partial_from)
        if self.width > FIXED_COLUMNS:
            self._points(steps, int(out[NUM_NEGATIVE]), out[FIXED_COLUMNS:])

    def _points(
        self,
        steps: Int[np.ndarray, "3 rise"],
        num_negative: int,
        out: Float[np.ndarray, " point"],
    ) -> None:
        reached, below, above = steps
        total = int(reached[-1])
        needed = [np.ceil(s * total - ROUNDING) for s in self.min_sensitivity]
        needed += [total - np.floor(f * total + ROUNDING) for f in self.max_fnr]
        at = np.searchsorted(reached, np.maximum(needed, 1))
        out[: len(needed)] = (num_negative - above[at]) / num_negative
        for i, wanted in enumerate(self.nearest_sensitivity, start=len(needed)):
            rates = np.append(0.0, reached / total)
            nearest = int(np.argmin(np.abs(rates - wanted)))
            fewest = above[nearest - 1] if nearest else 0
            out[i] = (num_negative - fewest) / num_negative
        del below


@compiled
def areas(
    counts: UInt16[np.ndarray, " cluster"],
    positives: Int[np.ndarray, " positive"],
    negatives: Int[np.ndarray, " negative"],
    rise_end: Int[np.ndarray, " rise"],
    above: Int[np.ndarray, " rise"],
    above_or_tied: Int[np.ndarray, " rise"],
    steps: Int[np.ndarray, "3 rise"],
    out: Float[np.ndarray, " number"],
) -> int:
    """Walk down the scores; fill the area columns of ``out`` and the steps of the ROC curve.

    A step is (true positives after it, false positives before it, false positives after it), all
    weighted. Sums are of integers, so nothing is lost. Returns how many steps there are.
    """
    tp, fp, num_steps = 0, 0, 0
    p, n = 0, 0
    inverted = 0  # twice the weighted number of pairs ranked wrongly, ties counted once
    trapezoid, average = 0.0, 0.0
    for r in range(len(rise_end)):
        while n < above[r]:
            fp += counts[negatives[n]]
            n += 1
        before = fp
        while n < above_or_tied[r]:
            fp += counts[negatives[n]]
            n += 1
        rise = 0
        while p < rise_end[r]:
            rise += counts[positives[p]]
            p += 1
        if rise == 0:
            continue
        left = tp / (tp + before) if tp + before > 0 else 1.0
        tp += rise
        right = tp / (tp + fp)
        inverted += rise * (before + fp)
        trapezoid += rise * (left + right)
        average += rise * right
        steps[0, num_steps] = tp
        steps[1, num_steps] = before
        steps[2, num_steps] = fp
        num_steps += 1
    while n < len(negatives):
        fp += counts[negatives[n]]
        n += 1
    out[NUM_POSITIVE] = tp
    out[NUM_NEGATIVE] = fp
    if tp > 0 and fp > 0:
        out[AUROC] = 1.0 - inverted / (2.0 * tp * fp)
        out[AUPRC_TRAPEZOID] = trapezoid / (2.0 * tp)
        out[AVERAGE_PRECISION] = average / tp
    else:
        out[AUROC] = out[AUPRC_TRAPEZOID] = out[AVERAGE_PRECISION] = np.nan
        out[PARTIAL_AUC] = np.nan
    return num_steps


@compiled
def partial_area(steps: Int[np.ndarray, "3 rise"], num_negative: float, low: float) -> float:
    """Mean specificity over sensitivities from ``low`` to 1, the empirical ROC joined by lines.

    References:
        Jiang, Metz, Nishikawa 1996, "A receiver operating characteristic partial area index for
        highly sensitive diagnostic tests", Radiology 201:745.
    """
    total = steps[0, -1]
    area, start = 0.0, 0.0
    for s in range(steps.shape[1]):
        end = steps[0, s] / total
        if end > low:
            high_spec = 1.0 - steps[1, s] / num_negative
            low_spec = 1.0 - steps[2, s] / num_negative
            cut = max(start, low)
            at_cut = high_spec + (low_spec - high_spec) * (cut - start) / (end - start)
            area += (end - cut) * (at_cut + low_spec) / 2.0
        start = end
    return area / (1.0 - low)
