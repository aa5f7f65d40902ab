from dataclasses import replace

import numpy as np
import pytest

from fourview.entities import Voi
from fourview.errors import PixelError
from fourview.geometry import Box
from fourview.preprocess.pipeline import from_levels, process, to_pixel_levels, was_enlarged
from fourview.preprocess.spec import ALIASES, SPECS, PixelSpec, pixel_spec
from mammogram_examples import breast_pixels, image_of

NATIVE = PixelSpec(name="native", rows=None, cols=None, pad_to_aspect=False)
WINDOW = Voi(function="LINEAR_EXACT", center=2048, width=4096)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("side", ["R", "L"])
def test_every_spec_keeps_the_contract(spec, side):
    pixels, _ = breast_pixels(position="MLO", side=side)
    done = process(image_of(pixels, side=side, position="MLO"), spec)
    assert done.pixels.dtype == np.float32
    assert done.pixels.shape == done.mask.shape == done.geometry.processed_size
    if spec.rows is not None:
        assert done.pixels.shape == (spec.rows, spec.cols)
    np.testing.assert_array_equal(done.pixels > 0, done.mask)
    assert done.pixels.max() <= 1
    as_it_hangs = spec.layout in ("stretched", "square")  # tests/preprocess/test_whole_box.py
    assert done.geometry.is_mirrored == (side == "R" and not as_it_hangs)
    part = done.mask.shape[1] // 4
    if not as_it_hangs:
        assert done.mask[:, :part].sum() > done.mask[:, -part:].sum()  # chest wall on the left
    assert done.fingerprint == spec.fingerprint
    np.testing.assert_array_equal(from_levels(to_pixel_levels(done.pixels)), done.pixels)


@pytest.mark.parametrize("bright_is_dense", [True, False])
@pytest.mark.parametrize("side", ["R", "L"])
@pytest.mark.parametrize(("rows", "cols"), [(None, None), (300, 150), (300, 300), (1200, 600)])
def test_a_planted_pixel_is_found_through_its_box(side, rows, cols, bright_is_dense):
    pixels, truth = breast_pixels(side=side, noise=0)
    pixels = np.where(truth, 1000, 0).astype(np.uint16)
    y, x = 311, int(np.flatnonzero(truth[311])[40])
    pixels[y - 3 : y + 4, x - 3 : x + 4] = 4095  # 7 pixels a side: larger than one of the small
    if not bright_is_dense:
        pixels = 4095 - pixels
    spec = PixelSpec(name="test", rows=rows, cols=cols, pad_to_aspect=rows is not None)
    image = image_of(pixels, side=side, voi=WINDOW, bright_is_dense=bright_is_dense)
    done = process(image, spec)
    box = done.geometry.box_to_processed(Box(x - 3, y - 3, x + 4, y + 4))
    center_x, center_y = box.center
    assert done.pixels[int(center_y), int(center_x)] > 0.9
    bright_y, bright_x = np.nonzero(done.pixels > 0.6)  # half way from 1000 to 4095
    corners = (bright_x.min(), bright_y.min(), bright_x.max() + 1, bright_y.max() + 1)
    got = Box(*map(float, corners))
    back = done.geometry.box_to_stored(got)
    pixel = max(1.0, done.geometry.matrix()[1, 1] ** -1)  # one processed pixel, in stored ones
    for edge, want in zip(
        (back.x0, back.y0, back.x1, back.y1), (x - 3, y - 3, x + 4, y + 4), strict=True
    ):
        assert edge == pytest.approx(want, abs=pixel)


@pytest.mark.parametrize("side", ["R", "L"])
def test_boxes_go_there_and_back(side):
    pixels, _ = breast_pixels(side=side)
    done = process(image_of(pixels, side=side), pixel_spec("mvccl-384x192"))
    box = Box(100.25, 333.5, 190, 401)
    back = done.geometry.box_to_stored(done.geometry.box_to_processed(box))
    assert back.corners() == pytest.approx(box.corners(), abs=1e-6)  # far below half a pixel


@pytest.mark.parametrize("factor", [2, 4])
def test_a_file_decoded_smaller_keeps_its_own_frame(factor):
    # What a wavelet decoder gives at a lower resolution: the samples at every factor-th pixel.
    truth = breast_pixels(1664, 1280, side="R")[1]
    smooth = np.where(truth, 1000.0, 0.0)
    y, x = np.mgrid[0:1664, 0:1280]
    smooth += np.where(truth, 3000 * np.exp(-((x + 0.5 - 900.5) ** 2 + (y - 800) ** 2) / 800), 0)
    image = image_of(
        smooth[::factor, ::factor].astype(np.uint16), side="R", stored_size=(1664, 1280)
    )
    done = process(image, NATIVE)
    peak = done.pixels.astype(np.float64) ** 40  # the centroid of the top, to a part of a pixel
    rows, cols = np.mgrid[0 : peak.shape[0], 0 : peak.shape[1]]
    center = [(cols + 0.5) * peak, (rows + 0.5) * peak]
    got = done.geometry.to_stored(np.array([[v.sum() / peak.sum() for v in center]]))
    assert got[0] == pytest.approx((900.5, 800.5), abs=0.5)


def test_padding_goes_below_for_mlo_and_evenly_for_cc_and_to_the_air_side():
    tall = PixelSpec(name="tall", rows=600, cols=150)
    wide = PixelSpec(name="wide", rows=100, cols=300)
    for position in ("CC", "MLO"):
        pixels, _ = breast_pixels(position=position)
        image = image_of(pixels, position=position)
        rows = np.flatnonzero(process(image, tall).mask.any(axis=1))
        above, below = rows[0], 599 - rows[-1]
        if position == "CC":
            assert abs(above - below) <= 1
            assert above > 5
        else:
            assert above == 0
            assert below > 5
        cols = np.flatnonzero(process(image, wide).mask.any(axis=0))
        assert cols[0] == 0
        assert cols[-1] < 200


def test_nothing_is_squeezed_where_the_aspect_is_kept():
    pixels, _ = breast_pixels()
    scale = process(image_of(pixels), pixel_spec("vlp-518")).geometry.matrix()
    assert scale[0, 0] == pytest.approx(scale[1, 1], rel=0.002)  # padding is in whole pixels


def test_shrinking_takes_means_of_areas():
    pixels = np.zeros((400, 300), np.uint16)
    pixels[:, :200] = np.random.default_rng(0).integers(1500, 2500, (400, 200))
    spec = PixelSpec(name="half", rows=200, cols=150, crop="none", pad_to_aspect=False)
    done = process(image_of(pixels, voi=WINDOW), spec)
    want = pixels.reshape(200, 2, 150, 2).mean(axis=(1, 3)) / 4096
    inside = np.s_[10:-10, 10:90]
    # each of four levels is rounded to 1/65535, and so is their mean
    np.testing.assert_allclose(done.pixels[inside], want[inside], atol=1.1 / 65535)


def test_the_pixels_overrule_the_header_and_say_so():
    pixels, _ = breast_pixels(side="L")
    done = process(image_of(pixels, side="R"), NATIVE)
    assert not done.geometry.is_mirrored
    assert any("though the header's side is R" in note for note in done.notes)


def test_both_polarities_show_the_same():
    pixels, _ = breast_pixels()
    spec = pixel_spec("mvccl-384x192")
    bright = process(image_of(pixels), spec)
    dark = process(image_of(4095 - pixels, bright_is_dense=False), spec)
    np.testing.assert_allclose(bright.pixels, dark.pixels, atol=2 / 65535)  # rounded once each


def test_it_is_deterministic_and_leaves_its_input_alone():
    pixels, _ = breast_pixels()
    before = pixels.copy()
    first, second = (process(image_of(pixels), pixel_spec("vlp-518")) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(pixels, before)
    assert first.geometry == second.geometry


def test_the_users_window_is_asked_for_and_taken():
    pixels, _ = breast_pixels()
    spec = PixelSpec(name="mine", rows=None, cols=None, voi="user")
    with pytest.raises(PixelError, match="needs the user's window"):
        process(image_of(pixels), spec)
    done = process(image_of(pixels), spec, voi=WINDOW)
    assert any("user's LINEAR_EXACT window 2048/4096" in note for note in done.notes)


def test_a_window_known_to_be_wrong_can_be_ignored_for_one_image():
    pixels, _ = breast_pixels()
    wrong = Voi(function="SIGMOID", center=10, width=5)
    done = process(image_of(pixels, voi=wrong), NATIVE, voi="ignore")
    assert done.pixels.max() == pytest.approx(pixels.max() / 4095, abs=1e-4)


def test_other_fields_make_another_fingerprint():
    spec = pixel_spec("mvccl-384x192")
    prints = {s.fingerprint for s in (*SPECS.values(), PixelSpec(name=spec.name, rows=1, cols=1))}
    assert len(prints) == len(SPECS) + 1
    with pytest.raises(PixelError, match="no pixel spec 'mvcl'"):
        pixel_spec("mvcl")


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("mvccl-192x96", "1708877bf59d6271"), ("mvccl-1536x768", "822902d07a36187f")],
)
def test_fingerprints_that_shipped_weights_carry_stay(name, fingerprint):
    assert pixel_spec(name).fingerprint == fingerprint


def scale_of(done):
    """Processed pixels a stored one, whatever was turned."""
    return np.sqrt(abs(np.linalg.det(done.geometry.matrix()[:, :2])))


@pytest.mark.parametrize("position", ["CC", "MLO"])
@pytest.mark.parametrize("factor", [1, 2])
def test_glam_gives_both_views_one_scale_and_columns_from_the_chest_wall(position, factor):
    pixels, truth = breast_pixels(1664, 1280, position=position, side="R")
    image = image_of(
        pixels[::factor, ::factor], side="R", position=position, stored_size=(1664, 1280)
    )
    done = process(image, pixel_spec("glam-518"))
    assert scale_of(done) == pytest.approx(0.07 / 0.5, rel=1e-3)  # frames are in whole pixels
    cols = np.flatnonzero(done.mask.any(axis=0))
    assert cols[0] == 0
    assert np.flatnonzero(done.mask.any(axis=1))[0] <= 1  # padding is below
    if position == "CC":
        depth = (np.flatnonzero(truth.any(axis=0)).size) * 0.07 / 0.5
        assert cols[-1] == pytest.approx(depth, rel=0.05)
    else:
        assert any(step.name == "rotate" for step in done.geometry.steps)
        assert any("along the pectoral line" in note for note in done.notes)


def test_without_a_spacing_or_with_a_larger_breast_glam_scales_to_the_frame():
    pixels, _ = breast_pixels(1664, 1280)
    image = image_of(pixels)
    unknown = process(replace(image, spacing_mm=None), pixel_spec("glam-518"))
    large = process(replace(image, spacing_mm=(0.3, 0.3)), pixel_spec("glam-518"))
    assert "no spacing in the file: scaled to the frame" in unknown.notes
    assert any("holds the whole breast" in note for note in large.notes)
    for done in (unknown, large):
        assert np.flatnonzero(done.mask.any(axis=1))[-1] == 517
    np.testing.assert_allclose(unknown.pixels, large.pixels, atol=0.02)  # a padded row more or less


def test_a_finer_decode_is_asked_for_where_it_would_show_more():
    pixels, _ = breast_pixels(832, 640)
    whole = image_of(pixels)
    small = image_of(pixels[::2, ::2], stored_size=(832, 640))
    for rows, want in ((200, False), (500, True)):
        spec = PixelSpec(name="test", rows=rows, cols=rows)
        assert was_enlarged(process(small, spec).geometry) == want
        assert not was_enlarged(process(whole, spec).geometry)  # there is no finer one


@pytest.mark.parametrize(("short", "name"), ALIASES.items())
def test_a_short_name_is_the_same_spec(short, name):
    assert pixel_spec(short) is pixel_spec(name)
    assert pixel_spec(short).name == name


def test_the_mask_of_a_smaller_image_goes_by_majority():
    """Of 3 x 3 pixels 5 make a pixel of the breast; 4 do not, and 9 are not needed."""
    pixels, _ = breast_pixels(600, 450)
    image = image_of(pixels, voi=WINDOW)
    whole = process(image, PixelSpec(name="all", rows=None, cols=None, crop="none"))
    spec = PixelSpec(name="third", rows=200, cols=150, crop="none", pad_to_aspect=False)
    inside = whole.mask.reshape(200, 3, 150, 3).sum(axis=(1, 3))
    assert {1, 2, 3, 4, 5, 6, 7, 8} <= set(inside.ravel().tolist())  # every share is tried
    np.testing.assert_array_equal(process(image, spec).mask, inside >= 5)
