"""Layers and boxes over a displayed image lie where their regions are."""

import numpy as np
import pytest

from fourview.entities import Finding, Heatmap, Region
from fourview.geometry import Box, Geometry
from fourview.report.overlay import marks_on, ramp, short_names, warp


def finding(name, image_id="a", box=(2, 4, 6, 10)):
    region = Region(image_id=image_id, box=Box(*box))
    return Finding(finding_id=name, side="R", score=0.5, regions=(region,))


def test_names_lose_what_all_begin_with():
    names = ["p1/e1/R-1", "p1/e1/L-1"]
    assert short_names([finding(n) for n in names]) == dict(zip(names, ("R-1", "L-1"), strict=True))
    assert short_names([finding("p1/e1/R-1")]) == {"p1/e1/R-1": "R-1"}
    assert short_names([finding("a/1"), finding("b/1")]) == {"a/1": "a/1", "b/1": "b/1"}
    assert short_names([]) == {}


def test_boxes_of_this_image_alone_are_moved_to_the_display():
    shown = Geometry((20, 20)).resized(10, 10)
    marks = marks_on("a", [finding("x"), finding("y", image_id="b")], shown)
    assert [(m.name, m.box) for m in marks] == [("x", Box(1, 2, 3, 5))]


def test_the_ramp_is_clear_at_0_and_rises():
    colours = ramp().astype(int)
    assert colours[0, 3] == 0 and colours[-1, 3] == 255
    assert (np.diff(colours[:, 3]) >= 0).all()
    lightness = colours[:, :3] @ (0.114, 0.587, 0.299)  # BGR
    assert (np.diff(lightness) > -1).all() and lightness[-1] > lightness[0] + 100


def test_a_cell_lies_over_its_pixels_and_beyond_the_map_nothing_is_known():
    geometry = Geometry((16, 16)).cropped(0, 0, 8, 16)
    values = np.zeros((2, 1), np.float32)
    values[1, 0] = 1
    heatmap = Heatmap(image_id="a", class_name="cancer", values=values, geometry=geometry)
    moved = warp(heatmap, Geometry((16, 16)))
    width = geometry.processed_size[1]
    assert moved[:, :width].min() >= 0 and np.isnan(moved[:, width:]).all()
    assert moved[12:, :width].min() == pytest.approx(1) and moved[:4, :width].max() == 0
