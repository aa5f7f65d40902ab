"""Windows over the breast, and what is read of them."""

from dataclasses import replace

import numpy as np
import pytest

from factory import drawn_store
from fourview.feeds.grid import RegionRule, cut_regions, find_regions, read_regions, squares
from fourview.preprocess.pectoral import find_pectoral
from fourview.preprocess.pipeline import from_levels

CC, MLO = 1, 3  # slots
RULE = RegionRule(side=32, stride=16)


def breast(size=(200, 120)) -> np.ndarray:
    """A half ellipse at the left edge."""
    y, x = np.mgrid[: size[0], : size[1]]
    inside = ((y - size[0] / 2) / (size[0] * 0.48)) ** 2 + (x / (size[1] * 0.9)) ** 2 < 1
    texture = np.random.default_rng(0).integers(20000, 21000, size)
    return np.where(inside, texture, 0).astype(np.uint16)


def with_muscle(levels: np.ndarray) -> np.ndarray:
    """A bright triangle in the upper corner at the chest wall."""
    y, x = np.mgrid[: levels.shape[0], : levels.shape[1]]
    muscle = x / 50 + y / 110 < 1
    return np.where(muscle, np.maximum(levels, 50000), levels).astype(np.uint16)


def test_squares_cover_the_image_and_the_last_ones_end_with_it():
    boxes = squares((3000, 1500), RegionRule())
    lefts, tops = np.unique(boxes[:, 0]), np.unique(boxes[:, 1])
    assert (len(tops), len(lefts)) == (26, 13)  # 25 x 12 of stride 112, and a flush one each
    assert boxes[:, 2].max() == 1500 and boxes[:, 3].max() == 3000
    assert (np.diff(lefts)[:-1] == 112).all() and 0 < np.diff(lefts)[-1] < 112
    assert len(np.unique(squares((224, 336), RegionRule())[:, 0])) == 2  # no square twice


def test_kept_squares_are_those_with_enough_breast():
    levels = breast()
    kept = {tuple(box) for box in find_regions(levels, CC, RULE)}
    for x0, y0, x1, y1 in squares(levels.shape, RULE):
        share = (levels[y0:y1, x0:x1] > 0).mean()
        assert ((x0, y0, x1, y1) in kept) == (share >= 0.5)
    assert 20 < len(kept) < len(squares(levels.shape, RULE))


def test_mlo_views_lose_the_squares_behind_the_pectoral_line():
    levels = with_muscle(breast((400, 240)))
    rule = replace(RULE, stride=8)
    cc, mlo = (find_regions(levels, slot, rule) for slot in (CC, MLO))
    line = find_pectoral(from_levels(levels), levels > 0)
    assert line is not None
    behind = {tuple(b) for b in cc} - {tuple(b) for b in mlo}
    assert behind == {tuple(b) for b in cc if line.depth((b[:2] + b[2:]) / 2) < 0}
    assert len(behind) > 5
    whole = find_regions(levels, MLO, replace(rule, leave_out_axilla=False))
    assert np.array_equal(whole, cc)


def test_a_breast_smaller_than_a_window_has_one_region():
    levels = np.zeros((20, 12), np.uint16)
    levels[5:9, :3] = 1000
    boxes = find_regions(levels, CC, RULE)
    assert boxes.tolist() == [[0, 0, 32, 32]]
    cut = cut_regions(levels, boxes)[0]
    assert np.array_equal(cut[:20, :12], levels) and cut.sum() == levels.sum()


@pytest.mark.parametrize("shift", [(0, 0), (-40, 13), (60, 77)])
def test_cut_squares_are_slices_and_0_beyond_the_image(shift):
    levels = breast()
    boxes = find_regions(levels, CC, RULE) + np.array([*shift, *shift])
    padded = np.pad(levels, 200)
    for (x0, y0, x1, y1), got in zip(boxes, cut_regions(levels, boxes), strict=True):
        assert np.array_equal(got, padded[y0 + 200 : y1 + 200, x0 + 200 : x1 + 200])


def test_squares_read_from_the_store_are_those_of_the_whole_image(tmp_path):
    manifest, store = drawn_store(tmp_path, num_patients=1)
    image_id = manifest.images["image_id"][0]
    levels = store.read(image_id)
    boxes = find_regions(levels, CC, RULE)
    some = boxes[np.random.default_rng(0).permutation(len(boxes))[:7]] + np.array([-9, 5, -9, 5])
    assert np.array_equal(read_regions(store, image_id, some), cut_regions(levels, some))


def test_a_rule_that_leaves_gaps_is_refused():
    with pytest.raises(ValueError, match="need 1 <= stride <= side"):
        RegionRule(side=10, stride=11)
