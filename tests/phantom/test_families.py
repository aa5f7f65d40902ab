"""Findings that are alike in both views, or not: what tells of the label, and what does not."""

from dataclasses import replace

import numpy as np
import pytest

from fourview.errors import PhantomError
from fourview.phantom.exam import fill_breast, make_exam
from fourview.phantom.families import plan_families
from fourview.phantom.preset import FAMILIES, Families, Look
from phantom_examples import breast

RULE = FAMILIES.families
assert RULE is not None
ONE, TWO = RULE.looks
THREE = Families(looks=(ONE, TWO, replace(ONE, spiculated=False)))
ALWAYS, NEVER = replace(FAMILIES, p_cancer=1.0), replace(FAMILIES, p_cancer=0.0)


def test_both_views_show_one_family_in_a_cancer_and_two_in_none():
    for rule in (RULE, THREE):
        for seed in range(50):
            alike = plan_families(seed, "L", rule, alike=True)
            unlike = plan_families(seed, "L", rule, alike=False)
            assert alike["CC"] is alike["MLO"]
            assert unlike["CC"] is not unlike["MLO"]


def test_one_view_says_nothing_as_its_family_is_any_with_the_same_odds():
    for position in ("CC", "MLO"):
        for alike in (True, False):
            seen = [plan_families(s, "R", THREE, alike=alike)[position] for s in range(3000)]
            shares = [np.mean([look is each for look in seen]) for each in THREE.looks]
            assert shares == pytest.approx([1 / 3] * 3, abs=4 * 0.48 / np.sqrt(3000))


def test_places_depend_on_neither_label_nor_family():
    small = Look(diameter_mm=(22.0, 22.0), conspic=1.0, spiculated=False)  # as much room as before
    other = Families(looks=(small, replace(small, conspic=2.0)))
    ways = [ALWAYS, NEVER, replace(ALWAYS, families=other), replace(NEVER, families=other)]
    placed = [
        [lesion.position for lesion in fill_breast(breast(7), preset).lesions] for preset in ways
    ]
    assert len(placed[0]) == 2
    assert all(each == placed[0] for each in placed[1:])
    assert abs(placed[0][0][0] - placed[0][1][0]) >= 12.0


def test_each_finding_is_in_one_view_alone():
    (shown,) = (make_exam(3, ALWAYS, rows=192),)
    for image in shown.images:
        assert sum(finding.visible for finding in image.truth.findings) == 1
        for finding in image.truth.findings:
            assert finding.contrast_mm == 0 or finding.visible
            assert finding.mode == ("cc_only" if finding.name == "focus_cc" else "mlo_only")
    assert [b.cancer for b in shown.breasts] == [True, True]
    assert [b.pathology for b in make_exam(3, NEVER, rows=192).breasts] == ["benign", "benign"]


def test_findings_are_as_large_and_dense_and_spiculated_as_their_family():
    lesions = [x for s in range(8) for x in fill_breast(breast(s), NEVER).lesions]
    large = [x for x in lesions if x.spicules is not None]
    assert 0 < len(large) < len(lesions)
    for lesion in lesions:
        look = ONE if lesion.spicules is not None else TWO
        assert look.diameter_mm[0] <= lesion.diameter <= look.diameter_mm[1]
        assert lesion.contrast == look.conspic


@pytest.mark.parametrize(
    "looks",
    [(ONE,), (ONE, replace(TWO, diameter_mm=(9.0, 8.0))), (ONE, replace(TWO, conspic=0.0))],
)
def test_families_that_mean_nothing_are_refused(looks):
    with pytest.raises(PhantomError, match="families"):
        Families(looks=looks)
