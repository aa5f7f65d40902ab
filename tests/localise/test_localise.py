"""Findings from heatmaps and scored regions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourview.entities import Heatmap
from fourview.errors import LocaliseError
from fourview.geometry import Box, Geometry
from fourview.localise.findings import RegionRule, findings_from_regions, stored_box
from fourview.localise.peaks import PeakRule, ScoredRegion, heatmap_regions
from fourview.localise.suppress import nms

PLAIN = Geometry((80, 40))


def heatmap(values, geometry=PLAIN, image_id="image", class_name="malignant"):
    return Heatmap(
        image_id=image_id,
        class_name=class_name,
        values=np.asarray(values, dtype=np.float32),
        geometry=geometry,
    )


def region(x0, y0, x1, y1, score, image_id="image", geometry=PLAIN):
    return ScoredRegion(image_id=image_id, box=Box(x0, y0, x1, y1), score=score, geometry=geometry)


def from_heatmaps(heatmaps, side, **options):
    """The findings of maps of one breast: their peaks, then the best of them."""
    regions = [r for each in heatmaps for r in heatmap_regions(each, PeakRule())]
    return findings_from_regions(regions, side, rule=RegionRule(most_overlap=1.0), **options)


# ---------------------------------------------------------------------------------- heatmaps


def test_a_lesion_planted_in_stored_pixels_comes_back_there():
    # Move real pixels with numpy alone: mirror, crop, then shrink by block means.
    stored = np.zeros((400, 300), dtype=np.float32)
    stored[160:200, 220:260] = 1.0  # the lesion: x 220 to 260, y 160 to 200
    moved = stored[:, ::-1][20:380, 0:240]  # rows 20 to 380, columns 0 to 240 of the mirrored
    grid = moved.reshape(18, 20, 12, 20).mean(axis=(1, 3))  # cells of 20 x 20 pixels
    geometry = Geometry((400, 300)).mirrored().cropped(0, 20, 240, 380).resized(180, 120)

    (finding,) = from_heatmaps([heatmap(grid, geometry)], "R")

    box = finding.regions[0].box
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((220, 160, 260, 200))
    assert finding.score == 1.0
    assert finding.side == "R"
    assert finding.finding_id == "R-1"


@given(
    row=st.integers(0, 8),
    col=st.integers(0, 5),
    mirrored=st.booleans(),
    size=st.tuples(st.integers(9, 300), st.integers(6, 300)),
    x0=st.integers(0, 40),
    y0=st.integers(0, 40),
)
def test_the_box_of_a_cell_returns_to_that_cell(row, col, mirrored, size, x0, y0):
    geometry = Geometry((200, 150))
    geometry = geometry.mirrored() if mirrored else geometry
    geometry = geometry.cropped(x0, y0, 140, 190).resized(*size)
    values = np.zeros((9, 6))
    values[row, col] = 0.75

    (finding,) = from_heatmaps([heatmap(values, geometry)], "L")

    back = geometry.box_to_processed(finding.regions[0].box)
    height, width = size[0] / 9, size[1] / 6
    want = (col * width, row * height, (col + 1) * width, (row + 1) * height)
    # Two affine maps in float64, over coordinates of a few hundred.
    assert (back.x0, back.y0, back.x1, back.y1) == pytest.approx(want, abs=1e-9)


def test_boxes_are_clipped_to_the_image_and_padding_gives_no_finding():
    geometry = Geometry((100, 100)).cropped(0, 0, 200, 100)  # right half is padding
    values = np.zeros((10, 20))
    values[2, 9:11] = 0.9  # half in the image
    values[7, 15] = 0.9  # all in the padding
    (finding,) = from_heatmaps([heatmap(values, geometry)], "L")
    assert finding.regions[0].box == Box(90, 20, 100, 30)


@pytest.mark.parametrize(
    ("corners", "box"),
    [
        ((-100, 0, 100, 100), Box(20, 20, 40, 40)),  # left of the image
        ((0, 0, 200, 100), Box(120, 20, 140, 40)),
        ((0, -100, 100, 100), Box(20, 20, 40, 40)),  # above it
        ((0, 0, 100, 200), Box(20, 120, 40, 140)),
    ],
)
def test_a_box_on_the_padding_of_any_side_is_no_box_of_the_image(corners, box):
    geometry = Geometry((100, 100)).cropped(*corners)
    assert stored_box(ScoredRegion(image_id="i", box=box, score=0.5, geometry=geometry)) is None


def test_a_map_without_a_peak_above_the_threshold_gives_no_finding():
    values = np.full((8, 4), 0.1)
    values[3, 2] = 0.49
    assert from_heatmaps([heatmap(values)], "R") == ()
    assert from_heatmaps([heatmap(np.zeros((8, 4)))], "R") == ()
    assert from_heatmaps([], "R") == ()


def test_a_map_that_is_high_everywhere_tells_no_place():
    assert from_heatmaps([heatmap(np.ones((8, 4)))], "R") == ()


def test_a_weak_peak_has_its_own_box_and_a_shoulder_has_none():
    #             strong        valley     weak
    row = [0.0, 0.5, 1.0, 0.5, 0.1, 0.4, 0.6, 0.0]
    values = np.zeros((8, 8))
    values[4] = row
    values[1] = [0.0, 0.9, 0.6, 0.8, 0.0, 0.0, 0.0, 0.0]  # 0.8 reaches 0.9 without going below 0.4
    regions = heatmap_regions(heatmap(values, Geometry((8, 8))), PeakRule())
    assert [(r.score, r.box) for r in regions] == [
        (1.0, Box(1, 4, 4, 5)),
        (pytest.approx(0.9), Box(1, 1, 4, 2)),
        (pytest.approx(0.6), Box(5, 4, 7, 5)),
    ]


def test_a_hill_on_the_slope_of_a_higher_one_is_no_peak_of_its_own():
    values = np.zeros((8, 8))
    values[4] = [0.0, 1.0, 0.4, 0.6, 0.0, 0.0, 0.0, 0.0]  # from 0.6 down to 0.3 one meets the 1.0
    (only,) = heatmap_regions(heatmap(values, Geometry((8, 8))), PeakRule())
    assert (only.score, only.box) == (1.0, Box(1, 4, 2, 5))
    values[4, 2] = 0.2  # a deeper valley
    assert len(heatmap_regions(heatmap(values, Geometry((8, 8))), PeakRule())) == 2


def test_mean_scores_are_the_mean_of_the_cells_of_the_region():
    values = np.zeros((4, 4))
    values[1, 1:3] = 1.0, 0.5
    (found,) = heatmap_regions(heatmap(values), PeakRule(score="mean"))
    assert found.score == 0.75


def test_a_lower_threshold_or_a_larger_number_only_adds_regions():
    values = np.zeros((30, 20))
    values[::4, ::4] = np.random.default_rng(0).random((8, 5))
    whole = heatmap_regions(heatmap(values), PeakRule(threshold=1e-6))
    assert len(whole) > 5
    for most in range(len(whole)):
        assert heatmap_regions(heatmap(values), PeakRule(threshold=1e-6), most=most) == whole[:most]
    high = heatmap_regions(heatmap(values), PeakRule(threshold=0.9))
    assert high == tuple(r for r in whole if r.score >= 0.9)


def test_a_turned_box_comes_back_as_the_box_around_its_corners():
    geometry = Geometry((80, 60)).rotated(30)
    inside = region(30, 30, 40, 42, 0.5, geometry=geometry)
    got, want = stored_box(inside), geometry.box_to_stored(inside.box)
    for name in ("x0", "y0", "x1", "y1"):  # the same affine map in float64
        assert getattr(got, name) == pytest.approx(getattr(want, name), abs=1e-9)


def test_findings_of_two_views_are_sorted_and_the_best_are_kept():
    cc, mlo = np.zeros((8, 4)), np.zeros((8, 4))
    cc[0, 0], cc[7, 3], mlo[4, 2] = 0.6, 0.9, 0.7
    maps = [heatmap(cc, image_id="cc"), heatmap(mlo, image_id="mlo")]
    found = from_heatmaps(maps, "L", max_findings=2)
    assert [(f.finding_id, f.regions[0].image_id) for f in found] == [("L-1", "cc"), ("L-2", "mlo")]
    assert [f.score for f in found] == pytest.approx([0.9, 0.7])
    assert found == from_heatmaps(maps, "L", max_findings=2)


def test_equal_peaks_come_in_reading_order():
    values = np.zeros((8, 4))
    values[6, 0] = values[2, 3] = values[2, 0] = 0.75
    found = from_heatmaps([heatmap(values)], "R")
    assert [(f.regions[0].box.y0, f.regions[0].box.x0) for f in found] == [
        (20, 0),
        (20, 30),
        (60, 0),
    ]


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 1.5])
def test_a_value_that_is_no_score_is_named(bad):
    values = np.zeros((8, 4))
    values[3, 1] = bad
    with pytest.raises(LocaliseError, match=r"'malignant' of image image: cell \(3, 1\)"):
        from_heatmaps([heatmap(values)], "R")


def test_a_rule_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="fraction is 0"):
        PeakRule(fraction=0)


# ---------------------------------------------------------------------------------- regions


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


def test_scored_regions_become_findings_in_stored_pixels():
    geometry = Geometry((160, 80)).mirrored().resized(80, 40)  # half the size
    found = findings_from_regions(
        [
            region(0, 0, 10, 10, 0.7, geometry=geometry),
            region(1, 1, 11, 11, 0.8, geometry=geometry),  # better, same place
            region(1, 1, 11, 11, 0.6, "other"),  # same place, another image
            region(20, 40, 30, 50, 0.4, geometry=geometry),  # below the threshold
        ],
        "R",
        rule=RegionRule(threshold=0.5),
    )
    assert [(f.score, f.regions[0].image_id) for f in found] == [(0.8, "image"), (0.6, "other")]
    assert found[0].regions[0].box == Box(80 - 22, 2, 80 - 2, 22)


def test_a_region_with_nan_is_refused():
    with pytest.raises(LocaliseError, match="score nan"):
        findings_from_regions([region(0, 0, 1, 1, float("nan"))], "R")
