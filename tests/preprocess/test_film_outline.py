"""The outline of a breast on film is the best of all: by brute force."""

import numpy as np
import pytest

from fourview.preprocess.film_outline import COST, RAYS, Fan, _best


def test_the_outline_is_the_best_of_all_by_brute_force(monkeypatch):
    """Three rays, every combination of radii; neighbours agree less a course of their own."""
    monkeypatch.setattr("fourview.preprocess.film_outline.RAYS", 3)
    rng = np.random.default_rng(1)
    speaks = rng.normal(0, 3, (3, 12)).astype(np.float32)
    fan = Fan(
        level=speaks,
        inside=np.ones((3, 12), bool),
        at_wall=np.zeros((3, 12), bool),
        x_step=speaks,
        y_step=speaks,
        cos=np.ones(3),
        sin=np.zeros(3),
        x=0.0,
        y=0.0,
        slope=0.0,
        long_side=12,
    )
    course = np.array([2.0, 7.0, 3.0])
    radii = _best(fan, speaks, np.zeros(3, np.intp), np.full(3, 12), course)
    gain = np.concatenate([np.zeros((3, 1)), np.cumsum(speaks, axis=1)], axis=1)

    def worth(a, b, c):
        differ = abs((a - 2) - (b - 7)) + abs((b - 7) - (c - 3))
        return gain[0, a] + gain[1, b] + gain[2, c] - COST * differ

    best = max((worth(a, b, c), (a, b, c)) for a in range(13) for b in range(13) for c in range(13))
    assert worth(*radii) == pytest.approx(best[0], rel=1e-5)  # float32 sums
    assert RAYS > 100
