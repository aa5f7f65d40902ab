"""Which component is the breast, on which side its chest wall is, and how sure that is."""

import numpy as np
import pytest

from fourview.preprocess.film import certainty_of
from fourview.preprocess.film_seed import HIGHER, breast_like, find_seeds


def test_a_half_disc_ends_at_its_straight_side_and_a_rectangle_nowhere():
    y, x = np.mgrid[0:200, 0:150]
    half = ((x / 90) ** 2 + ((y - 100) / 80) ** 2 < 1).astype(np.uint8)
    here, there = breast_like(half)[0], breast_like(np.ascontiguousarray(half[:, ::-1]))[0]
    assert here > 0.5 > 4 * there
    box = np.zeros_like(half)
    box[10:190, 20:140] = 1
    assert breast_like(box)[0] < 0.05


def test_certainty_is_even_for_two_equal_sides():
    assert certainty_of(0.3, 0.3) == 0.5
    assert certainty_of(0.0, 0.0) == 0.5
    assert certainty_of(0.4, 0.2) == pytest.approx(16 / 17)
    assert certainty_of(0.2, 0.4) == pytest.approx(1 / 17)


def test_components_of_higher_levels_come_after_the_lowest_and_hold_less():
    y, x = np.mgrid[0:192, 0:144]
    depth = np.sqrt((x / 90) ** 2 + ((y - 96) / 80) ** 2)
    shown = np.clip(1.1 - depth, 0.1, 1.0).astype(np.float32)  # fades towards the skin
    seeds = find_seeds(shown, np.ones(shown.shape, bool))
    assert len(seeds) == 1 + len(HIGHER) and {seed.wall for seed in seeds} == {"left"}
    levels = [seed.level for seed in seeds]
    assert levels == sorted(levels)
    areas = [int(seed.component.sum()) for seed in seeds]
    assert areas == sorted(areas, reverse=True) and areas[0] > areas[-1]
    assert find_seeds(np.zeros((64, 64), np.float32), np.ones((64, 64), bool)) == []
