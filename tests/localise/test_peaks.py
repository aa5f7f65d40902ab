"""The peaks of a heatmap, where they are in stored pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourview.errors import LocaliseError
from fourview.geometry import Box, Geometry
from fourview.localise.peaks import PeakRule, heatmap_regions
from heatmap_examples import from_heatmaps, heatmap


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
    (region,) = heatmap_regions(heatmap(values), PeakRule(score="mean"))
    assert region.score == 0.75


def test_a_lower_threshold_or_a_larger_number_only_adds_regions():
    values = np.zeros((30, 20))
    values[::4, ::4] = np.random.default_rng(0).random((8, 5))
    whole = heatmap_regions(heatmap(values), PeakRule(threshold=1e-6))
    assert len(whole) > 5
    for most in range(len(whole)):
        assert heatmap_regions(heatmap(values), PeakRule(threshold=1e-6), most=most) == whole[:most]
    high = heatmap_regions(heatmap(values), PeakRule(threshold=0.9))
    assert high == tuple(r for r in whole if r.score >= 0.9)


def test_equal_peaks_come_in_reading_order():
    values = np.zeros((8, 4))
    values[6, 0] = values[2, 3] = values[2, 0] = 0.75
    findings = from_heatmaps([heatmap(values)], "R")
    assert [(f.regions[0].box.y0, f.regions[0].box.x0) for f in findings] == [
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
