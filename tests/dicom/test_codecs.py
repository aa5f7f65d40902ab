"""Decoding: frames in pieces, at a lower resolution, and frames that disagree with the header."""

import struct
from io import BytesIO

import numpy as np
import openjpeg
import pytest
from PIL import Image as PillowImage
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_examples import (
    BIG,
    EXACT,
    HT,
    HT_LOSSLESS,
    J2K,
    J2K_LOSSLESS,
    JLS,
    LOSSLESS,
    NATIVE,
    RLE,
    TWELVE,
    Layout,
    dicom_bytes,
    encode,
    gradient,
    mammogram,
    set_pixels,
    write_mammogram,
)
from fourview.dicom.codecs import halvings_for
from fourview.dicom.codestream import read_codestream
from fourview.dicom.image import read_image
from fourview.entities import View
from fourview.errors import DamagedPixelsError, HostileFileError, UnsupportedImageError

COMPRESSED = [syntax for syntax in EXACT if syntax not in NATIVE]


def smooth(rows, cols, layout):
    """Values that a lower resolution keeps but for rounding: a plane."""
    ramp = np.add.outer(np.linspace(0, 0.5, rows), np.linspace(0, 0.4, cols))
    lowest = -(1 << layout.stored - 1) if layout.signed else 0
    return lowest + np.rint(ramp * ((1 << layout.stored) - 1)).astype(np.int64)


@pytest.mark.parametrize("syntax", [J2K_LOSSLESS, J2K, HT_LOSSLESS, HT])
@pytest.mark.parametrize("layout", [TWELVE, Layout(16, 16, 15, False), Layout(16, 14, 13, True)])
@pytest.mark.parametrize("size", [(320, 256), (401, 333), (403, 257)])
def test_a_lower_resolution_shows_the_same_values(syntax, layout, size, tmp_path):
    if layout.signed and syntax in (HT_LOSSLESS, HT):
        layout = Layout(8, 8, 7, False)  # the encoder takes unsigned words only
    stored = smooth(*size, layout)
    path = write_mammogram(tmp_path / "a.dcm", stored=stored, layout=layout, syntax=syntax)
    image = read_image(path, at_least=(80, 60))
    rows, cols = image.pixels.shape
    assert image.stored_size == size
    assert rows >= 80 and cols >= 60
    assert -(-rows // 2) < 80 or -(-cols // 2) < 60, "could have been halved once more"
    step = 2 ** round(np.log2(size[0] / rows))
    want = stored[::step, ::step]  # sample i stands at stored pixel i * step
    assert image.pixels.shape == want.shape
    # a plane is its own low-pass but at the border, where the filter sees its mirror image
    inner = (slice(2, -2), slice(2, -2))
    level = (1 << layout.stored) / 4095
    slope = step * (1 << layout.stored) * 0.5 / min(size)
    close = 2 * level + (4 * level if syntax in (J2K, HT) else 0) + 0.1 * slope
    np.testing.assert_allclose(image.pixels[inner], want[inner], atol=max(close, 2))


@pytest.mark.parametrize("syntax", [LOSSLESS, RLE, JLS, NATIVE[1]])
def test_other_syntaxes_decode_in_full(syntax, tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", syntax=syntax)
    assert read_image(path, at_least=(5, 5)).pixels.shape == (40, 34)


def test_tiles_keep_their_place_at_a_lower_resolution(tmp_path):
    stored = smooth(300, 300, Layout(8, 8, 7, False)).astype(np.uint8)
    out = BytesIO()
    PillowImage.fromarray(stored).save(
        out, "JPEG2000", tile_size=(128, 128), num_resolutions=3, no_jp2=True, irreversible=False
    )
    assert read_codestream(out.getvalue()).decompositions == 2
    dataset = mammogram()
    set_pixels(dataset, stored, Layout(8, 8, 7, False))
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, out.getvalue(), J2K_LOSSLESS))
    got = read_image(path, at_least=(75, 75)).pixels.astype(int)
    # each tile is filtered by itself, so its edges see their own mirror image: a step or two
    np.testing.assert_allclose(got, stored[::4, ::4], atol=4)


def test_halvings_stop_before_either_axis_falls_short():
    assert halvings_for((3328, 2560), (518, 518), 5) == 2
    assert halvings_for((3328, 2560), (833, 1), 5) == 1  # 3328 / 4 is 832
    assert halvings_for((3329, 2560), (833, 1), 5) == 2  # rounds up
    assert halvings_for((3328, 2560), (1, 1), 3) == 3
    assert halvings_for((100, 100), (101, 1), 5) == 0
    assert halvings_for((3328, 2560), None, 5) == 0


@pytest.mark.parametrize("fragments", [1, 2, 5])
@pytest.mark.parametrize("has_offsets", [True, False])
@pytest.mark.parametrize("syntax", [J2K_LOSSLESS, LOSSLESS, JLS, RLE])
def test_fragments_are_joined_with_and_without_an_offset_table(
    syntax, has_offsets, fragments, tmp_path
):
    stored = gradient((40, 34), TWELVE)
    path = write_mammogram(
        tmp_path / "a.dcm",
        stored=stored,
        syntax=syntax,
        fragments=fragments,
        has_offsets=has_offsets,
    )
    np.testing.assert_array_equal(read_image(path).pixels, stored)


def test_an_extended_offset_table_is_understood(tmp_path):
    stored = gradient((40, 34), TWELVE)
    frame = encode(stored, TWELVE, JLS)
    dataset = mammogram(
        ExtendedOffsetTable=struct.pack("<Q", 0),
        ExtendedOffsetTableLengths=struct.pack("<Q", len(frame)),
    )
    path = write_mammogram(
        tmp_path / "a.dcm", dataset, stored=stored, syntax=JLS, has_offsets=False
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, stored)
    assert not image.notes


@pytest.mark.parametrize("syntax", [s for s in COMPRESSED if s != RLE])
def test_a_frame_of_another_size_than_the_header_is_refused_before_decoding(syntax, tmp_path):
    stored = gradient((40, 34), TWELVE)
    dataset = mammogram()
    set_pixels(dataset, stored, TWELVE)
    dataset.Rows = 41
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, encode(stored, TWELVE, syntax), syntax))
    with pytest.raises(DamagedPixelsError, match="40 x 34, the header says 41 x 34"):
        read_image(path)


@pytest.mark.parametrize("syntax", EXACT)
def test_half_a_frame_is_damaged_not_filled_up(syntax, tmp_path):
    stored = gradient((40, 34), TWELVE)
    dataset = mammogram()
    set_pixels(dataset, stored, TWELVE)
    frame = encode(stored, TWELVE, syntax)
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, frame[: len(frame) // 2], syntax))
    with pytest.raises(DamagedPixelsError, match=r"a\.dcm"):
        read_image(path)


def test_a_frame_of_another_coding_than_its_syntax_is_read_with_a_note(tmp_path):
    stored = gradient((40, 34), TWELVE)
    dataset = mammogram()
    set_pixels(dataset, stored, TWELVE)
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, encode(stored, TWELVE, JLS), LOSSLESS))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, stored)
    assert any("the frame is coded as 1.2.840.10008.1.2.4.80" in note for note in image.notes)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_overshoot_of_lossy_coding_stays_at_the_highest_value(bits, tmp_path):
    layout = Layout(8 if bits == 8 else 16, bits, bits - 1, False)
    highest = (1 << bits) - 1
    stored = np.zeros((64, 64), dtype=np.int64)
    stored[:, 33:] = highest  # a sharp edge rings
    path = write_mammogram(tmp_path / "a.dcm", stored=stored, layout=layout, syntax=HT)
    pixels = read_image(path).pixels
    assert pixels[:, 36:].min() > 0.9 * highest
    assert pixels[:, :30].max() < 0.1 * highest
    assert read_image(path, at_least=(16, 16)).pixels[:, 10:].min() > 0.75 * highest


def test_16_bit_values_that_ring_do_not_wrap_at_a_lower_resolution(tmp_path):
    stored = np.zeros((64, 64), dtype=np.int64)
    stored[:, 33:] = 65535
    layout = Layout(16, 16, 15, False)
    for syntax in (HT_LOSSLESS, J2K_LOSSLESS):
        path = write_mammogram(tmp_path / "a.dcm", stored=stored, layout=layout, syntax=syntax)
        half = read_image(path, at_least=(32, 32)).pixels
        assert half.shape == (32, 32)
        assert half[:, 18:].min() > 60000
        assert half[:, :15].max() < 5000


def j2k(**changes):
    """A codestream with fields of its header overwritten."""
    stream = bytearray(
        openjpeg.encode(np.zeros((64, 64), np.uint16), bits_stored=12, photometric_interpretation=2)
    )
    style = stream.index(b"\xff\x52")
    places = {
        "tile_cols": (24, ">I"),
        "components": (40, ">H"),
        "layers": (style + 6, ">H"),
        "levels": (style + 9, ">B"),
    }
    for field, value in changes.items():
        struct.pack_into(places[field][1], stream, places[field][0], value)
    return bytes(stream)


def test_costly_codestreams_are_refused_by_their_header():
    assert read_codestream(j2k()).size == (64, 64)
    with pytest.raises(HostileFileError, match="packets"):
        big = bytearray(j2k(layers=65535))
        struct.pack_into(">II", big, 8, 30000, 30000)
        struct.pack_into(">II", big, 24, 500, 500)
        read_codestream(bytes(big))
    with pytest.raises(HostileFileError, match="tiles"):
        big = bytearray(j2k(tile_cols=1))
        struct.pack_into(">II", big, 8, 30000, 30000)
        read_codestream(bytes(big))
    with pytest.raises(DamagedPixelsError, match="decompositions"):
        read_codestream(j2k(levels=40))


def test_8_bit_big_endian_words_are_swapped_back(tmp_path):
    stored = gradient((5, 7), Layout(8, 8, 7, False))  # an odd number of pixels
    dataset = mammogram()
    set_pixels(dataset, stored, Layout(8, 8, 7, False))
    octets = np.append(stored.ravel(), 0).astype(np.uint8).reshape(-1, 2)[:, ::-1]
    data = dicom_bytes(dataset, octets.tobytes(), BIG)
    at = data.rindex(b"\x7f\xe0\x00\x10OB")
    path = tmp_path / "a.dcm"
    path.write_bytes(data[: at + 4] + b"OW" + data[at + 6 :])
    np.testing.assert_array_equal(read_image(path).pixels, stored)


def test_bits_above_the_value_are_cut_off(tmp_path):
    stored = gradient((6, 8), TWELVE)
    dataset = mammogram()
    set_pixels(dataset, stored, TWELVE)
    dirty = (stored | 0xA000).astype("<u2")  # an overlay, as old files have it
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_bytes(dataset, dirty.tobytes()))
    np.testing.assert_array_equal(read_image(path).pixels, stored)


def test_a_table_may_name_the_view(tmp_path):
    plain = mammogram(ImageLaterality=None, ViewPosition=None)
    path = write_mammogram(tmp_path / "a.dcm", plain)
    with pytest.raises(UnsupportedImageError, match="side and view"):
        read_image(path)
    view = View(side="R", position="MLO", source="train.csv")
    assert read_image(path, view=view).view is view
    path = write_mammogram(tmp_path / "b.dcm")
    image = read_image(path, view=view)
    assert image.view is view
    assert any("the header says L-CC, train.csv R-MLO" in note for note in image.notes)


def test_a_table_for_negative_values_may_be_written_as_unsigned(tmp_path):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [200, 65436, 8])  # -100 in two's complement
    item.add_new("LUTData", "OW", np.arange(200, dtype="<u2").tobytes())
    dataset = mammogram(RescaleSlope=1, RescaleIntercept=-100)
    dataset.VOILUTSequence = Sequence([item])
    assert read_image(write_mammogram(tmp_path / "a.dcm", dataset)).voi.first == -100
    dataset.RescaleIntercept = 0
    assert read_image(write_mammogram(tmp_path / "b.dcm", dataset)).voi.first == 65436


def test_a_slope_of_zero_is_refused(tmp_path):
    path = write_mammogram(tmp_path / "a.dcm", mammogram(RescaleSlope=0, RescaleIntercept=5))
    with pytest.raises(UnsupportedImageError, match="Rescale Slope is 0"):
        read_image(path)


@pytest.mark.parametrize(
    ("center", "width", "function", "kept"),
    [(100, 0.5, "LINEAR", False), (100, 0.5, "LINEAR_EXACT", True), (100, -5, "SIGMOID", False)],
)
def test_a_window_that_the_standard_forbids_is_ignored_with_a_note(
    center, width, function, kept, tmp_path
):
    dataset = mammogram(WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    image = read_image(write_mammogram(tmp_path / "a.dcm", dataset))
    assert (image.voi is not None) == kept
    assert any("window" in note for note in image.notes) != kept
