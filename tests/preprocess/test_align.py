import math
from dataclasses import replace

import numpy as np
import pytest

from ap_examples import oblique, phantom
from fourview.geometry import Box, Geometry
from fourview.phantom.exam import make_exam
from fourview.preprocess.align import Alignment, align, alignment, warp
from fourview.preprocess.nipple import find_nipple
from fourview.preprocess.pipeline import process, to_pixel_levels
from fourview.preprocess.spec import pixel_spec


def turned(degrees=22.0, *, keep_muscle=False, side="L"):
    levels, mask, _ = oblique(degrees)
    geometry = Geometry(levels.shape)
    geometry = geometry if side == "L" else geometry.mirrored()
    decided = alignment(levels, mask, "MLO")
    return levels, mask, align(levels, mask, geometry, decided, keep_muscle=keep_muscle)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("degrees", [-40, -20.5, 13, 90])
def test_a_planted_pixel_is_found_through_the_geometry(degrees, side):
    stored = np.zeros((120, 70), np.uint16)
    stored[30:33, 50:53] = 60000
    levels = stored if side == "L" else np.ascontiguousarray(stored[:, ::-1])
    geometry = Geometry(stored.shape)
    geometry = geometry if side == "L" else geometry.mirrored()
    mask = np.ones(levels.shape, bool)
    done = align(levels, mask, geometry, Alignment(degrees, "no_line"))
    y, x = np.mgrid[0 : done.levels.shape[0], 0 : done.levels.shape[1]] + 0.5
    weight = np.where(done.levels > 1, done.levels, 0).astype(float)
    got = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
    # OpenCV interpolates at 1/32 of a pixel
    assert got == pytest.approx(done.geometry.to_processed(np.array([51.5, 31.5])), abs=0.05)
    assert done.geometry.to_stored(got) == pytest.approx((51.5, 31.5), abs=0.05)


def test_warp_agrees_with_a_bilinear_loop():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 65535, (12, 9)).astype(np.uint16)
    geometry = Geometry((12, 9)).rotated(-23)
    got = warp(pixels, geometry.steps[-1])
    padded = np.pad(pixels.astype(float), 30)
    want = np.zeros(got.shape)
    for row in range(want.shape[0]):
        for col in range(want.shape[1]):
            x, y = geometry.to_stored(np.array([col + 0.5, row + 0.5])) - 0.5
            left, top = math.floor(x), math.floor(y)
            part = padded[top + 30 : top + 32, left + 30 : left + 32]
            want[row, col] = [1 - (y - top), y - top] @ part @ [1 - (x - left), x - left]
    # 1/32 of a pixel, in both directions, at the largest step there can be
    assert np.abs(got - want).max() < 65535 * 2 / 32
    assert np.abs(got - want).mean() < 65535 / 64


@pytest.mark.parametrize("degrees", [12, 28, 45])
def test_no_tissue_in_front_of_the_line_is_lost(degrees):
    _, mask, done = turned(degrees)
    assert done.alignment.status == "line_found"
    row, col = np.nonzero(mask)
    points = np.stack([col, row], axis=1) + 0.5
    front = points[done.alignment.line.depth(points) > 1.5]
    x, y = np.floor(done.geometry.to_processed(front)).astype(int).T
    rows, cols = done.mask.shape
    assert ((x >= 0) & (x < cols) & (y >= 0) & (y < rows)).all()
    # rounding of the boundary may take a pixel of the outline, and no more
    assert done.mask[y, x].mean() > 0.995
    area = (done.alignment.line.depth(points) > 0).sum()
    assert done.mask.sum() == pytest.approx(area, rel=0.01)


def test_all_is_kept_where_the_muscle_is():
    levels, mask, done = turned(keep_muscle=True)
    assert done.mask.sum() == pytest.approx(mask.sum(), rel=0.005)
    assert done.levels.sum(dtype=float) == pytest.approx(levels.sum(dtype=float), rel=0.01)


def test_the_line_becomes_column_0_and_rows_run_to_the_nipple():
    _, mask, done = turned(28)
    line = done.alignment.line
    along = np.array([-line.axis[1], line.axis[0]])
    on_line = line.axis * line.offset_px + np.array([[0.0], [100.0]]) * along
    assert done.geometry.to_processed(on_line)[:, 0] == pytest.approx((0, 0), abs=0.51)
    oblique_nipple = find_nipple(mask, degrees=line.degrees)
    straight_nipple = find_nipple(done.mask)
    assert done.geometry.to_processed(np.array(oblique_nipple)) == pytest.approx(
        straight_nipple,
        abs=6,  # the tip is flat: 0.2 pixels of depth are 6 across
    )


def test_pixels_and_mask_keep_their_contract():
    for keep_muscle in (False, True):
        _, _, done = turned(keep_muscle=keep_muscle)
        np.testing.assert_array_equal(done.levels > 0, done.mask)
        assert done.levels.dtype == np.uint16
        assert done.levels.shape == done.geometry.processed_size
        assert done.mask.any(axis=1)[[0, -1]].all()
        assert done.mask.any(axis=0)[[0, -1]].all()


def test_boxes_go_there_and_back():
    _, _, done = turned(side="R")
    corners = Box(60.25, 200.5, 90, 240).corners()
    back = done.geometry.to_stored(done.geometry.to_processed(corners))
    assert back == pytest.approx(corners, abs=1e-9)
    assert done.geometry.is_mirrored
    assert Geometry.from_json(done.geometry.to_json()) == done.geometry


def test_only_oblique_views_are_turned():
    levels, mask, _ = oblique()
    for position in ("CC", "ML", "XCCL"):
        decided = alignment(levels, mask, position)
        assert decided.status == "not_oblique"
        done = align(levels, mask, Geometry(levels.shape), decided)
        assert done.levels is levels
        assert done.geometry.steps == ()


def test_without_a_line_nothing_is_turned_unless_asked_for():
    levels, mask, _ = oblique(muscle=0.4)
    decided = alignment(levels, mask, "MLO")
    assert (decided.status, decided.degrees, decided.line) == ("no_line", 0, None)
    assert "not turned" in decided.note
    assert align(levels, mask, Geometry(levels.shape), decided).levels is levels
    guessed = alignment(levels, mask, "MLO", fallback_degrees=18)
    assert (guessed.status, guessed.degrees) == ("no_line", -18)
    done = align(levels, mask, Geometry(levels.shape), guessed)
    assert done.mask.sum() == pytest.approx(mask.sum(), rel=0.005)  # no line: nothing is cut


def test_findings_of_phantoms_come_to_the_same_depth():
    before, after = [], []
    for seed in (60, 61, 62):
        views = {image.name: (image, done) for image, done in phantom(seed)}
        for side in "RL":
            cc = depths(*views[f"{side}-CC"], "CC")
            as_it_was = depths(*views[f"{side}-MLO"], "none")
            aligned = depths(*views[f"{side}-MLO"], "MLO")
            for name in set(cc) & set(as_it_was):
                before.append(abs(cc[name] - as_it_was[name]))
                after.append(abs(cc[name] - aligned[name]))
    assert len(before) >= 5
    assert np.median(after) < 0.5 * np.median(before)
    assert np.median(after) < 0.05


def depths(image, done, position):
    """Depth of findings behind the nipple, in parts of the breast's true length."""
    levels = to_pixel_levels(done.pixels)
    aligned = align(levels, done.mask, done.geometry, alignment(levels, done.mask, position))
    tip = find_nipple(aligned.mask)[0]
    x = {f.name: aligned.geometry.to_processed(np.array(f.center))[0]
         for f in image.truth.findings if f.box is not None}  # fmt: skip
    length = image.truth.length_mm / image.spacing_mm
    return {name: (tip - value) / length for name, value in x.items()}


def test_a_spec_names_the_published_line_and_its_fallback():
    published = pixel_spec("glam-518-published")
    usual = replace(
        published, name="glam-518-stretched", ap_line="oriented", ap_fallback_degrees=0.0
    )
    assert usual.fingerprint == pixel_spec("glam-518-stretched").fingerprint
    assert published.fingerprint != usual.fingerprint
    exam = make_exam(60, "miniature", rows=256, vendor="A")
    for image, whole in phantom(60):
        if image.position == "MLO":
            want = alignment(whole.pixels, whole.mask, "MLO", method="plain", fallback_degrees=18.0)
            usually = alignment(whole.pixels, whole.mask, "MLO")
            assert want.note in process(exam.entity(image), published).notes
            assert want.note != usually.note in process(exam.entity(image), usual).notes
