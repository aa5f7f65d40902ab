"""Findings joined over CC and MLO: by hand, and properties of the rule."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourview.entities import Finding, Region
from fourview.geometry import Box, Geometry
from fourview.localise.two_views import JoinRule, join_views, quadrant, with_places
from fourview.phantom.exam import make_exam
from fourview.preprocess.axis import Axis, PlacedAxis, find_axis

SIZE = (400, 300)
CC = PlacedAxis(
    axis=Axis(nipple=(200.0, 200.0), degrees=0.0, turned=False, spacing_mm=0.5),
    geometry=Geometry(SIZE),
    position="CC",
)
MLO = PlacedAxis(
    axis=Axis(nipple=(200.0, 200.0), degrees=30.0, turned=True, spacing_mm=0.5),
    geometry=Geometry(SIZE).mirrored(),
    position="MLO",
)
AXES = {"cc": CC, "mlo": MLO}


def box_at(image_id, depth, across=0.0):
    """A box of 10 pixels around a place given in mm behind the nipple and above the axis."""
    placed = AXES[image_id]
    t = math.radians(placed.axis.degrees)
    along, up = depth / 0.5, across / 0.5
    x = 200 - along * math.cos(t) + up * math.sin(t)
    y = 200 - along * math.sin(t) - up * math.cos(t)
    if placed.axis.turned:
        x = SIZE[1] - x
    return Box(x - 5, y - 5, x + 5, y + 5)


def finding(name, image_id, depth, score, kind="region", across=0.0):
    region = Region(image_id=image_id, box=box_at(image_id, depth, across))
    return Finding(finding_id=name, side="R", kind=kind, score=score, regions=(region,))


def images(findings):
    return [tuple(r.image_id for r in f.regions) for f in findings]


def test_two_marks_of_one_depth_are_one_finding_with_the_higher_score():
    marks = [finding("R-1", "mlo", 42.0, 0.9), finding("R-2", "cc", 36.0, 0.6)]
    (one,) = join_views(marks, AXES)
    assert (one.finding_id, one.score, images([one])) == ("R-1", 0.9, [("cc", "mlo")])
    assert [r.score for r in one.regions] == [0.6, 0.9]


def test_marks_of_other_depths_kinds_or_of_one_image_stay_apart():
    for marks in (
        [finding("R-1", "cc", 20.0, 0.9), finding("R-2", "mlo", 31.0, 0.6)],
        [finding("R-1", "cc", 20.0, 0.9, "a"), finding("R-2", "mlo", 20.0, 0.6, "b")],
        [finding("R-1", "cc", 20.0, 0.9), finding("R-2", "cc", 20.0, 0.6)],
    ):
        assert join_views(marks, AXES) == tuple(marks)
    marks = [finding("R-1", "cc", 20.0, 0.9), finding("R-2", "mlo", 20.0, 0.6)]
    assert join_views(marks, {"cc": CC}) == tuple(marks)  # the MLO has no axis


def test_the_nearest_depths_are_joined_first_and_the_rest_is_named_anew():
    marks = [
        finding("R-1", "cc", 30.0, 0.9),
        finding("R-2", "mlo", 36.0, 0.8),
        finding("R-3", "mlo", 31.0, 0.7),
    ]
    joined = join_views(marks, AXES)
    assert images(joined) == [("cc", "mlo"), ("mlo",)]
    assert [f.finding_id for f in joined] == ["R-1", "R-2"]
    assert joined[0].regions[1].box == marks[2].regions[0].box


@given(
    st.lists(
        st.tuples(st.sampled_from(["cc", "mlo"]), st.floats(0, 80), st.floats(0, 1)), max_size=8
    ),
    st.floats(0, 30),
)
def test_joining_loses_nothing_and_joins_no_view_with_itself(drawn, most):
    drawn = sorted(drawn, key=lambda d: -d[2])
    marks = [finding(f"R-{n}", i, d, s) for n, (i, d, s) in enumerate(drawn, start=1)]
    joined = join_views(marks, AXES, rule=JoinRule(most_mm=most))
    kept = [(r.image_id, r.box) for f in joined for r in f.regions]
    assert sorted(map(str, kept)) == sorted(
        str((m.regions[0].image_id, m.regions[0].box)) for m in marks
    )
    assert all(pair in (("cc",), ("mlo",), ("cc", "mlo")) for pair in images(joined))
    assert [f.score for f in joined] == sorted((f.score for f in joined), reverse=True)
    for one in joined:
        depths = [AXES[r.image_id].place(r.box)[0] for r in one.regions]
        assert max(depths) - min(depths) <= most + 1e-9


def test_distance_and_quadrant_of_a_place_by_hand():
    cc = finding("R-1", "cc", 40.0, 0.5, across=30.0)
    placed = with_places(cc, AXES)
    assert placed.nipple_mm == pytest.approx(50.0)  # 3, 4, 5
    assert placed.regions[0].depth_mm == pytest.approx(40.0)
    assert placed.quadrant == "outer half"
    mlo = with_places(finding("R-1", "mlo", 40.0, 0.5, across=-30.0), AXES)
    assert (mlo.nipple_mm, mlo.quadrant) == (pytest.approx(50.0), "lower half")
    assert with_places(cc, {}) == cc


@pytest.mark.parametrize("lateral", [-40.0, -3.0, 40.0, None])
@pytest.mark.parametrize("superior", [-40.0, 3.0, 40.0, None])
def test_quadrants_name_what_is_known_and_no_more(lateral, superior):
    words = quadrant(lateral, superior, 60.0)
    for value, up, down in ((superior, "upper", "lower"), (lateral, "outer", "inner")):
        assert (up in words) == (value == 40.0)
        assert (down in words) == (value == -40.0)


def test_a_phantoms_finding_is_placed_where_the_truth_has_it():
    errors = []
    for seed in range(3):
        exam = make_exam(seed, "miniature", rows=384, vendor="A")
        for image in exam.images:
            placed = find_axis(exam.entity(image))
            if isinstance(placed, str):
                continue
            for truth in image.truth.findings:
                x, y = truth.center
                depth, across = placed.place(Box(x - 1, y - 1, x + 1, y + 1))
                errors.append(
                    (depth - (image.truth.length_mm - truth.x_ap_mm), across - truth.t_mm)
                )
    depths, across = (sorted(abs(e[k]) for e in errors) for k in range(2))
    assert len(errors) >= 8
    # The tip that is found lies in front of the nipple's base, which the truth has, by some mm.
    assert depths[len(depths) // 2] < 6
    assert across[len(across) // 2] < 6
