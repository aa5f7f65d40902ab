"""From replicates to an interval: percentiles, or the meta-repository's indices."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Method = Literal["percentile", "metarepo"]
TAILS = (0.025, 0.975)  # of every interval here: 95 %


@dataclass(frozen=True, slots=True)
class Interval:
    """Ends of an interval and how many replicates it rests on; None where undefined."""

    low: float | None
    high: float | None
    num_used: int


def interval(values: Float[np.ndarray, " replicate"], method: Method = "percentile") -> Interval:
    """The 95 % interval of replicates; NaN ones (such as of one class only) are left out.

    Args:
        values: One number per replicate.
        method: ``percentile`` interpolates linearly between order statistics; ``metarepo`` takes
            the elements int(0.025 B) and int(0.975 B) of the B sorted replicates.

    >>> interval(np.arange(1001.0))
    Interval(low=25.0, high=975.0, num_used=1001)
    """
    kept = np.sort(values[~np.isnan(values)])
    if len(kept) == 0:
        return Interval(None, None, 0)
    if method == "metarepo":
        low, high = kept[int(TAILS[0] * len(kept))], kept[int(TAILS[1] * len(kept))]
    else:
        low, high = np.quantile(kept, TAILS)
    return Interval(float(low), float(high), len(kept))
