"""Scored regions become findings in stored pixels."""

import numpy as np
import pytest

from fourview.errors import LocaliseError
from fourview.geometry import Box, Geometry
from fourview.localise.findings import RegionRule, findings_from_regions, stored_box
from fourview.localise.peaks import ScoredRegion
from heatmap_examples import from_heatmaps, heatmap, region


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
    findings = from_heatmaps(maps, "L", max_findings=2)
    assert [(f.finding_id, f.regions[0].image_id) for f in findings] == [
        ("L-1", "cc"),
        ("L-2", "mlo"),
    ]
    assert [f.score for f in findings] == pytest.approx([0.9, 0.7])
    assert findings == from_heatmaps(maps, "L", max_findings=2)


def test_scored_regions_become_findings_in_stored_pixels():
    geometry = Geometry((160, 80)).mirrored().resized(80, 40)  # half the size
    findings = findings_from_regions(
        [
            region(0, 0, 10, 10, 0.7, geometry=geometry),
            region(1, 1, 11, 11, 0.8, geometry=geometry),  # better, same place
            region(1, 1, 11, 11, 0.6, "other"),  # same place, another image
            region(20, 40, 30, 50, 0.4, geometry=geometry),  # below the threshold
        ],
        "R",
        rule=RegionRule(threshold=0.5),
    )
    assert [(f.score, f.regions[0].image_id) for f in findings] == [(0.8, "image"), (0.6, "other")]
    assert findings[0].regions[0].box == Box(80 - 22, 2, 80 - 2, 22)


def test_a_region_with_nan_is_refused():
    with pytest.raises(LocaliseError, match="score nan"):
        findings_from_regions([region(0, 0, 1, 1, float("nan"))], "R")
