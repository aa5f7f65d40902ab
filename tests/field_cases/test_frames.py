"""Compressed frames in wrappers, with padding, of another coding, depth or sign than told."""

import struct

import imagecodecs
import numpy as np
import openjpeg
import pydicom
import pytest

from dicom_examples import (
    EXPLICIT,
    HT_LOSSLESS,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
    TWELVE,
    Layout,
    dicom_bytes,
    encode,
    gradient,
    mammogram,
    set_pixels,
)
from fourview.dicom.image import read_image
from fourview.errors import DamagedPixelsError

STORED = gradient((40, 34), TWELVE)
COMPRESSED = (LOSSLESS_SV1, JLS, J2K_LOSSLESS, HT_LOSSLESS)


def read_frame(tmp_path, frame, syntax, *, layout=TWELVE, stored=STORED, at_least=None, **options):
    dataset = mammogram()
    set_pixels(dataset, stored, layout)
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, frame, syntax, **options))
    return read_image(path, at_least=at_least)


def box(kind, content, *, length=None, long=False):
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


BARE = encode(STORED, TWELVE, J2K_LOSSLESS)
SIGNATURE = box(b"jP  ", b"\r\n\x87\n")
KIND = box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
WRAPPED = {
    "JP2": SIGNATURE + KIND + box(b"jp2c", BARE),
    "a codestream box without a length": SIGNATURE + KIND + box(b"jp2c", BARE, length=0),
    "a long codestream box": SIGNATURE + KIND + box(b"jp2c", BARE, long=True),
    "unknown boxes before": SIGNATURE + box(b"uuid", bytes(90)) + box(b"jp2c", BARE),
    "no signature box": KIND + box(b"jp2c", BARE),
    "a codestream box alone": box(b"jp2c", BARE),
    "a length that is not true": SIGNATURE
    + box(b"ftyp", b"jp2 ", length=9999)
    + box(b"jp2c", BARE),
    "zeros before": bytes(16) + BARE,
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_codestream_is_taken_out(name, tmp_path):
    image = read_frame(tmp_path, WRAPPED[name], J2K_LOSSLESS)
    np.testing.assert_array_equal(image.pixels, STORED)
    assert any("codestream" in note for note in image.notes)


@pytest.mark.parametrize("syntax", [LOSSLESS_SV1, JLS])
@pytest.mark.parametrize("before", [bytes(2), b"JUNK" * 20])
def test_bytes_before_a_jpeg_are_cut(before, syntax, tmp_path):
    image = read_frame(tmp_path, before + encode(STORED, TWELVE, syntax), syntax)
    np.testing.assert_array_equal(image.pixels, STORED)


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize(
    "tail", [bytes(200), b"\xff" * 300, b" " * 100, bytes(70_000), b"written by ACME " * 9]
)
def test_what_stands_behind_the_end_is_cut(tail, syntax, tmp_path):
    image = read_frame(tmp_path, encode(STORED, TWELVE, syntax) + tail, syntax)
    np.testing.assert_array_equal(image.pixels, STORED)


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize("tail", [b"", bytes(200), b"\xff" * 100])
def test_half_a_frame_stays_damaged(tail, syntax, tmp_path):
    frame = encode(STORED, TWELVE, syntax)
    with pytest.raises(DamagedPixelsError):
        read_frame(tmp_path, frame[: len(frame) // 2] + tail, syntax)


def test_a_jpeg_2000_without_its_end_marker_is_whole_by_its_tiles(tmp_path):
    image = read_frame(tmp_path, BARE[:-2], J2K_LOSSLESS)
    np.testing.assert_array_equal(image.pixels, STORED)


@pytest.mark.parametrize("told", [*COMPRESSED, RLE, EXPLICIT])
@pytest.mark.parametrize("coded", [*COMPRESSED, LOSSLESS, RLE])
def test_the_frame_is_believed_and_not_the_transfer_syntax(coded, told, tmp_path):
    if coded == told:
        return
    dataset = mammogram()
    set_pixels(dataset, STORED, TWELVE)
    data = dicom_bytes(dataset, encode(STORED, TWELVE, coded), coded)
    header = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    header.file_meta.TransferSyntaxUID = told
    path = tmp_path / "a.dcm"
    with path.open("wb") as file:
        pydicom.filewriter.write_file_meta_info(file, header.file_meta, enforce_standard=False)
    meta = path.read_bytes()
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    path.write_bytes(bytes(128) + b"DICM" + meta.removeprefix(b"DICM") + data[start:])
    np.testing.assert_array_equal(read_image(path).pixels, STORED)


@pytest.mark.parametrize("told", [*COMPRESSED, RLE])
def test_plain_pixels_that_are_called_compressed_are_read_as_plain(told, tmp_path):
    dataset = mammogram()
    set_pixels(dataset, STORED, TWELVE)
    data = dicom_bytes(dataset, encode(STORED, TWELVE, EXPLICIT))
    uid = told.encode() + b"\0" * (len(told) % 2)
    at = data.index(struct.pack("<HH2s", 2, 0x10, b"UI"))
    (length,) = struct.unpack_from("<H", data, at + 6)
    path = tmp_path / "a.dcm"
    size = struct.unpack_from("<I", data, 140)[0] + len(uid) - length
    data = data[: at + 6] + struct.pack("<H", len(uid)) + uid + data[at + 8 + length :]
    path.write_bytes(data[:140] + struct.pack("<I", size) + data[144:])
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, STORED)
    assert any("plain" in note for note in image.notes)


def items(*contents):
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(c)) + c for c in contents)


END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("syntax", [LOSSLESS_SV1, J2K_LOSSLESS])
@pytest.mark.parametrize("what", ["no table", "no delimiter", "a bare frame", "a told length"])
def test_fragments_that_lack_what_is_around_them(what, syntax, tmp_path):
    frame = encode(STORED, TWELVE, syntax)
    frame += b"\0" * (len(frame) % 2)
    content = {
        "no table": items(frame) + END,
        "no delimiter": items(b"", frame),
        "a bare frame": frame,
        "a told length": items(b"", frame) + END,
    }[what]
    length = 0xFFFFFFFF if what in ("no table", "no delimiter") else len(content)
    dataset = mammogram()
    set_pixels(dataset, STORED, TWELVE)
    data = dicom_bytes(dataset, None, syntax)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, length) + content
    path = tmp_path / "a.dcm"
    path.write_bytes(data + pixels)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, STORED)
    assert image.notes


LARGE = gradient((640, 512), TWELVE)


@pytest.mark.parametrize("encoder", ["jpeg2000", "htj2k"])
@pytest.mark.parametrize("bits", [0x8000, 0x1000, 0xF000])
def test_bits_above_the_value_are_never_mixed_with_it(bits, encoder, tmp_path):
    marked = LARGE.astype(np.uint16)
    marked[200:203, 40:400] |= bits
    if encoder == "jpeg2000":
        frame = imagecodecs.jpeg2k_encode(marked, codecformat="j2k", reversible=True, level=0)
        syntax = J2K_LOSSLESS
    else:
        frame, syntax = imagecodecs.htj2k_encode(marked, reversible=True), HT_LOSSLESS
    image = read_frame(tmp_path, bytes(frame), syntax, stored=LARGE, at_least=(80, 64))
    np.testing.assert_array_equal(image.pixels, LARGE)


@pytest.mark.parametrize("signed", [False, True])
def test_a_stream_of_another_sign_is_not_halved_where_values_wrap(signed, tmp_path):
    layout = Layout(16, 16, 15, signed)
    stored = gradient((64, 64), layout)
    kind = np.uint16 if signed else np.int16  # the other one
    values = stored.astype(np.int64).astype(np.uint16).view(kind)
    frame = openjpeg.encode(
        np.ascontiguousarray(values), bits_stored=16, photometric_interpretation=2
    )
    image = read_frame(
        tmp_path, bytes(frame), J2K_LOSSLESS, layout=layout, stored=stored, at_least=(16, 16)
    )
    np.testing.assert_array_equal(image.pixels, stored)
    assert any("signed" in note for note in image.notes)


def test_a_stream_with_fewer_bits_than_told_sets_the_range(tmp_path):
    layout = Layout(16, 16, 15, False)
    image = read_frame(tmp_path, BARE, J2K_LOSSLESS, layout=layout)
    assert image.bits == 12
    assert image.value_range == (0, 4095)


@pytest.mark.parametrize("high", [15, 13, 10, 3])
def test_a_high_bit_that_is_not_true(high, tmp_path):
    dataset = mammogram()
    set_pixels(dataset, STORED, TWELVE)
    dataset.HighBit = high
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, encode(STORED, TWELVE, EXPLICIT)))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, STORED)
    assert any("High Bit" in note for note in image.notes)
