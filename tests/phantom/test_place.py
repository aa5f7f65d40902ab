"""Where findings may lie."""

import itertools
import math
from dataclasses import replace

import phantom_examples as examples
from fourview.phantom.exam import fill_breast
from fourview.phantom.place import APART_MM, find_place, survey
from fourview.phantom.preset import MINIATURE
from fourview.phantom.streams import stream

ALL = replace(MINIATURE, p_cancer=1.0, p_benign_mass=1.0, p_benign_calc=1.0, p_summation=1.0)


def test_findings_keep_apart_along_the_ap_axis_and_off_the_skin():
    for seed in range(4):
        of = examples.breast(seed)
        contents = fill_breast(of, ALL)
        depths = sorted(f.position[0] for f in contents.lesions)
        assert all(b - a >= APART_MM for a, b in itertools.pairwise(depths))
        for lesion in contents.lesions:
            assert lesion.position[0] < of.length
            assert math.hypot(*lesion.position[1:]) < of.half_radius(lesion.position[0])


def test_a_breast_without_room_gets_no_finding():
    surveyed = survey(examples.breast())
    everywhere = tuple(float(x) for x in range(0, 120, 5))
    assert find_place(stream(0, "x"), surveyed, radius=5, avoid=everywhere) is None
