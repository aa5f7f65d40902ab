"""Do 95 % intervals hold the true area 95 times in 100? On simulated women of four images."""

import numpy as np
import pytest
from scipy.stats import norm

from fourview.evaluate.delong import delong
from fourview.evaluate.interval import interval
from fourview.evaluate.ranks import AUROC, RankStatistic
from fourview.evaluate.resample import Resampling, bootstrap

WOMEN, IMAGES = 300, 4
OF_WOMAN, OF_BREAST, OF_IMAGE, SHIFT = 0.8, 0.5, 0.4, 1.3  # deviations of the score, and its gain
SPREAD = (OF_WOMAN**2 + OF_BREAST**2 + OF_IMAGE**2) ** 0.5
TRUTH = float(norm.cdf(SHIFT / (2**0.5 * SPREAD)))  # two independent women, one with cancer


def simulate(rng):
    """Four images a woman, two a breast; 30 % of women have cancer in one breast."""
    woman = np.repeat(np.arange(WOMEN), IMAGES)
    breast = np.repeat(np.arange(2 * WOMEN), IMAGES // 2)
    ill = np.zeros(2 * WOMEN, dtype=bool)
    ill[2 * np.arange(WOMEN) + rng.integers(0, 2, WOMEN)] = rng.random(WOMEN) < 0.3
    scores = (
        OF_WOMAN * rng.normal(size=WOMEN)[woman]
        + OF_BREAST * rng.normal(size=2 * WOMEN)[breast]
        + OF_IMAGE * rng.normal(size=len(woman))
        + SHIFT * ill[breast]
    )
    return scores, ill[breast], woman


def coverage(num_sets, replicates):
    """Share of data sets whose interval holds the truth: by patient, by image, Obuchowski's."""
    rng = np.random.default_rng(20260727)
    held = np.zeros(3)
    for k in range(num_sets):
        scores, positive, woman = simulate(rng)
        ends = []
        for cluster in (woman, np.arange(len(woman))):
            drawn = Resampling(
                cluster=cluster.astype(np.int32),
                num_clusters=int(cluster.max()) + 1,
                replicates=replicates,
                seed=k,
            )
            statistic = RankStatistic.of(scores, positive, cluster, partial_from=1.0)
            ends.append(interval(bootstrap(statistic, drawn)[1:, AUROC]))
        ends.append(delong(scores, positive, woman))
        held += [e.low <= TRUTH <= e.high for e in ends]
    return held / num_sets


def test_intervals_by_patient_hold_the_truth_and_those_by_image_do_not():
    by_patient, by_image, obuchowski = coverage(100, 250)
    # a binomial of 100 at 0.95 has a deviation of 0.022: three of them
    assert by_patient == pytest.approx(0.95, abs=0.066)
    assert obuchowski == pytest.approx(0.95, abs=0.066)
    assert by_image < by_patient - 0.03


@pytest.mark.slow
def test_a_thousand_data_sets_cover_93_to_97_percent_by_patient():
    by_patient, by_image, obuchowski = coverage(1000, 2000)
    assert 0.93 <= by_patient <= 0.97
    assert 0.93 <= obuchowski <= 0.97
    assert by_image < 0.90
