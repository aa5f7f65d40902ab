"""A frame that lost its end marker, and frames that lost more."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_examples import (
    JLS,
    LOSSLESS,
    TWELVE,
    dicom_bytes,
    encode,
    mammogram,
    set_pixels,
)
from fourview.dicom.ending import ended
from fourview.dicom.image import read_image
from fourview.errors import DamagedPixelsError

SIZE = (120, 88)
CODECS = {  # process: how a frame of it is made and decoded
    0xC0: (lambda a: imagecodecs.jpeg8_encode(a.astype(np.uint8)), imagecodecs.jpeg8_decode),
    0xC3: (lambda a: imagecodecs.ljpeg_encode(a, bitspersample=12), imagecodecs.jpeg8_decode),
    0xF7: (imagecodecs.jpegls_encode, imagecodecs.jpegls_decode),
}


def picture(*, flat: bool) -> np.ndarray:
    """A breast-like slope with noise, in air that is flat or noisy down to the last row."""
    rng = np.random.default_rng(0)
    levels = np.add.outer(np.linspace(0, 90, SIZE[0]), np.linspace(100, 0, SIZE[1]))
    levels = levels + rng.normal(0, 4, SIZE)
    if flat:
        levels[70:] = 3
    return levels.clip(0, 250).astype(np.uint16)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("process", CODECS)
def test_only_the_marker_is_missing(process, flat):
    make, decode = CODECS[process]
    frame = bytes(make(picture(flat=flat)))
    assert frame.endswith(b"\xff\xd9")
    assert ended(frame[:-2], process, decode) == frame


@pytest.mark.parametrize("process", CODECS)
@given(part=st.floats(0.3, 0.97))
@settings(max_examples=25, deadline=None)
def test_a_frame_that_was_cut_is_never_filled_up(process, part):
    make, decode = CODECS[process]
    frame = bytes(make(picture(flat=False)))
    with pytest.raises((DamagedPixelsError, RuntimeError, ValueError)):
        ended(frame[: int(part * len(frame))], process, decode)


@pytest.mark.parametrize("syntax", [LOSSLESS, JLS])
def test_an_image_without_the_marker_is_read_with_a_note(syntax, tmp_path):
    stored = 16 * picture(flat=False).astype(np.int64)
    dataset = mammogram()
    set_pixels(dataset, stored, TWELVE)
    frame = encode(stored, TWELVE, syntax).rstrip(b"\0")
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, frame.removesuffix(b"\xff\xd9"), syntax))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, stored)
    assert "the compressed frame has no end marker, and all of its pixels" in image.notes
