"""Numbers and text of a header that no header should have."""

import numpy as np
import pytest

from dicom_examples import mammogram, with_view, write_mammogram
from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.errors import DicomError, PixelError, UnsupportedImageError
from fourview.preprocess.breast import find_breast
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec
from mammogram_examples import breast_pixels, image_of

CC = "399162004"


@pytest.fixture
def written(tmp_path):
    """Write a mammogram whose header has a value put in as raw bytes, whatever they are."""

    def write(placeholder, raw, **attributes):
        dataset = with_view(mammogram(**attributes), CC)
        path = write_mammogram(tmp_path / "a.dcm", dataset)
        data = path.read_bytes()
        assert data.count(placeholder) == 1
        assert len(placeholder) == len(raw)
        path.write_bytes(data.replace(placeholder, raw))
        return path

    return write


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [("1e300", "0"), ("1e-300", "0"), ("1", "1e19"), ("-1e30", "1e30"), ("1e308", "-1e308")],
)
def test_a_modality_line_that_no_number_holds_is_refused_by_name(written, slope, intercept):
    path = written(
        b"7.77777777777e77",
        slope.ljust(16).encode(),
        RescaleSlope="7.77777777777e77",
        RescaleIntercept=intercept,
    )
    with pytest.raises(UnsupportedImageError, match="Rescale Slope"):
        read_image(path)


@pytest.mark.parametrize("slope", ["1e9", "1e-9", "-1e9"])
def test_a_modality_line_at_its_limit_gives_finite_pixels(written, slope):
    raw = slope.ljust(16).encode()
    path = written(b"7.77777777777e77", raw, RescaleSlope="7.77777777777e77", RescaleIntercept="0")
    assert np.isfinite(read_image(path).pixels).all()


def test_digits_of_other_scripts_are_none(written):
    path = written(b"20200102", "2²2٣01".encode(), SpecificCharacterSet="ISO_IR 192")
    header = read_header(path)
    assert header.acquired == "2201"


def test_a_uid_of_other_digits_is_noted(tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", with_view(mammogram(), CC))
    uid = b"1.2.826.0.1.3680043.10.999.3.1"
    path.write_bytes(path.read_bytes().replace(uid, "1.2.826.0.1.3680043.10.9².3.1".encode()))
    assert any("no valid UID" in note for note in read_header(path).notes)


@pytest.mark.parametrize("rows", [b"1e300000", b"99999999", b"1_000_00"])
def test_numbers_that_are_no_size_are_refused(written, rows):
    path = written(b"7654321 ", rows, NumberOfFrames="7654321")
    header = read_header(path)
    assert header.frames in (1, 99999999)


def test_a_header_cannot_forge_a_line_or_flood_a_message(written, tmp_path):
    long = "L" * 60_000
    path = written(
        b"Q" * 32, b"x\nerror: forged\x1b[2J\r\x00more".ljust(32), SeriesDescription="Q" * 32
    )
    header = read_header(path)
    assert "\n" not in header.metadata["series_description"]
    assert "\x1b" not in header.metadata["series_description"]
    dataset = with_view(mammogram(), CC)
    dataset.add_new(0x00181400, "UT", long)
    dataset.add_new(0x00281056, "LO", "F" * 60)
    path = write_mammogram(tmp_path / "b.dcm", dataset)
    data = path.read_bytes().replace(b"MONOCHROME2 ", b"MONO\nCHROME2")
    path.write_bytes(data)
    try:
        notes = read_image(path).notes
    except DicomError as error:
        notes = (str(error),)
    assert all(len(note) <= 2000 and note.isprintable() for note in notes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_have_no_breast(value):
    pixels, _ = breast_pixels(208, 160, side="R", seed=0)
    pixels = pixels.astype(np.float32)
    pixels[100:110, 60:70] = value
    image = image_of(pixels)
    with pytest.raises(PixelError, match="not all pixels are numbers"):
        find_breast(image)


def test_an_image_without_pixels_has_no_breast():
    with pytest.raises(PixelError, match="0 x 5 pixels"):
        process(image_of(np.empty((0, 5), np.uint16)), pixel_spec("mvccl-192x96"))
