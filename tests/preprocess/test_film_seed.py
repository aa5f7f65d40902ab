"""Which component is the breast, on which side its chest wall is, and how sure that is."""

import numpy as np
import pytest

from fourview.preprocess.film import certainty_of
from fourview.preprocess.film_seed import breast_like


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
