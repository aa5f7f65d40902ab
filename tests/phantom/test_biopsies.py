from dataclasses import replace

import numpy as np
import pytest

from fourview.errors import PhantomError
from fourview.phantom.biopsies import plan_biopsies, satellite_places
from fourview.phantom.fill import fill_breast
from fourview.phantom.place import survey
from fourview.phantom.preset import BIOPSIED, MINIATURE, PLACED, PRESETS, Biopsies
from phantom_examples import breast

RULE = Biopsies()


def test_presets_without_biopsies_keep_the_identifiers_they_always_had():
    known = {"screening": "", "enriched": "", "miniature": "1023f72bc97cfcfe"}
    assert MINIATURE.digest == known["miniature"]  # as files written before the field have it
    assert all("biopsies" not in PRESETS[name].settings for name in known)
    assert replace(MINIATURE, biopsies=RULE).digest != MINIATURE.digest


def test_the_odds_of_a_mass_are_those_of_its_breast_and_of_nothing_else():
    plans = [plan_biopsies(seed, side, RULE) for seed in range(3000) for side in ("R", "L")]
    drawn = []
    for beside, odds in ((True, RULE.p_malignant_beside), (False, RULE.p_malignant)):
        assert RULE.odds(beside_satellites=beside, depth_mm=20.0) == odds  # wherever it lies
        own = [p for p in plans if (p.num_satellites > 0) == beside]
        drawn += [mass.kinds(odds) for p in own for mass in p.masses]
        kinds = [mass.kinds(odds)[0] for p in own for mass in p.masses]
        share = np.mean([k == "mass_malignant" for k in kinds])
        assert share == pytest.approx(odds, abs=4 * np.sqrt(odds * (1 - odds) / len(kinds)))
    for kind in ("mass_malignant", "mass_benign"):  # and lookalikes are as many among both
        looks = [look != k for k, look in drawn if k == kind]
        assert np.mean(looks) == pytest.approx(RULE.p_lookalike, abs=4 * 0.44 / np.sqrt(len(looks)))
    shares = [np.mean([len(p.masses) == n for p in plans]) for n in range(3)]
    assert shares == pytest.approx(RULE.num_masses, abs=4 * 0.5 / np.sqrt(len(plans)))


def test_presets_of_biopsies_keep_the_identifiers_they_had_before_place_could_matter():
    assert BIOPSIED.digest == "647dcfc481ffc20a"
    assert PLACED.digest != BIOPSIED.digest


def test_in_placed_the_odds_are_those_of_the_depth():
    rule = PLACED.biopsies
    kinds: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(150):
        for lesion in fill_breast(breast(seed), PLACED).lesions:
            kinds[lesion.position[0] < rule.deep_mm].append(lesion.is_malignant)
    for deep, odds in ((True, rule.p_malignant_deep), (False, rule.p_malignant)):
        spread = np.sqrt(odds * (1 - odds) / len(kinds[deep]))
        assert np.mean(kinds[deep]) == pytest.approx(odds, abs=4 * spread)
        assert len(kinds[deep]) > 30


def test_odds_by_place_leave_every_mass_where_it_was():
    for seed in range(5):
        places = [
            [
                lesion.position
                for lesion in fill_breast(breast(seed), preset).lesions
                if lesion.name.startswith("biopsy")
            ]
            for preset in (BIOPSIED, PLACED)
        ]
        assert places[0] == places[1]


def test_satellites_stay_away_from_masses_in_both_views():
    of = breast(5)
    looked = survey(of)
    mass = (40.0, 5.0, 5.0)
    places = satellite_places(np.random.default_rng(0), looked, [mass], num=6, apart_mm=25.0)
    assert places
    for view in looked.views.values():
        x, y = view.project(np.array([mass, *places]))
        assert np.hypot(x[1:] - x[0], y[1:] - y[0]).min() >= 25.0


def test_a_lookalike_is_labelled_by_what_it_is_and_drawn_as_what_it_looks_like():
    always = replace(RULE, num_masses=(0.0, 1.0, 0.0), p_malignant=1.0, p_malignant_beside=1.0)
    for lookalike, spiculated in ((1.0, False), (0.0, True)):
        rule = replace(always, p_lookalike=lookalike, p_satellites=0.0)
        contents = fill_breast(breast(5), replace(BIOPSIED, biopsies=rule))
        (lesion,) = contents.lesions
        assert lesion.is_malignant
        assert (lesion.spicules is not None) == spiculated


def test_satellites_are_no_cancer_and_move_no_mass():
    rule = replace(RULE, num_masses=(0.0, 1.0, 0.0), p_malignant=0.0, p_malignant_beside=0.0)
    without, beside = (
        fill_breast(breast(5), replace(BIOPSIED, biopsies=replace(rule, p_satellites=p)))
        for p in (0.0, 1.0)
    )
    masses = [lesion for lesion in beside.lesions if lesion.kind != "satellite"]
    assert [m.position for m in masses] == [m.position for m in without.lesions]
    assert len(beside.lesions) > len(masses)
    assert not any(lesion.is_malignant for lesion in beside.lesions)


@pytest.mark.parametrize(
    "change", [{"p_lookalike": 1.5}, {"num_masses": (0.5, 0.5, 0.5)}, {"deep_mm": 3.0}]
)
def test_odds_that_mean_nothing_are_refused(change):
    with pytest.raises(PhantomError, match=next(iter(change))):
        Biopsies(**change)
