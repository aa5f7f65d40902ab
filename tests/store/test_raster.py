import imagecodecs
import numpy as np
import pytest

from fourview.errors import PixelError
from fourview.store.raster import read_raster

ROW = {
    "image_id": "i",
    "patient_id": "p",
    "exam_id": "e",
    "side": "R",
    "view": "MLO",
    "modifiers": None,
    "spacing_mm": 0.2,
    "path": "i.png",
}
DEEP = np.random.default_rng(0).integers(0, 65536, (30, 20), dtype=np.uint16)
SHALLOW = (DEEP >> 8).astype(np.uint8)


def pgm(pixels, highest, comment=b""):
    rows, cols = pixels.shape
    kind = "u1" if highest < 256 else ">u2"
    head = b"P5\n" + comment + b"%d %d\n%d\n" % (cols, rows, highest)
    return head + pixels.astype(kind).tobytes()


@pytest.mark.parametrize(
    ("name", "data", "pixels", "bits"),
    [
        ("a.png", imagecodecs.png_encode(DEEP), DEEP, 16),
        ("a.png", imagecodecs.png_encode(SHALLOW), SHALLOW, 8),
        ("a.pgm", pgm(SHALLOW, 255, b"# a film\n"), SHALLOW, 8),
        ("a.pgm", pgm(DEEP & 4095, 4095), DEEP & 4095, 12),
        ("a.pgm", pgm(DEEP, 65535), DEEP, 16),
    ],
)
def test_pixels_come_at_full_depth(tmp_path, name, data, pixels, bits):
    (tmp_path / name).write_bytes(data)
    image = read_raster(tmp_path / name, ROW)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.bits, image.value_range) == (bits, (0.0, 2.0**bits - 1))
    assert image.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (image.view.name, image.spacing_mm, image.voi) == ("R-MLO", (0.2, 0.2), None)
    assert image.stored_size == (30, 20)


def test_a_grey_jpeg_is_read_and_three_equal_channels_are_grey(tmp_path):
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(SHALLOW, level=100))
    grey = read_raster(tmp_path / "a.jpg", ROW)
    assert np.abs(grey.pixels.astype(int) - SHALLOW).max() <= 2  # of 255, quality 100
    assert grey.notes == ()
    (tmp_path / "b.png").write_bytes(imagecodecs.png_encode(np.dstack([SHALLOW] * 3)))
    three = read_raster(tmp_path / "b.png", ROW)
    np.testing.assert_array_equal(three.pixels, SHALLOW)
    assert three.notes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (imagecodecs.png_encode(np.dstack([SHALLOW, SHALLOW, 255 - SHALLOW])), "3 channels"),
        (imagecodecs.png_encode(DEEP)[:-40], "damaged"),
        (imagecodecs.jpeg8_encode(SHALLOW)[:-30], "end of the JPEG is missing"),
        (pgm(DEEP, 65535)[:-1], "damaged"),
        (b"P5 99999999 99999999 255\n", "damaged"),
        (b"GIF89a", "need JPEG, PNG or binary PGM"),
        (b"", "need JPEG, PNG or binary PGM"),
    ],
)
def test_colour_damage_and_other_formats_are_refused_in_one_line(tmp_path, data, message):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PixelError, match=message) as caught:
        read_raster(tmp_path / "a.png", ROW)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_view_are_refused(tmp_path):
    with pytest.raises(PixelError, match="No such file"):
        read_raster(tmp_path / "none.png", ROW)
    with pytest.raises(PixelError, match="side None"):
        read_raster(tmp_path / "none.png", ROW | {"side": None})


def test_a_jpeg_that_claims_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    data = bytearray(imagecodecs.jpeg8_encode(SHALLOW))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = b"\xff\xff\xff\xff"  # 4 GiB of grey
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(PixelError, match=r"damaged: 65535 x 65535 pixels; get the file again"):
        read_raster(tmp_path / "a.jpg", ROW)
