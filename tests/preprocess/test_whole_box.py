"""8-bit boxes as they hang, against numpy and pydicom written out independently."""

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_voi_lut

from dicom_examples import EXPLICIT, TWELVE, write_mammogram
from fourview.dicom.image import read_image
from fourview.preprocess.breast import find_breast
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import PixelSpec

SIZES = {"stretched": ((256, 128), (192, 128)), "square": ((192, 192), (160, 160))}


def breast(rows=420, cols=260, *, right=False):
    """A half ellipse of noise at one edge, in air of 30 to 40, with a bright label beside it."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:rows, :cols]
    inside = ((y - rows / 2) / (0.45 * rows)) ** 2 + (x / (0.7 * cols)) ** 2 < 1
    values = np.where(
        inside, 1200 + 800 * rng.random((rows, cols)), 30 + 10 * rng.random((rows, cols))
    )
    values[20:40, cols - 40 : cols - 10] = 3900
    values = values.astype(np.int64)
    return values[:, ::-1].copy() if right else values


def independent(path, box, size, fit):
    """What the published preprocessing does to one file, from its box on."""
    dataset = pydicom.dcmread(path)
    shown = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float64)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = shown.max() - shown
    shown = shown - shown.min()
    eight = (shown / shown.max() * 255).astype(np.uint8)
    x0, y0, x1, y1 = box
    cut = eight[max(y0 - 5, 0) : y1 + 5, max(x0 - 5, 0) : x1 + 5]
    rows, cols = cut.shape
    if fit == "stretched":
        ratio = size[0] / size[1]
        if rows / cols > ratio:
            missing = round(rows / ratio) - cols
            cut = np.pad(cut, ((0, 0), (missing // 2, missing - missing // 2)))
        return cv2.resize(cut, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    scale = size[0] / max(rows, cols)
    small = cv2.resize(
        cut, (round(cols * scale), round(rows * scale)), interpolation=cv2.INTER_LINEAR
    )
    above, left = (size[0] - small.shape[0]) // 2, (size[1] - small.shape[1]) // 2
    out = np.zeros(size, np.uint8)
    out[above : above + small.shape[0], left : left + small.shape[1]] = small
    return out


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize(("fit", "number"), [("stretched", 0), ("stretched", 1), ("square", 0)])
def test_pixels_are_those_of_the_published_way(fit, number, right, photometric, tmp_path):
    size = SIZES[fit][number]
    stored = breast(right=right)
    if photometric == "MONOCHROME1":
        stored = 4095 - stored
    path = write_mammogram(tmp_path / "a.dcm", stored=stored, layout=TWELVE, syntax=EXPLICIT)
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = photometric
    dataset.WindowCenter, dataset.WindowWidth = (1400, 2600)
    if photometric == "MONOCHROME1":
        dataset.WindowCenter = 4095 - 1400
    dataset.save_as(path)
    image = read_image(path)
    spec = PixelSpec(name="x", rows=size[0], cols=size[1], layout=fit)
    made = process(image, spec)
    expected = independent(path, find_breast(image).box, size, fit)
    values = made.pixels * 255
    values[values < 0.01] = 0  # the mask's mark where the value is 0
    difference = np.abs(values - expected)
    # one step of 8 bits where two orders of the same arithmetic end on both sides of an integer
    assert difference.max() <= 1 + 1e-3
    assert (difference > 1e-3).mean() < 0.002
    assert not made.geometry.is_mirrored


def test_the_way_back_finds_the_pixel(tmp_path):
    stored = breast()
    stored[200:206, 60:66] = 4095
    path = write_mammogram(tmp_path / "a.dcm", stored=stored, layout=TWELVE, syntax=EXPLICIT)
    for fit, sizes in SIZES.items():
        made = process(
            read_image(path), PixelSpec(name="x", rows=sizes[0][0], cols=sizes[0][1], layout=fit)
        )
        place = made.geometry.to_processed(np.array([[63.0, 203.0]]))[0]
        assert made.pixels[int(place[1]), int(place[0])] > 0.9


def test_a_file_without_a_window_uses_all_its_values(tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", stored=breast(), layout=TWELVE, syntax=EXPLICIT)
    dataset = pydicom.dcmread(path)
    for name in ("WindowCenter", "WindowWidth"):
        if name in dataset:
            delattr(dataset, name)
    dataset.save_as(path)
    made = process(read_image(path), PixelSpec(name="x", rows=256, cols=128, layout="stretched"))
    expected = independent(path, find_breast(read_image(path)).box, (256, 128), "stretched")
    assert np.abs(made.pixels * 255 - expected).max() <= 1.01
