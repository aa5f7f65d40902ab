"""Of boxes that overlap the best is kept: against a loop over pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourview.errors import LocaliseError
from fourview.geometry import Box
from fourview.localise.suppress import nms


def slow_nms(boxes, scores, most, measure):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(getattr(boxes[i], measure)(boxes[k]) <= most for k in kept):
            kept.append(i)
    return tuple(kept)


@given(
    corners=st.lists(
        st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2, st.integers(0, 4)),
        max_size=12,
    ),
    overlap=st.sampled_from(["iou", "iom"]),
    most=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_nms_agrees_with_a_loop_over_pairs(corners, overlap, most):
    boxes = [Box(x, y, x + w, y + h) for x, y, w, h, _ in corners]
    scores = [s / 4 for *_, s in corners]  # few values: many ties
    assert nms(boxes, scores, most=most, overlap=overlap) == slow_nms(boxes, scores, most, overlap)


def test_a_small_box_in_a_large_one_is_dropped_by_iom_only():
    boxes = [Box(0, 0, 100, 100), Box(10, 10, 20, 20)]
    assert nms(boxes, [0.9, 0.8], most=0.5, overlap="iom") == (0,)
    assert nms(boxes, [0.9, 0.8], most=0.5, overlap="iou") == (0, 1)
    assert nms(boxes, [0.9, 0.8], most=0.5, overlap="iou", max_kept=1) == (0,)


def test_nms_refuses_nan_and_missing_scores():
    with pytest.raises(LocaliseError, match="score of box 0 is nan"):
        nms([Box(0, 0, 1, 1)], [float("nan")], most=0.5)
    with pytest.raises(LocaliseError, match="1 boxes have 0 scores"):
        nms([Box(0, 0, 1, 1)], [], most=0.5)
