from dataclasses import replace

import numpy as np
import pytest

from fourview.errors import PhantomError
from fourview.phantom.exam import make_exam, uid
from fourview.phantom.fill import fill_breast, plan_breast
from fourview.phantom.place import APART_MM
from fourview.phantom.preset import (
    MINIATURE,
    PAIRED,
    PLAIN,
    Preset,
    preset_of,
)
from fourview.phantom.vendor import Detector, detector_of, vendor_of
from phantom_examples import breast

RICH = replace(MINIATURE, name="rich", p_cancer=1.0, p_benign_mass=1.0, p_summation=1.0, rows=128)


@pytest.fixture(scope="module")
def exam():
    return make_exam(5, RICH)


def test_an_exam_has_its_four_views_in_order(exam):
    assert [image.name for image in exam.images] == ["R-CC", "L-CC", "R-MLO", "L-MLO"]
    assert [breast.side for breast in exam.breasts] == ["R", "L"]
    assert len({image.image_id for image in exam.images}) == 4
    for image in exam.images:
        assert image.pixels.shape == (128, 64)
        assert image.spacing_mm * 128 == pytest.approx(230.4)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(exam):
    again, other = make_exam(5, RICH), make_exam(6, RICH)
    for a, b, c in zip(exam.images, again.images, other.images, strict=True):
        assert a.image_id == b.image_id != c.image_id
        assert (a.pixels == b.pixels).all()
        assert (a.pixels != c.pixels).any()


def test_size_and_vendor_change_the_pixels_but_move_nothing(exam):
    other = make_exam(5, RICH, rows=256, vendor="B")
    assert other.age == exam.age
    assert other.breasts == exam.breasts
    for small, large in zip(exam.images, other.images, strict=True):
        assert small.image_id != large.image_id
        np.testing.assert_allclose(np.array(small.truth.nipple) * 2, large.truth.nipple, atol=1e-9)
        for a, b in zip(small.truth.findings, large.truth.findings, strict=True):
            assert (a.name, a.kind, a.x_ap_mm) == (b.name, b.kind, b.x_ap_mm)
            np.testing.assert_allclose(np.array(a.center) * 2, b.center, atol=1e-9)
            assert abs(a.box.x0 * 2 - b.box.x0) <= 3  # rims of 1.8 and 0.9 mm pixels


def test_findings_have_one_depth_in_both_views_and_shadows_are_in_one(exam):
    for side in ("R", "L"):
        cc, mlo = (exam.image(f"{side}-{p}").truth for p in ("CC", "MLO"))
        depth = [{f.name: f.x_ap_mm for f in view.findings} for view in (cc, mlo)]
        shadows = [d.pop(f"shadow_{p}", None) for d, p in zip(depth, ("cc", "mlo"), strict=True)]
        assert any(shadows)  # a breast may have no room left for one of them
        assert depth[0] == depth[1]
        assert set(depth[0]) == {"cancer", "mass"}


def test_centres_of_right_breasts_lie_at_their_depth_from_the_mirrored_chest_plane(exam):
    for image in exam.images:
        truth = image.truth
        for finding in truth.findings:
            path = (np.array(finding.center) - truth.chest_point) * image.spacing_mm
            assert path @ truth.ap_axis == pytest.approx(finding.x_ap_mm, abs=1e-9)
            assert np.linalg.norm(np.array(finding.center) - finding.box.center) < 6


def test_labels_are_those_of_what_was_put_in(exam):
    assert all(b.cancer and b.pathology == "cancer" for b in exam.breasts)
    shadows = make_exam(5, replace(RICH, p_cancer=0.0, p_benign_mass=0.0))
    assert all(not b.cancer and b.pathology == "normal" for b in shadows.breasts)
    benign = make_exam(5, replace(RICH, p_cancer=0.0))
    assert all(not b.cancer and b.pathology == "benign" for b in benign.breasts)
    assert not any(f.malignant for i in benign.images for f in i.truth.findings)


def test_a_pixel_of_a_bright_mass_stands_out_inside_its_box():
    bright = replace(RICH, conspic=4.0, p_benign_mass=0.0, p_summation=0.0, p_cc_only=0.0)
    bright = replace(bright, p_mlo_only=0.0, malignant_size=(20.0, 0.0, 19.0, 21.0))
    with_cancer, without = make_exam(7, bright), make_exam(7, replace(bright, p_cancer=0.0))
    for a, b in zip(with_cancer.images, without.images, strict=True):
        box = a.truth.findings[0].box
        change = a.pixels.astype(int) - b.pixels
        row, col = np.unravel_index(change.argmax(), change.shape)
        assert box.y0 <= row < box.y1
        assert box.x0 <= col < box.x1


def test_the_entity_is_the_image_with_its_display(exam):
    entity = exam.entity(exam.images[2])
    assert entity.view.name == "R-MLO"
    assert entity.view.slot == 2
    assert entity.bright_is_dense
    assert (entity.pixels == exam.images[2].pixels).all()
    assert entity.spacing_mm == pytest.approx((1.8, 1.8))


def test_detectors_are_the_vendors_own_or_of_the_field():
    assert detector_of(vendor_of("A"), None) == Detector((3328, 2560), 0.07)
    assert detector_of(vendor_of("B"), 768).shape == (768, 384)
    assert detector_of(vendor_of("B"), 768).px == pytest.approx(0.3)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(PhantomError, match="screening"):
        preset_of("tiny")
    with pytest.raises(PhantomError, match="A, B, C"):
        make_exam(0, RICH, vendor="Z")
    with pytest.raises(PhantomError, match="at least 64"):
        make_exam(0, RICH, rows=32)


def test_a_uid_is_short_enough_and_its_own():
    assert len(uid("a")) <= 64
    assert uid("a") == uid("a") != uid("b")
    assert uid("a").startswith("2.25.")
    assert isinstance(MINIATURE, Preset)


def test_paired_breasts_have_a_star_in_each_view_at_one_depth_only_where_there_is_a_cancer():
    plans = [plan_breast(seed, side, PAIRED) for seed in range(500) for side in ("R", "L")]
    assert all(p.shadows == (("CC", "MLO") if p.cancer is None else ()) for p in plans)
    share = np.mean([p.cancer is not None for p in plans])
    assert share == pytest.approx(0.5, abs=0.064)  # 4 sd of 1,000 draws
    for seed in range(8):
        lesions = fill_breast(breast(seed), PAIRED).lesions
        if any(lesion.is_malignant for lesion in lesions):
            assert len(lesions) == 1
        elif len(lesions) == 2:  # a few breasts have room for one
            assert abs(lesions[0].position[0] - lesions[1].position[0]) >= APART_MM


def test_plain_breasts_hold_one_large_star_that_both_views_show_or_nothing():
    held = [fill_breast(breast(seed), PLAIN) for seed in range(8)]
    assert {len(contents.lesions) for contents in held} == {0, 1}
    for contents in held:
        assert not contents.covers
        for lesion in contents.lesions:
            assert (lesion.kind, lesion.mode) == ("mass_malignant", "both")
            assert 14 <= lesion.diameter <= 30
