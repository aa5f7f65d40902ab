"""Wilson's interval is where the score test has its critical value."""

import numpy as np
import pytest
from scipy import stats

from fourview.evaluate.wilson import wilson


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (7, 10), (10, 10), (1, 3000)])
def test_wilson_is_where_the_score_test_has_its_critical_value(hits, trials):
    """Its ends are the proportions p with (hits / n - p)^2 = z^2 p (1 - p) / n."""
    share, z2 = hits / trials, stats.norm.ppf(0.975) ** 2
    want = np.roots([1 + z2 / trials, -(2 * share + z2 / trials), share**2])
    assert wilson(hits, trials) == pytest.approx(sorted(want.real), abs=1e-9)


def test_wilson_refuses_nothing_tried():
    with pytest.raises(ValueError, match="0 trials"):
        wilson(0, 0)
