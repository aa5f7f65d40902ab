"""Frames that crash, hang or fill a decoder end a process that is not ours."""

import os
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from decoder_examples import burn, end, fill, name_of_nothing
from dicom_examples import (
    HT_LOSSLESS,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS,
    RLE,
    TWELVE,
    encode,
    gradient,
    write_mammogram,
)
from fourview.dicom.apart import Limits, decode_apart, limits_for
from fourview.dicom.codecs import decode, decode_here
from fourview.dicom.image import read_image
from fourview.errors import DamagedPixelsError, HostileFileError

SIZE = (40, 34)
STORED = gradient(SIZE, TWELVE)
HTJ2K_FRAME = encode(STORED, TWELVE, HT_LOSSLESS)


def before(frame, marker, segment):
    """The frame with a segment put before the first one of a kind."""
    at = frame.index(marker)
    return frame[:at] + segment + frame[at:]


def coc(levels, block_x, block_y):
    """A coding style of component 0 (T.800 A.6.2)."""
    style = bytes((levels, block_x, block_y, 0x40, 1))
    return struct.pack(">BBHBB", 0xFF, 0x53, 9, 0, 0) + style


def second_cod():
    return struct.pack(">BBHBBHB", 0xFF, 0x52, 12, 0, 0, 1, 0) + bytes((0, 8, 8, 0x40, 0))


def short_qcd(length):
    at = HTJ2K_FRAME.index(b"\xff\x5c")
    (whole,) = struct.unpack_from(">H", HTJ2K_FRAME, at + 2)
    head = struct.pack(">BBH", 0xFF, 0x5C, 2 + length)
    return (
        HTJ2K_FRAME[:at]
        + head
        + HTJ2K_FRAME[at + 4 : at + 4 + length]
        + HTJ2K_FRAME[at + 2 + whole :]
    )


def tiles_before_the_image():
    """A tile grid that begins below the image (YTOsiz 16384), and a decoder that never ends."""
    return HTJ2K_FRAME[:36] + struct.pack(">I", 16384) + HTJ2K_FRAME[40:]


# These end or hang OpenJPH 0.26; they were found by ``python -m benchmarks.mutations``.
CRASHING = {
    "component style": before(HTJ2K_FRAME, b"\xff\x90", coc(0, 0, 0)),
    "component blocks": before(HTJ2K_FRAME, b"\xff\x90", coc(3, 2, 2)),
    "quantization of one byte": short_qcd(1),
}
REFUSED = CRASHING | {
    "second coding style": before(HTJ2K_FRAME, b"\xff\x5c", second_cod()),
    "tile grid": tiles_before_the_image(),
    "blocks of 2^12": HTJ2K_FRAME.replace(b"\x05\x04\x04\x40\x01", b"\x05\x08\x08\x40\x01"),
    "no layer": HTJ2K_FRAME.replace(
        b"\xff\x52\x00\x0c\x00\x02\x00\x01", b"\xff\x52\x00\x0c\x00\x02\x00\x00"
    ),
    "tile 7 of 1": HTJ2K_FRAME.replace(b"\xff\x90\x00\x0a\x00\x00", b"\xff\x90\x00\x0a\x00\x07"),
}


def apart(frame, seconds=20.0, num_bytes=300 << 20):
    return decode_apart(
        decode_here, frame, HT_LOSSLESS, *SIZE, 0, 1, limits=Limits(seconds, num_bytes)
    )


@pytest.mark.parametrize("name", CRASHING)
def test_a_frame_that_crashes_its_decoder_costs_one_error(name):
    with pytest.raises(DamagedPixelsError):
        apart(CRASHING[name])
    np.testing.assert_array_equal(apart(HTJ2K_FRAME), STORED)


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_encoder_writes_is_refused_before_decoding(name):
    frame = REFUSED[name]
    assert frame != HTJ2K_FRAME
    with pytest.raises(DamagedPixelsError, match=r"cannot be right|need at most"):
        decode(frame, HT_LOSSLESS, SIZE, bytes_per_sample=2)


def test_time_and_memory_are_limited_and_a_crash_is_named():
    with pytest.raises(DamagedPixelsError, match="took longer than 1 s"):
        decode_apart(burn, b"x", limits=Limits(1, 100 << 20))
    with pytest.raises(HostileFileError, match="more than 100 MB of memory"):
        decode_apart(fill, b"x", 1 << 30, limits=Limits(10, 100 << 20))
    with pytest.raises(DamagedPixelsError, match="SIGABRT"):
        decode_apart(end, b"x", limits=Limits(10, 100 << 20))
    with pytest.raises(DamagedPixelsError, match=r"cannot be decoded \(a\)"):
        decode_apart(name_of_nothing, b"x", limits=Limits(10, 100 << 20))
    assert decode_apart(fill, b"x", 3, limits=Limits(10, 100 << 20)).tolist() == [1, 1, 1]


def test_threads_and_forks_have_decoders_of_their_own():
    frames = {s: encode(STORED, TWELVE, s) for s in (RLE, LOSSLESS, JLS, J2K_LOSSLESS, HT_LOSSLESS)}

    def right(syntax):
        detail = 2 if syntax == RLE else 0
        got = decode_apart(
            decode_here, frames[syntax], syntax, *SIZE, detail, 1, limits=limits_for(1360)
        )
        return np.array_equal(got, STORED)

    with ThreadPoolExecutor(3) as threads:
        assert all(threads.map(right, [*frames] * 6))
    child = os.fork()
    if child == 0:
        os._exit(0 if right(JLS) else 1)
    assert right(RLE)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert right(LOSSLESS)


def test_a_file_with_a_bad_frame_is_one_error_and_the_next_is_read(tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", stored=STORED, syntax=HT_LOSSLESS)
    data = path.read_bytes()
    at = data.index(HTJ2K_FRAME[:40])
    broken = bytearray(data)
    broken[at + 200 : at + 400] = os.urandom(200)
    (tmp_path / "b.dcm").write_bytes(broken)
    try:
        read_image(tmp_path / "b.dcm")
    except DamagedPixelsError as error:
        assert "b.dcm" in str(error)
    np.testing.assert_array_equal(read_image(path).pixels, STORED)
