import math

import numpy as np
import pytest

import phantom_examples as examples
from fourview.phantom.lesions import Contents
from fourview.phantom.outline import outline_of
from fourview.phantom.render import truth_of
from fourview.phantom.view import acquire, maps_of, num_depth_samples, soften, unsoften

POSITIONS = ["CC", "MLO"]


def neutral_points(of, num=200):
    rng = np.random.default_rng(1)
    x = of.length * rng.uniform(0.1, 0.9, num)
    angle, rho = rng.uniform(0, 2 * np.pi, num), np.sqrt(rng.uniform(0, 0.6, num))
    radius = rho * of.half_radius(x)
    return np.stack([x, radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@pytest.mark.parametrize("position", POSITIONS)
def test_detector_and_breast_coordinates_undo_each_other(position):
    view = examples.view(examples.breast(), position)
    x, t = np.linspace(-5, 90, 20), np.linspace(-60, 60, 20)
    back = view.from_image(*view.to_image(x, t))
    np.testing.assert_allclose(back, [x, t], atol=1e-10)  # rounding of doubles


def test_a_point_is_at_the_same_ap_depth_in_both_views():
    of = examples.breast()
    points = neutral_points(of)
    for position in POSITIONS:
        view = examples.view(of, position)
        x, _ = view.from_image(*view.project(points))
        np.testing.assert_allclose(x, points[:, 0], atol=1e-10)


def test_jitter_lets_the_views_disagree_and_is_undone_by_the_inverse():
    of = examples.breast()
    plain = acquire(of, "MLO", (230.4, 115.2))
    jittered = acquire(of, "MLO", (230.4, 115.2), ap_jitter=1.0)
    assert jittered.ap_scale != 1
    assert plain.ap_scale == 1
    x, t = np.linspace(0, 80, 9), np.linspace(-40, 40, 9)
    np.testing.assert_allclose(jittered.from_image(*jittered.to_image(x, t)), [x, t], atol=1e-10)


def test_softening_is_undone_up_to_its_end():
    u = np.linspace(-1.08, 1.08, 301)
    np.testing.assert_allclose(unsoften(soften(u)), u, atol=1e-12)
    assert abs(soften(np.array([5.0, -9.0]))).max() <= 1


@pytest.mark.parametrize("position", POSITIONS)
def test_the_breast_proper_lies_inside_the_silhouette(position):
    for seed in range(6):
        of = examples.breast(seed)
        outline = outline_of(of, position)
        x = np.linspace(2, 0.97 * of.length, 60)
        for up, sign in ((True, 1.0), (False, -1.0)):
            half = outline.half_width(x, np.full(60, up))
            assert (outline.skin(sign * half) >= x - 0.3).all()  # 0.5 mm of it is added above


@pytest.mark.parametrize("position", POSITIONS)
def test_points_of_the_neutral_breast_land_inside_the_mask(position):
    of = examples.breast()
    view = examples.view(of, position)
    maps = maps_of(view, (230, 115), 1.0)
    x, y = view.project(neutral_points(of))
    row, col = y.astype(int), x.astype(int)
    seen = (row >= 0) & (row < 230) & (col >= 0) & (col < 115)
    assert seen.mean() > 0.9
    assert maps.mask[row[seen], col[seen]].all()


def test_the_compressed_thickness_is_full_inside_and_none_at_the_skin():
    view = examples.view(examples.breast(), "CC")
    maps = maps_of(view, (768, 384), 0.3)
    inner = maps.depth > 0.45 * view.thickness
    assert maps.thickness[inner] == pytest.approx(view.thickness)
    rim = (maps.depth > 0) & (maps.depth < 0.1)
    assert maps.thickness[rim].max() < 0.3 * view.thickness
    assert (maps.thickness[~maps.mask] == 0).all()


def test_the_pectoral_line_is_perpendicular_to_the_ap_axis():
    of = examples.breast()
    view = examples.view(of, "MLO")
    truth = truth_of(view, examples.SMALL, ())
    line = truth.pectoral[-1] - truth.pectoral[0]
    assert line @ truth.ap_axis == pytest.approx(0, abs=1e-9)
    assert len(truth_of(examples.view(of, "CC"), examples.SMALL, ()).pectoral) == 0


def test_the_nipple_is_its_length_from_the_chest_along_the_ap_axis():
    for position in POSITIONS:
        view = examples.view(examples.breast(), position)
        truth = truth_of(view, examples.SMALL, ())
        path = (np.array(truth.nipple) - truth.chest_point) * examples.SMALL.px
        np.testing.assert_allclose(path, view.length * np.array(truth.ap_axis), atol=1e-9)
        assert math.hypot(*truth.ap_axis) == pytest.approx(1)


@pytest.mark.parametrize("position", POSITIONS)
def test_the_skin_line_is_the_border_of_the_mask(position):
    layers = examples.layers(examples.breast(), position, Contents(), examples.MIDDLE)
    mask = examples.whole(layers.depth > 0, layers, examples.MIDDLE)
    skin = truth_of(
        examples.view(examples.breast(), position, examples.MIDDLE), examples.MIDDLE, ()
    ).skin
    inner = skin[(skin > 3).all(axis=1) & (skin < [188, 380]).all(axis=1)].astype(int)
    assert len(inner) > 100
    for x, y in inner:
        block = mask[y - 2 : y + 3, x - 2 : x + 3]
        assert block.any()
        assert not block.all()


def test_depth_samples_follow_the_thickness_within_bounds():
    assert [num_depth_samples(t) for t in (20, 48, 100)] == [12, 15, 24]
