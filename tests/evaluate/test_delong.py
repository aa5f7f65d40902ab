"""DeLong against its definition over all pairs, and against R's pROC."""

import numpy as np
import pytest

from fourview.evaluate.delong import delong, delong_covariance, delong_paired


def table(num_units=150, seed=20260727):
    rng = np.random.default_rng(seed)
    positive = rng.random(num_units) < 0.3
    a = np.round(rng.normal(size=num_units) + positive, 1)
    b = np.round(a / 2 + rng.normal(size=num_units) + positive / 3, 1)
    return a, b, positive


def placements(scores, positive):
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    wins = (pairs > 0) + 0.5 * (pairs == 0)
    return wins.mean(axis=1), wins.mean(axis=0)


def test_covariance_is_the_definition_over_all_pairs():
    a, b, positive = table()
    of_a, of_b = placements(a, positive), placements(b, positive)
    want = sum(np.cov(va, vb) / len(va) for va, vb in zip(of_a, of_b, strict=True))
    areas, covariance = delong_covariance(np.stack([a, b]), positive)
    assert areas == pytest.approx([of_a[0].mean(), of_b[0].mean()], abs=1e-14)
    np.testing.assert_allclose(covariance, want, rtol=1e-12)  # float64, sums in another order


@pytest.mark.parametrize(("positive", "enough"), [((1, 1, 0, 0), True), ((1, 1, 0), False)])
def test_two_units_of_each_class_are_enough_and_needed(positive, enough):
    known = np.array(positive) == 1
    scores = np.arange(len(known), 0.0, -1)[None] % 3
    if not enough:
        with pytest.raises(ValueError, match="2 positive and 1 negative"):
            delong_covariance(scores, known)
        return
    of_positive, of_negative = placements(scores[0], known)
    _, covariance = delong_covariance(scores, known)
    want = np.var(of_positive, ddof=1) / 2 + np.var(of_negative, ddof=1) / 2
    assert want > 0 and covariance[0, 0] == pytest.approx(want)


def test_figures_are_those_of_proc():
    """The table above, written as CSV with columns y, a, b, and in R 4.2.2 with pROC 1.18.0.

    a <- roc(t$y, t$a, direction="<"); b <- roc(t$y, t$b, direction="<")
    auc(a); auc(b); var(a, method="delong"); var(b, method="delong"); cov(a, b, method="delong")
    ci.auc(a, method="delong"); roc.test(a, b, method="delong")
    """
    a, b, positive = table()
    areas, covariance = delong_covariance(np.stack([a, b]), positive)
    assert areas == pytest.approx([0.79502118644067798, 0.74377648305084743], abs=1e-12)
    want = [0.0023883787804900676, 0.00066055113518249193, 0.0020568057939139035]
    assert covariance[[0, 0, 1], [0, 1, 1]] == pytest.approx(want, rel=1e-12)
    single, paired = delong(a, positive), delong_paired(a, b, positive)
    assert (single.low, single.high) == pytest.approx(
        (0.69923570354544884, 0.89080666933590713), abs=1e-12
    )
    assert paired.value / paired.variance**0.5 == pytest.approx(0.91682775107625825, rel=1e-12)
    assert paired.p == pytest.approx(0.35923290819053227, rel=1e-12)
    assert (paired.low, paired.high) == pytest.approx(
        (-0.058304525377080377, 0.16079393215674148), abs=1e-12
    )


def test_clustered_variance_is_obuchowskis_formula_written_out():
    a, _, positive = table()
    cluster = np.arange(150) // 3
    v10, v01 = placements(a, positive)
    theta, m, n = v10.mean(), len(v10), len(v01)
    of_unit = np.empty(150)
    of_unit[positive], of_unit[~positive] = v10, v01
    x, y = [], []
    for c in range(50):
        here = cluster == c
        x.append(np.sum(of_unit[here & positive]) - theta * np.sum(here & positive))
        y.append(np.sum(of_unit[here & ~positive]) - theta * np.sum(here & ~positive))
    with_p = len(np.unique(cluster[positive]))
    with_n = len(np.unique(cluster[~positive]))
    s10 = with_p / ((with_p - 1) * m) * np.dot(x, x)
    s01 = with_n / ((with_n - 1) * n) * np.dot(y, y)
    s11 = 50 / 49 * np.dot(x, y)
    want = s10 / m + s01 / n + 2 * s11 / (m * n)
    assert delong(a, positive, cluster).variance == pytest.approx(want, rel=1e-12)
    assert delong(a, positive, np.arange(150)).variance == pytest.approx(
        delong(a, positive).variance, rel=1e-12
    )


def test_equal_scores_do_not_differ():
    a, _, positive = table()
    assert delong_paired(a, a, positive).p == 1.0
    assert delong_paired(a, 2 * a, positive).value == 0.0


def test_test_of_no_difference_has_its_size():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(300):
        positive = rng.random(120) < 0.4
        shared = rng.normal(size=120) + positive
        a, b = shared + rng.normal(size=120), shared + rng.normal(size=120)
        p.append(delong_paired(a, b, positive).p)
    # 5 % of 300 is 15; the band is four standard deviations of a binomial
    assert abs(np.sum(np.array(p) < 0.05) - 15) < 4 * (300 * 0.05 * 0.95) ** 0.5


def test_one_positive_unit_has_no_variance():
    with pytest.raises(ValueError, match="1 positive"):
        delong(np.array([0.1, 0.2, 0.3]), np.array([True, False, False]))
