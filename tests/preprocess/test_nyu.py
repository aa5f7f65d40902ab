"""The NYU window against its published steps, done one by one in the frame of the file."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from fourview.entities import Voi
from fourview.errors import PixelError
from fourview.models.find import find_family
from fourview.preprocess import nyu
from fourview.preprocess.nyu import (
    NyuCrop,
    best_center,
    nyu_crop,
    nyu_window,
    opened_by_diamond,
)
from fourview.preprocess.pipeline import process, to_pixel_levels
from fourview.preprocess.spec import PixelSpec, pixel_spec
from mammogram_examples import breast_pixels, image_of

CROSS = ndimage.generate_binary_structure(2, 1)


def opened_slowly(mask, times):
    core = ndimage.binary_erosion(mask, CROSS, iterations=times)
    labels, count = ndimage.label(core, CROSS)
    if count == 0:
        return None
    largest = 1 + np.argmax([(labels == k).sum() for k in range(1, count + 1)])
    return ndimage.binary_dilation(labels == largest, CROSS, iterations=times)


def nyu_by_the_steps(picture, points, window, *, cc, radius=100, buffer=50):
    """Crop, centre and window of one picture that points "right" or "left"; never mirrored before.

    Everything is in the frame of the file, as it is published; only the result is turned.
    """
    mask = opened_slowly(picture > 0, radius)
    rows, cols = np.nonzero(mask)
    top, bottom, left, right = rows.min(), rows.max() + 1, cols.min(), cols.max() + 1
    low = np.flatnonzero(mask[bottom - 1])
    distance = left if points == "right" else picture.shape[1] - right
    bottom_x = (low - left) if points == "right" else (right - low)
    lowest_y = bottom - 1
    top, bottom = max(0, top - buffer), min(picture.shape[0], bottom + buffer)
    if points == "right":
        right = min(picture.shape[1], right + buffer)
    else:
        left = max(0, left - buffer)
    cropped, crop = mask[top:bottom, left:right], picture[top:bottom, left:right]
    ignored = int(len(cropped) / 3)
    seen = np.flatnonzero(cropped[ignored:].any(axis=0))
    index = seen[-1] if points == "right" else seen[0]
    touching = ignored + np.flatnonzero(cropped[ignored:, index])
    far_x = index if points == "right" else cropped.shape[1] - index
    if points == "left":
        crop = crop[:, ::-1]
    height, width = crop.shape
    center_x = far_x - window[1] // 2 - 1
    if not cc:
        filled = [y for y in range(height) if crop[y, -window[1] :].any()]
        center_y = min(lowest_y - top, filled[-1]) - window[0] // 2 - 1
    elif height < window[0]:
        center_y = height // 2
    else:
        x0 = center_x - window[1] // 2
        best = None
        for y0 in range(height - window[0] + 1):
            part = crop[y0 : y0 + window[0], max(0, x0) : x0 + window[1]]
            y = y0 + window[0] // 2
            key = (-np.count_nonzero(part), abs(y - height // 2), y)
            best = min(best or key, key)
        center_y = best[2]
    if height < window[0]:
        above = (window[0] - height) // 2 if cc else 0
        crop = np.pad(crop, ((above, window[0] - height - above), (0, 0)))
        y0 = 0
    else:
        y0 = min(max(center_y - window[0] // 2, 0), height - window[0])
    if width < window[1]:
        crop = np.pad(crop, ((0, 0), (0, window[1] - width)))
        x0 = 0
    else:
        x0 = min(max(center_x - window[1] // 2, 0), width - window[1])
    return {
        "window_location": tuple(map(int, (top, bottom, left, right))),
        "rightmost": ((int(touching[0]), int(touching[-1])), int(far_x)),
        "bottommost": (int(lowest_y - top), (int(bottom_x.min()), int(bottom_x.max()))),
        "distance": int(distance),
        "center": (int(center_y), int(center_x)),
        "pixels": crop[y0 : y0 + window[0], x0 : x0 + window[1]],
    }


def blobs(seed, shape=(90, 70)):
    """A ragged mask with holes, thin lines and pieces that touch the border."""
    random = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(random.normal(size=shape), 4) > -0.02
    mask[random.integers(0, shape[0])] = True
    mask[:, random.integers(0, shape[1])] = False
    return mask


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(6))
def test_a_distance_opens_as_so_many_erosions_and_dilations_do(seed, radius):
    mask = blobs(seed)
    want = opened_slowly(mask, radius) if radius else None  # SciPy takes 0 for "until it stays"
    if radius == 0:
        labels, count = ndimage.label(mask, CROSS)
        want = labels == 1 + np.argmax([(labels == k).sum() for k in range(1, count + 1)])
    got = opened_by_diamond(mask, radius)
    if want is None:
        assert got is None
    else:
        np.testing.assert_array_equal(got, want)


def test_distances_that_saturate_open_as_well():
    mask = np.zeros((700, 800), bool)
    mask[20:680, :760] = True  # its middle is farther than 255 pixels from the outside
    mask[300:310] = True
    np.testing.assert_array_equal(opened_by_diamond(mask, 100), opened_slowly(mask, 100))
    assert opened_by_diamond(mask[:150], 100) is None


def drawn(rows, cols, *, seed, label=True, depth=0.7):
    """A breast that points right with a rough edge, a stray label and noise that is often 0."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    center = rows * random.uniform(0.4, 0.6)
    rough = 0.03 * np.sin(y / (rows / 37)) + 0.02 * np.sin(x / (cols / 23))
    inside = (x / (cols * depth)) ** 2 + ((y - center) / (rows * 0.42)) ** 2 < 1 + rough
    picture = np.where(inside, random.integers(1, 4096, (rows, cols)), 0)
    if label:
        picture[rows // 40 : rows // 12, -cols // 8 : -cols // 20] = 4095
    return picture.astype(np.uint16)


# A spec of an eighth of the published size in every length, so that the slow way stays affordable.
SMALL = PixelSpec(name="small", rows=368, cols=240, voi="ignore", range="bits", layout="nyu_parity")
CASES = [(300, 220, 0.7), (300, 400, 0.8), (520, 200, 0.8), (520, 420, 0.85), (600, 420, 0.6)]


@pytest.fixture
def eighth(monkeypatch):
    monkeypatch.setattr(nyu, "RADIUS", 12)
    monkeypatch.setattr(nyu, "BUFFER", 6)


@pytest.mark.usefixtures("eighth")
@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("position", ["CC", "MLO"])
@pytest.mark.parametrize(("rows", "cols", "depth"), CASES)
@pytest.mark.parametrize("seed", range(2))
def test_parity_gives_the_pixels_of_the_published_steps(rows, cols, depth, position, side, seed):
    picture = drawn(rows, cols, seed=seed, depth=depth)
    if side == "R":
        picture = np.ascontiguousarray(picture[:, ::-1])
    points = "right" if side == "L" else "left"
    want = nyu_by_the_steps(
        picture, points, (SMALL.rows, SMALL.cols), cc=position == "CC", radius=12, buffer=6
    )
    done = process(image_of(picture, side=side, position=position), SMALL)
    levels = np.rint(want["pixels"] * (65535 / 4095)).astype(np.uint16)
    np.testing.assert_array_equal(to_pixel_levels(done.pixels), levels)
    assert f"centre {want['center']}" in done.notes[-1]
    stored = done.geometry.to_stored(np.argwhere(done.mask)[:, ::-1] + 0.5).astype(int)
    np.testing.assert_array_equal(picture[stored[:, 1], stored[:, 0]], want["pixels"][done.mask])


DMV = PixelSpec(name="small dmv", rows=372, cols=243, cc_rows=335, mlo_cols=218, voi="ignore",
                range="bits", layout="nyu_parity")  # fmt: skip


@pytest.mark.usefixtures("eighth")
@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("position", ["CC", "MLO"])
@pytest.mark.parametrize(("rows", "cols", "depth"), CASES)
def test_parity_of_dmv_gives_its_two_windows(rows, cols, depth, position, side):
    """A mirrored wide view starts where the published one does, and no pixel above 0 is lost."""
    picture = drawn(rows, cols, seed=5, depth=depth)
    if side == "R":
        picture = np.ascontiguousarray(picture[:, ::-1])
    window = (335, 243) if position == "CC" else (372, 218)
    points = "right" if side == "L" else "left"
    want = nyu_by_the_steps(picture, points, window, cc=position == "CC", radius=12, buffer=6)
    done = process(image_of(picture, side=side, position=position), DMV)
    levels = np.rint(want["pixels"] * (65535 / 4095)).astype(np.uint16)
    got = to_pixel_levels(done.pixels)
    np.testing.assert_array_equal(got[: window[0], : window[1]], levels)
    assert not got[window[0] :].any() and not got[:, window[1] :].any()


def test_converted_dmv_reads_the_published_pixels():
    weights = find_family("dmv").published
    assert {w.pixel_specs for w in weights} == {("dmv-2974x1942-parity", "dmv-2974x1942")}
    parity, plain = (pixel_spec(name) for name in weights[0].pixel_specs)
    assert replace(parity, name=plain.name, layout="nyu") == plain


@pytest.mark.usefixtures("eighth")
@pytest.mark.parametrize("side", ["L", "R"])
def test_the_lists_fields_are_the_published_ones(side):
    picture = drawn(520, 300, seed=3)
    oriented = picture > 0
    if side == "R":
        picture = picture[:, ::-1]
    points = "right" if side == "L" else "left"
    want = nyu_by_the_steps(picture, points, (368, 240), cc=True, radius=12, buffer=6)
    got = nyu_crop(oriented, shift=int(side == "R"))
    x0, y0, x1, y1 = got.corners
    columns = (x0, x1) if side == "L" else (300 - x1, 300 - x0)
    assert (y0, y1, *columns) == want["window_location"]
    assert got.rightmost == want["rightmost"]
    assert got.bottommost == want["bottommost"]
    assert got.distance_from_starting_side == want["distance"]


def test_the_published_sample_exam_comes_out():
    # The L-CC of the public sample: a breast whose opening has these extreme points.
    core = np.zeros((2500, 1200), bool)
    core[100:1873, 100] = core[948:958, 100:651] = True
    breast = ndimage.distance_transform_cdt(~core, "taxicab") <= 100
    crop = nyu_crop(breast)
    assert crop.corners == (0, 0, 801, 2023)
    assert crop.rightmost == ((948, 957), 750)
    assert crop.bottommost == (1972, (100, 100))
    window = {"window": (2944, 1920), "frame": (2944, 1920), "from_above": True, "strict": True}
    assert nyu_window(breast, **window).center == (1011, -211)
    # Mirrored, the published column is one further; R-CC has 750 + 1 and a crop of 2144 rows.
    taller = np.zeros((2144, 801), bool)
    mirrored = nyu_window(breast, **window, shift=1).crop
    assert mirrored.rightmost[1] == 751
    assert best_center(taller, mirrored, window=(2944, 1920), from_above=True) == (1072, -210)
    for lowest, farthest, want in ((2679, 930, (1206, -31)), (2599, 956, (1126, -5))):
        oblique = NyuCrop((0, 0, 1006, 2800), ((1500, 1500), farthest), (lowest, (0, 0)), 0)
        inside = np.ones((2800, 1006), bool)
        assert best_center(inside, oblique, window=(2944, 1920), from_above=False) == want


def test_equal_counts_take_the_centre_nearest_the_middle():
    inside = np.zeros((5000, 400), bool)
    inside[1500:2500] = True  # every window that holds all of it is as good
    crop = NyuCrop((0, 0, 400, 5000), ((2000, 2000), 399), (2499, (0, 0)), 0)
    center = best_center(inside, crop, window=(2944, 1920), from_above=True)
    assert center[0] == 2500


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("position", ["CC", "MLO"])
def test_without_parity_labels_vanish_and_a_grey_background_does_no_harm(position, side):
    pixels, truth = breast_pixels(1200, 900, position=position, side=side, air=60, noise=3)
    marker = np.s_[40:110, 700:800] if side == "L" else np.s_[40:110, 100:200]
    pixels[marker] = 4095
    done = process(image_of(pixels, side=side, position=position), pixel_spec("nyu-2944x1920"))
    oriented = truth if side == "L" else truth[:, ::-1]
    assert done.mask.sum() == pytest.approx(oriented.sum(), rel=0.03)
    assert done.pixels.max() < 4000 / 4095
    assert abs(done.geometry.matrix()[0, 0]) == done.geometry.matrix()[1, 1] == 1  # not resized
    first = np.flatnonzero(done.mask.any(axis=1))[0]
    crop_rows = min(1200, int(np.flatnonzero(truth.any(axis=1))[-1]) + 1 + 50)
    if position == "CC":
        assert first > (2944 - crop_rows) // 2 - 60  # zeros evenly above and below
    else:
        assert first <= 50  # zeros below only


def test_a_breast_too_small_to_open_is_kept_unless_parity_is_asked_for():
    pixels, _ = breast_pixels(208, 160)
    image = image_of(pixels)
    assert process(image, pixel_spec("nyu-2944x1920")).mask.sum() > 5000
    with pytest.raises(PixelError, match=r"1\.2\.3: no part .* diamond of radius 100"):
        process(image, pixel_spec("nyu-2944x1920-parity"))


@pytest.mark.parametrize(("position", "size"), [("CC", (2677, 1942)), ("MLO", (2974, 1748))])
def test_the_dmv_frame_holds_its_windows_in_the_upper_left(position, size):
    random = np.random.default_rng(0)
    picture = random.integers(1, 4096, (3328, 2560)).astype(np.uint16)
    picture[:, 2200:] = 0  # a breast that fills the frame: every window is full
    image = image_of(picture, position=position, voi=Voi(function="LINEAR", center=9, width=2))
    spec = pixel_spec("dmv-2974x1942")
    done = process(image, spec)
    assert done.mask[: size[0], : size[1]].mean() > 0.99
    assert not done.mask[size[0] :].any()
    assert not done.mask[:, size[1] :].any()
