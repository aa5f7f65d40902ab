"""From replicates to an interval: percentile, the meta-repository's indices, BCa."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

Method = Literal["percentile", "metarepo", "bca"]
TAILS = (0.025, 0.975)  # of every interval here: 95 %


@dataclass(frozen=True, slots=True)
class Interval:
    """Ends of an interval and how many replicates it rests on; None where undefined."""

    low: float | None
    high: float | None
    num_used: int


def interval(
    values: Float[np.ndarray, " replicate"],
    method: Method = "percentile",
    *,
    point: float = float("nan"),
    jackknife: Float[np.ndarray, " group"] | None = None,
) -> Interval:
    """The 95 % interval of replicates; NaN ones (such as of one class only) are left out.

    Args:
        values: One number a replicate.
        method: ``percentile`` interpolates linearly between order statistics; ``metarepo`` takes
            the elements int(0.025 B) and int(0.975 B) of the B sorted replicates; ``bca`` corrects
            bias and acceleration.
        point: The statistic of the table itself; read by ``bca`` only.
        jackknife: The statistic with each group of clusters left out; read by ``bca`` only.

    References:
        Efron 1987, "Better bootstrap confidence intervals", JASA 82:171 (BCa).
    """
    kept = np.sort(values[~np.isnan(values)])
    if len(kept) == 0:
        return Interval(None, None, 0)
    if method == "metarepo":
        low, high = kept[int(TAILS[0] * len(kept))], kept[int(TAILS[1] * len(kept))]
    else:
        tails = TAILS
        if method == "bca":
            if jackknife is None:
                raise ValueError("bca needs the jackknife values of the statistic")
            tails = bca_tails(kept, point, jackknife)
        low, high = np.quantile(kept, tails)
    return Interval(float(low), float(high), len(kept))


def bca_tails(
    values: Float[np.ndarray, " replicate"], point: float, jackknife: Float[np.ndarray, " group"]
) -> tuple[float, float]:
    """Which quantiles of the replicates are the ends of the BCa interval [Efron 1987, Eq. 2.3].

    Ties with the point count by half, since replicates of counts are discrete. Where every
    replicate is on one side of the point the correction is undefined, and the plain tails return.
    """
    share = float(np.mean(values < point) + 0.5 * np.mean(values == point))
    deviation = np.nanmean(jackknife) - jackknife[~np.isnan(jackknife)]
    spread = float(np.sum(deviation**2))
    if not 0 < share < 1 or spread == 0:
        return TAILS
    bias = norm.ppf(share)
    acceleration = float(np.sum(deviation**3)) / (6 * spread**1.5)
    shifted = bias + norm.ppf(TAILS)
    low, high = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return float(low), float(high)
