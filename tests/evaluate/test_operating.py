"""A chosen threshold meets its rule, and no other does that is better."""

import numpy as np

from fourview.evaluate.operating import choose_threshold


def test_a_chosen_threshold_meets_its_rule_and_the_next_one_would_not():
    rng = np.random.default_rng(5)
    positive = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + positive, 1)
    steps = np.unique(scores)
    cut = choose_threshold(scores, positive, "sensitivity-0.90")
    assert np.mean(scores[positive] >= cut) >= 0.9
    assert np.mean(scores[positive] >= steps[steps > cut][0]) < 0.9
    cut = choose_threshold(scores, positive, "specificity-0.90")
    assert np.mean(scores[~positive] < cut) >= 0.9
    assert np.mean(scores[~positive] < steps[steps < cut][-1]) < 0.9
    assert choose_threshold(scores, np.zeros(300, dtype=bool), "youden") is None
