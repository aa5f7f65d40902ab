import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import phantom_examples as examples
from fourview.phantom.draw import Canvas, draw_lesion
from fourview.phantom.exam import fill_breast
from fourview.phantom.lesions import Contents, make_cover, make_lesion, make_summation
from fourview.phantom.preset import MINIATURE
from fourview.phantom.streams import stream
from fourview.phantom.vendor import Detector

ALL = replace(MINIATURE, p_cancer=1.0, p_benign_mass=1.0, p_benign_calc=1.0, p_summation=1.0)
FINE = Detector((768, 384), 0.3)


def center_site(of):
    return (0.5 * of.length, 8.0, 8.0)


def drawn(of, position, lesion, detector=FINE):
    """What a finding adds on its own, and its truth, over an even background."""
    shape = detector.shape
    gland = np.full(shape, 50, np.float32)
    canvas = Canvas(gland=gland, calc=np.zeros(shape, np.float32), row0=0, col0=0, px=detector.px)
    truth = draw_lesion(canvas, examples.view(of, position, detector), lesion)
    return canvas.gland - 50, canvas.calc, truth


@pytest.mark.parametrize("position", ["CC", "MLO"])
def test_a_mass_covers_the_area_of_its_ellipse(position):
    of = examples.breast()
    lesion = make_lesion(
        stream(1, "mass"), of, "mass_benign", center_site(of), name="mass", diameter=16
    )
    _, _, truth = drawn(of, position, lesion)
    gantry = examples.view(of, position).gantry
    ax, ay, az = lesion.mass.axes
    across = math.hypot(ay * math.cos(gantry), az * math.sin(gantry))
    waves = 1 + sum(a**2 for _, a in lesion.mass.harmonics) / 2  # mean of (1 + sum a cos)^2
    want = math.pi * ax * across * waves / FINE.px**2
    assert truth.mask.sum() == pytest.approx(want, rel=0.01)  # pixels on the rim of 1,000


def test_a_spiculated_mass_is_brightest_inside_its_own_box_where_truth_puts_it():
    of = examples.breast()
    lesion = make_lesion(stream(2, "mass"), of, "mass_malignant", center_site(of), name="cancer")
    for position in ("CC", "MLO"):
        added, _, truth = drawn(of, position, lesion)
        row, col = np.unravel_index(gaussian_filter(added, 4).argmax(), added.shape)
        box = truth.box
        assert box.y0 <= row < box.y1
        assert box.x0 <= col < box.x1
        assert math.hypot(col + 0.5 - truth.center[0], row + 0.5 - truth.center[1]) < 12  # 3.6 mm
        assert truth.mask.shape == (box.height, box.width)
        assert truth.mask[:, 0].any()
        assert truth.mask[-1].any()


def test_a_finding_is_at_one_ap_depth_in_both_views():
    of = examples.breast()
    lesion = make_lesion(stream(2, "m"), of, "mass_malignant", center_site(of), name="cancer")
    for position in ("CC", "MLO"):
        truth = drawn(of, position, lesion)[2]
        view = examples.view(of, position, FINE)
        x, _ = view.from_image(*(c * FINE.px for c in truth.center))
        assert truth.x_ap_mm == lesion.position[0]
        assert x == pytest.approx(truth.x_ap_mm, abs=1e-9)


def test_what_calcifications_add_is_their_volume():
    of = examples.breast()
    lesion = make_lesion(stream(3, "c"), of, "calc_malignant", center_site(of), name="calc")
    _, calc, truth = drawn(of, "CC", lesion)
    particles = lesion.particles
    length = np.linalg.norm(particles.end - particles.start, axis=1)
    ball = 4 / 3 * np.pi * particles.radius**3
    rod = np.pi * particles.radius**2 * length
    volume = np.where(length < 0.16, ball, rod)  # shorter than two steps: a grain
    want = (volume * particles.attenuation).sum()
    assert calc.sum() * FINE.px**2 == pytest.approx(want, rel=0.05)  # Gaussians cut at 2.7 sigma
    assert truth.cnr > 0


def test_a_distortion_has_spicules_a_disc_for_a_mask_and_no_body():
    of = examples.breast()
    lesion = make_lesion(stream(4, "d"), of, "distortion", center_site(of), name="cancer")
    added, _, truth = drawn(of, "CC", lesion)
    assert lesion.mass is None
    assert lesion.is_malignant
    disc = math.pi * (lesion.diameter / 2 / FINE.px) ** 2
    assert truth.mask.sum() == pytest.approx(disc, rel=0.01)
    assert added.max() > 0


def test_a_summation_shadow_is_a_star_in_one_view_and_falls_apart_in_the_other():
    ratios = []
    for seed in range(8):
        of = examples.breast(seed)
        for own, other in (("CC", "MLO"), ("MLO", "CC")):
            lesion = make_summation(
                stream(seed, "s", own),
                examples.view(of, own, FINE),
                center_site(of),
                name="shadow",
                contrast=1.0,
                diameter=14,
            )
            peak = {p: gaussian_filter(drawn(of, p, lesion)[0], 5).max() for p in (own, other)}
            ratios.append(peak[other] / peak[own])
    assert np.median(ratios) < 0.45
    assert max(ratios) < 0.6


def test_parts_of_a_shadow_share_a_ray_of_its_own_view_and_an_ap_row_of_the_other():
    of = examples.breast()
    own, other = (examples.view(of, p, FINE) for p in ("CC", "MLO"))
    lesion = make_summation(
        stream(0, "s"), own, center_site(of), name="shadow", contrast=1.0, diameter=14
    )
    spread = {}
    for name, view in (("own", own), ("other", other)):
        x, t = view.from_neutral(lesion.parts)
        spread[name] = np.ptp(x), np.ptp(t)
    assert max(spread["own"]) < 4  # jitter of 0.5 mm, 5 to 8 parts
    assert spread["other"][0] < 4
    assert spread["other"][1] > 25
    assert sum(lesion.weights) == pytest.approx(1)


def test_a_cover_hides_its_site_in_one_view_and_spreads_in_the_other():
    of = examples.breast(2)
    own, site = examples.view(of, "CC"), center_site(examples.breast(2))
    cover = make_cover(stream(9, "cover"), own, site, 14)
    depth = cover.center[:, 1:] @ [-math.sin(own.gantry), math.cos(own.gantry)]
    at = np.dot(site[1:], [-math.sin(own.gantry), math.cos(own.gantry)])
    assert (abs(depth - at) >= 7 + 3 - 1e-9).all()  # away from where the finding is
    spread = [examples.view(of, p).from_neutral(cover.center)[1].std() for p in ("CC", "MLO")]
    assert spread[0] < 14
    assert spread[1] > 1.3 * spread[0]


def test_covered_cancers_are_faint_in_that_view_only():
    cnr = {}
    for mode in ("both", "cc_only", "mlo_only"):
        shares = {"p_cc_only": float(mode == "cc_only"), "p_mlo_only": float(mode == "mlo_only")}
        preset = replace(MINIATURE, p_cancer=1.0, p_benign_mass=0.0, conspic=1.0, **shares)
        for seed in range(4):
            of = examples.breast(seed)
            contents = fill_breast(of, preset)
            for position in ("CC", "MLO"):
                findings = examples.layers(of, position, contents).findings
                cancer = next(f for f in findings if f.name == "cancer")
                cnr.setdefault((mode, position), []).append(cancer.cnr)
                hidden = mode == ("mlo_only" if position == "CC" else "cc_only")
                assert cancer.visible == (not hidden)
    mean = {k: np.mean(v) for k, v in cnr.items()}
    for clear, hidden in (
        (("cc_only", "CC"), ("cc_only", "MLO")),
        (("mlo_only", "MLO"), ("mlo_only", "CC")),
    ):
        assert mean[clear] > 2.5 * mean[hidden]
    assert min(mean["both", "CC"], mean["both", "MLO"]) > 0.8


def test_without_its_cancer_a_breast_is_the_same_to_the_bit():
    for seed in range(3):
        of = examples.breast(seed)
        sick, well = (fill_breast(of, replace(ALL, p_cancer=p)) for p in (1.0, 0.0))
        assert [f.name for f in sick.lesions] == ["cancer", *(f.name for f in well.lesions)]
        for a, b in zip(sick.lesions[1:], well.lesions, strict=True):
            assert a.position == b.position
            assert a.diameter == b.diameter
        assert len(sick.covers) == len(well.covers)
        for a, b in zip(sick.covers, well.covers, strict=True):
            assert (a.center == b.center).all()


def test_findings_move_nothing_that_is_not_near_them():
    of = examples.breast()
    lesion = make_lesion(stream(2, "m"), of, "mass_benign", center_site(of), name="mass")
    free = examples.layers(of, "CC", Contents())
    filled = examples.layers(of, "CC", Contents((lesion,)))
    changed = np.argwhere(free.canvas.gland != filled.canvas.gland)
    center = np.array(filled.findings[0].center[::-1]) - (filled.canvas.row0, filled.canvas.col0)
    reach = np.linalg.norm(changed + 0.5 - center, axis=1).max() * examples.SMALL.px
    assert 0 < reach < 1.6 * lesion.diameter
