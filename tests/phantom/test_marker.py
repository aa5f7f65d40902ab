"""The marker of a view."""

import numpy as np

from fourview.phantom.marker import burn_marker, text_bitmap


def test_a_marker_goes_to_the_lower_corner_or_nowhere_when_the_breast_is_in_its_way():
    free = np.zeros((192, 96), np.uint16)
    assert burn_marker(free, "L CC", 1.2, mirrored=False, value=9, box_value=None)
    assert free[:40].any()
    assert not free[:, :40].any()
    assert (free > 0).sum() == text_bitmap("L CC", 1).sum()
    upper = np.zeros((192, 96), np.uint16)
    upper[:60] = 5
    assert burn_marker(upper, "R MLO", 1.2, mirrored=True, value=9, box_value=3)
    assert upper[150:, :60].any()
    assert set(np.unique(upper[60:])) == {0, 3, 9}
    full = np.full((192, 96), 5, np.uint16)
    assert not burn_marker(full, "R CC", 1.2, mirrored=True, value=9, box_value=None)
    assert (full == 5).all()
