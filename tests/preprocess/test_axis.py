"""Depth and distance along the axis, by projection; and why an axis is not known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.entities import View
from fourview.preprocess.axis import Axis, find_axis, why_no_axis
from mammogram_examples import breast_pixels, image_of

NUMBERS = st.floats(-200, 200)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.floats(-60, 60), st.floats(0.05, 1))
def test_depth_and_distance_are_projections_and_keep_lengths(x, y, degrees, spacing):
    axis = Axis(nipple=(30.0, -12.0), degrees=degrees, turned=False, spacing_mm=spacing)
    t = math.radians(degrees)
    back, up = np.array((-math.cos(t), -math.sin(t))), np.array((math.sin(t), -math.cos(t)))
    offset = (np.array((x, y)) - axis.nipple) * spacing
    assert axis.depth_mm((x, y)) == pytest.approx(offset @ back, abs=1e-9)
    assert axis.across_mm((x, y)) == pytest.approx(offset @ up, abs=1e-9)
    length = math.hypot(axis.depth_mm((x, y)), axis.across_mm((x, y)))
    assert length == pytest.approx(np.linalg.norm(offset), abs=1e-9)


def test_an_axis_that_cannot_be_known_says_why():
    image = image_of(breast_pixels()[0])
    spaced = replace(image, spacing_mm=(0.5, 0.5), view=View(side="R", position="CC"))
    assert why_no_axis(spaced) is None
    assert find_axis(replace(spaced, spacing_mm=None)) == "the file has no pixel spacing"
    lateral = replace(spaced, view=View(side="R", position="ML"))
    assert find_axis(lateral) == "the axis of a view ML is not known"
    blank = replace(spaced, pixels=np.zeros_like(spaced.pixels))
    assert isinstance(find_axis(blank), str)


def test_the_axis_of_cc_runs_along_the_rows_from_the_farthest_point():
    image = replace(
        image_of(breast_pixels()[0]), spacing_mm=(0.5, 0.5), view=View(side="L", position="CC")
    )
    axis = find_axis(image)
    assert axis.axis.degrees == 0 and axis.position == "CC"
    assert axis.axis.spacing_mm == pytest.approx(0.5)
    x, y = axis.axis.nipple
    assert axis.axis.depth_mm((x - 20, y)) == pytest.approx(10)
