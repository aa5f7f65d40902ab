"""What acting on a score is worth, counted by hand."""

import numpy as np

from fourview.evaluate.decision import decision_curves, net_benefit


def test_net_benefit_counts_what_is_acted_on():
    scores = np.array([0.1, 0.3, 0.3, 0.8])
    positive = np.array([False, True, False, True])
    got = net_benefit(scores, positive, np.array([0.3, 0.5]))
    np.testing.assert_allclose(got, [2 / 4 - 1 / 4 * 0.3 / 0.7, 1 / 4])
    model, everyone = decision_curves(scores, positive)
    assert model.y[0] == everyone.y[0] == positive.mean()  # at 0 everyone is recalled
