"""Mammograms that were exported in colours: grey ones are read, coloured ones and pages are not."""

from pathlib import Path
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
import openjpeg
import polars as pl
import pydicom
import pytest
import rle.rle
from PIL import Image as Picture
from PIL import ImageDraw

from dicom_examples import (
    BASELINE,
    BIG,
    DEFLATED,
    EXPLICIT,
    HT,
    HT_LOSSLESS,
    IMPLICIT,
    J2K,
    J2K_LOSSLESS,
    JLS,
    JLS_NEAR,
    LOSSLESS_SV1,
    RLE,
    dicom_bytes,
    mammogram,
)
from dicom_output_examples import (
    exam_in,
    not_made,
    objects_of,
    write_exam,
)
from field_looks import are_alike
from fourview.dicom.exams import read_exams
from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.entities import View
from fourview.entities.reasons import Reason, reason_of
from fourview.errors import ColourError, DamagedPixelsError, PixelError, UnsupportedImageError
from fourview.manifest.check import check_manifest
from fourview.serve.cohort import FolderCohort, ManifestCohort
from fourview.sources.dicom import read_dicom
from fourview.store.prepare import prepare
from fourview.store.raster import read_raster
from fourview.store.store import Store

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SPEC = "mvccl-384x192"


def grey_picture(mg, bits=8, **options):
    """8 or 16 bits of the same half ellipse of tissue in air."""
    values = np.clip(mg.picture(**options).astype(float) - 43, 0, 3200) / 3200
    return np.rint(values * (2**bits - 1)).astype(f"u{bits // 8}")


def as_ybr(rgb: np.ndarray) -> np.ndarray:
    """YBR_FULL by the equations of PS3.3 C.7.6.3.1.2."""
    r, g, b = (rgb[..., n].astype(float) for n in range(3))
    parts = (
        0.299 * r + 0.587 * g + 0.114 * b,
        -0.1687 * r - 0.3313 * g + 0.5 * b + 128,
        0.5 * r - 0.4187 * g - 0.0813 * b + 128,
    )
    return np.clip(np.rint(np.stack(parts, axis=2)), 0, 255).astype(np.uint8)


def halved_422(ybr: np.ndarray) -> np.ndarray:
    """Two luminances, then their mean colours (PS3.3 C.7.6.3.1.2)."""
    colour = ybr.reshape(len(ybr), -1, 2, 3)[..., 1:].astype(int).mean(axis=2)
    pairs = ybr[..., 0].reshape(len(ybr), -1, 2)
    return np.concatenate([pairs, np.rint(colour).astype(np.uint8)], axis=2)


def jpeg(rgb: np.ndarray, **options: Any) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(rgb, level=97, **options))


def jpeg_2000(rgb: np.ndarray, **options: Any) -> bytes:
    bits = 8 * rgb.itemsize
    return openjpeg.encode(rgb, bits_stored=bits, photometric_interpretation=1, **options)


def rle_frame(rgb: np.ndarray) -> bytes:
    rows, cols = rgb.shape[:2]
    return bytes(rle.rle.encode_frame(rgb.tobytes(), rows, cols, 3, 8 * rgb.itemsize, "<"))


def planes(rgb: np.ndarray) -> bytes:
    return rgb.transpose(2, 0, 1).tobytes()


CODED = {  # name: syntax, Photometric Interpretation, frame of an RGB picture, levels it may change
    "plain, implicit": (IMPLICIT, "RGB", bytes, 0),
    "plain, deflated": (DEFLATED, "RGB", bytes, 0),
    "plain, big endian": (BIG, "RGB", bytes, 0),
    "plain by plane": (EXPLICIT, "RGB", planes, 0),
    "YBR_FULL": (EXPLICIT, "YBR_FULL", lambda rgb: as_ybr(rgb).tobytes(), 0),
    "YBR_FULL by plane": (EXPLICIT, "YBR_FULL", lambda rgb: planes(as_ybr(rgb)), 0),
    "YBR_FULL_422": (EXPLICIT, "YBR_FULL_422", lambda rgb: halved_422(as_ybr(rgb)).tobytes(), 0),
    "RLE": (RLE, "RGB", rle_frame, 0),
    "RLE of YBR": (RLE, "YBR_FULL", lambda rgb: rle_frame(as_ybr(rgb)), 0),
    # Lossy codecs change the levels themselves, most at the breast's edge.
    "JPEG, 422": (BASELINE, "YBR_FULL_422", lambda rgb: jpeg(rgb, subsampling="422"), 12),
    "JPEG of RGB": (BASELINE, "RGB", lambda rgb: jpeg(rgb, outcolorspace="RGB"), 12),
    "JPEG called RGB": (BASELINE, "RGB", jpeg, 12),
    "JPEG lossless": (
        LOSSLESS_SV1,
        "RGB",
        lambda rgb: bytes(imagecodecs.jpeg8_encode(rgb, lossless=True, predictor=1)),
        0,
    ),
    "JPEG-LS": (JLS, "RGB", lambda rgb: bytes(jpeg_ls.encode_array(rgb)), 0),
    "JPEG-LS, lossy": (
        JLS_NEAR,
        "RGB",
        lambda rgb: bytes(jpeg_ls.encode_array(rgb, lossy_error=2)),
        2,
    ),
    "JPEG 2000": (J2K_LOSSLESS, "YBR_RCT", lambda rgb: jpeg_2000(rgb, use_mct=True), 0),
    "JPEG 2000, no transform": (J2K_LOSSLESS, "RGB", lambda rgb: jpeg_2000(rgb, use_mct=False), 0),
    "JPEG 2000, lossy": (J2K, "YBR_ICT", lambda rgb: jpeg_2000(rgb, compression_ratios=[6]), 12),
    "HTJ2K": (HT_LOSSLESS, "YBR_RCT", lambda rgb: bytes(imagecodecs.htj2k_encode(rgb)), 0),
    "HTJ2K, lossy": (
        HT,
        "YBR_ICT",
        lambda rgb: bytes(imagecodecs.htj2k_encode(rgb, reversible=False)),
        12,
    ),
}


def write(path: Path, frame: bytes, size, syntax=EXPLICIT, *, bits=8, **header: Any) -> Path:
    """A file of the frame with a header of three samples, unless told otherwise."""
    told = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    dataset = mammogram(**{**told, **header})
    dataset.Rows, dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom_bytes(dataset, frame, syntax))
    return path


def write_coded(path: Path, name: str, rgb: np.ndarray, **header: Any) -> Path:
    syntax, photometric, encode, _ = CODED[name]
    told = {"PhotometricInterpretation": photometric, "PlanarConfiguration": int("plane" in name)}
    return write(path, encode(rgb), rgb.shape[:2], syntax, **{**told, **header})


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def with_colour(grey: np.ndarray) -> np.ndarray:
    """A yellow mark of twelve pixels beside the breast, as viewers draw them."""
    rgb = three(grey)
    rgb[40:52, -60:-48] = (250, 220, 0)
    return rgb


@pytest.mark.parametrize("name", CODED)
def test_grey_pixels_in_colours_are_read_as_grey(name, mg, tmp_path):
    grey = grey_picture(mg)
    path = write_coded(tmp_path / "a.dcm", name, three(grey))
    header = read_header(path)
    assert (header.left_out, header.detail) == (None, "")
    image = read_image(path)
    assert image.pixels.dtype == np.uint8
    assert np.abs(image.pixels.astype(int) - grey).max() <= CODED[name][3]
    assert (image.value_range, image.bits, image.voi) == ((0, 255), 8, None)
    assert image.bright_is_dense
    for notes in (header.notes, image.notes):
        assert any("read as one grey" in note for note in notes), notes
    assert set(header.notes) <= set(image.notes)


@pytest.mark.parametrize("name", CODED)
def test_a_small_mark_in_colour_is_colour(name, mg, tmp_path):
    path = write_coded(tmp_path / "a.dcm", name, with_colour(grey_picture(mg)))
    header = read_header(path)
    assert header.left_out == Reason.COLOUR
    assert "colour" in header.detail
    with pytest.raises(ColourError, match="colour") as told:
        read_image(path)
    assert reason_of(told.value) == Reason.COLOUR
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["plain", "JPEG-LS", "JPEG 2000", "HTJ2K", "RLE"])
def test_sixteen_bits_in_colours_keep_their_depth(name, mg, tmp_path):
    grey = grey_picture(mg, 16)
    syntax, photometric, encode, _ = CODED.get(name, (EXPLICIT, "RGB", bytes, 0))
    path = write(
        tmp_path / "a.dcm",
        encode(three(grey)),
        grey.shape,
        syntax,
        bits=16,
        PhotometricInterpretation=photometric,
    )
    image = read_image(path)
    assert np.array_equal(image.pixels, grey)
    assert image.value_range == (0, 65535)


def test_channels_that_differ_by_a_level_or_two_are_grey_and_the_note_says_so(mg, tmp_path):
    grey = grey_picture(mg)
    make = np.random.default_rng(3)
    rgb = np.clip(three(grey).astype(int) + make.integers(-1, 2, (*grey.shape, 3)), 0, 255)
    path = write(tmp_path / "a.dcm", rgb.astype(np.uint8).tobytes(), grey.shape)
    image = read_image(path)
    assert np.array_equal(image.pixels, rgb[..., 1])
    assert any("nearly equal (up to 2 of 255 apart)" in note for note in image.notes)
    apart = rgb.copy()
    apart[300, 100] = (100, 100, 106)  # one pixel, six levels
    path = write(tmp_path / "b.dcm", apart.astype(np.uint8).tobytes(), grey.shape)
    assert read_header(path).left_out == Reason.COLOUR


CONTRADICTIONS = {  # what the header says, and the frame of a grey picture
    "MONOCHROME2 with three samples": (
        {"PhotometricInterpretation": "MONOCHROME2"},
        lambda g: three(g).tobytes(),
    ),
    "MONOCHROME2 with one sample, three of which there are": (
        {"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": 1},
        lambda g: three(g).tobytes(),
    ),
    "RGB with one sample": ({"SamplesPerPixel": 1}, bytes),
    "RGB with three samples, one of which there is": ({}, bytes),
    "no samples told": ({"SamplesPerPixel": None}, lambda g: three(g).tobytes()),
    "RGB that is YBR": ({}, lambda g: as_ybr(three(g)).tobytes()),
    "YBR that is RGB": (
        {"PhotometricInterpretation": "YBR_FULL"},
        lambda g: three(g).tobytes(),
    ),
    "planes that are pixels": ({"PlanarConfiguration": 1}, lambda g: three(g).tobytes()),
    "pixels that are planes": ({}, lambda g: planes(three(g))),
    "YBR_FULL_422 that is not halved": (
        {"PhotometricInterpretation": "YBR_FULL_422"},
        lambda g: as_ybr(three(g)).tobytes(),
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_pixels_are_believed_where_the_header_is_wrong(name, mg, tmp_path):
    told, encode = CONTRADICTIONS[name]
    grey = grey_picture(mg)
    path = write(tmp_path / "a.dcm", encode(grey), grey.shape, **told)
    assert read_header(path).left_out is None
    image = read_image(path)
    assert np.array_equal(image.pixels, grey)
    assert image.notes


def test_one_sample_in_the_header_and_three_in_the_frame(mg, tmp_path):
    """Only decoding shows it: the header's grey is taken, and colour is refused by its reason."""
    said = {"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": 1}
    grey = grey_picture(mg)
    for name in ("JPEG, 422", "JPEG 2000", "RLE"):
        path = write_coded(tmp_path / "a.dcm", name, three(grey), **said)
        image = read_image(path, at_least=(100, 80))
        assert image.pixels.shape == grey.shape
        path = write_coded(tmp_path / "b.dcm", name, with_colour(grey), **said)
        with pytest.raises(ColourError):
            read_image(path)


def test_a_dark_picture_told_to_be_monochrome1_is_turned_by_its_air(mg, tmp_path):
    grey = grey_picture(mg)
    told = {"PhotometricInterpretation": "MONOCHROME1"}
    for pixels, is_bright in ((grey, True), (255 - grey, False)):
        path = write(tmp_path / "a.dcm", three(pixels).tobytes(), grey.shape, **told)
        assert read_image(path).bright_is_dense is is_bright


def test_black_and_white_of_partial_ybr_are_16_and_235(mg, tmp_path):
    grey = grey_picture(mg)
    ybr = as_ybr(three(grey))
    ybr[..., 0] = np.rint(16 + ybr[..., 0] * (219 / 255))
    path = write(
        tmp_path / "a.dcm",
        halved_422(ybr).tobytes(),
        grey.shape,
        PhotometricInterpretation="YBR_PARTIAL_422",
    )
    # 220 levels for 256: one level is lost by rounding.
    assert np.abs(read_image(path).pixels.astype(int) - grey).max() <= 1


def test_what_belongs_to_other_pixels_is_not_applied(mg, tmp_path):
    """An exporter that leaves the header of 12 bits as it was."""
    grey = grey_picture(mg)
    left = {
        "WindowCenter": 2048,
        "WindowWidth": 4096,
        "RescaleSlope": 2,
        "RescaleIntercept": -5,
        "PresentationLUTShape": "INVERSE",
    }
    path = write(tmp_path / "a.dcm", three(grey).tobytes(), grey.shape, **left)
    image = read_image(path)
    assert np.array_equal(image.pixels, grey)
    assert (image.voi, image.padding, image.bright_is_dense) == (None, None, True)
    assert any("Window Center and Width" in n and "ignored" in n for n in image.notes)
    plain = write(tmp_path / "b.dcm", three(grey).tobytes(), grey.shape)
    assert are_alike(image, read_image(plain))
    assert not any("ignored" in note for note in read_image(plain).notes)


# ---- palettes


def with_palette(tables, bits=8, first=0, data_bits=None, **header):
    """Attributes of a palette of three tables."""
    kind = np.uint8 if (data_bits or bits) == 8 else np.dtype("<u2")
    told = {"SamplesPerPixel": 1, "PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        told[f"{name}PaletteColorLookupTableDescriptor"] = [len(table) % 65536, first, bits]
        told[f"{name}PaletteColorLookupTableData"] = table.astype(kind).tobytes()
    return {**told, **header}


def test_levels_of_a_grey_palette_are_read_through_it(mg, tmp_path):
    grey = grey_picture(mg)
    ramp = np.arange(256)
    shuffled = np.random.default_rng(0).permutation(256)  # numbers that mean nothing by themselves
    place = np.argsort(shuffled)
    cases = [
        (grey, with_palette([ramp] * 3)),
        (place[grey], with_palette([shuffled] * 3)),
        (grey, with_palette([ramp] * 3, bits=8, data_bits=16)),
        (grey, with_palette([ramp] * 3, bits=16)),  # said to be 16 bits, and holds 8
    ]
    for numbers, palette in cases:
        frame = numbers.astype(np.uint8).tobytes()
        path = write(tmp_path / "a.dcm", frame, grey.shape, **palette)
        header, image = read_header(path), read_image(path)
        assert header.left_out is None
        assert np.array_equal(image.pixels, grey)
        assert any("grey palette" in note for note in header.notes)
        assert set(header.notes) <= set(image.notes)


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, J2K_LOSSLESS, JLS])
def test_a_palette_of_sixteen_bits_keeps_them(syntax, mg, tmp_path):
    grey = grey_picture(mg, 16)
    numbers = (65535 - grey) >> 4  # 4,096 numbers, the brightest first
    table = np.arange(4095, -1, -1) * 16
    encode = {
        EXPLICIT: bytes,
        RLE: lambda v: bytes(rle.rle.encode_frame(v.tobytes(), *v.shape, 1, 16, "<")),
        J2K_LOSSLESS: lambda v: openjpeg.encode(v, bits_stored=16, photometric_interpretation=2),
        JLS: lambda v: bytes(jpeg_ls.encode_array(v)),
    }[syntax]
    told = with_palette([table] * 3, bits=16)
    path = write(tmp_path / "a.dcm", encode(numbers), grey.shape, syntax, bits=16, **told)
    image = read_image(path, at_least=(100, 80))  # numbers of a palette are never halved
    assert np.array_equal(image.pixels, table[numbers])
    assert image.value_range == (0, 65535)


def test_a_palette_that_begins_elsewhere(mg, tmp_path):
    grey = grey_picture(mg)
    numbers = grey.astype(np.uint16) + 1000
    numbers[0, :2] = 0, 5000  # below the first entry, and above the last
    told = with_palette([np.arange(256)] * 3, first=1000)
    path = write(tmp_path / "a.dcm", numbers.tobytes(), grey.shape, bits=16, **told)
    assert np.array_equal(read_image(path).pixels[1:], grey[1:])
    assert read_image(path).pixels[0, :2].tolist() == [0, 255]


def test_colour_of_a_palette_counts_where_the_image_uses_it(mg, tmp_path):
    grey = np.minimum(grey_picture(mg), 250)
    red = np.arange(256)
    red[252:] = 0  # a graphics colour
    told = with_palette([red, np.arange(256), np.arange(256)])
    path = write(tmp_path / "a.dcm", grey.tobytes(), grey.shape, **told)
    assert np.array_equal(read_image(path).pixels, grey)
    marked = grey.copy()
    marked[40:44, -60:-56] = 254
    path = write(tmp_path / "b.dcm", marked.tobytes(), grey.shape, **told)
    assert read_header(path).left_out == Reason.COLOUR
    with pytest.raises(ColourError):
        read_image(path)


def test_a_palette_that_is_not_there_is_no_mammogram(mg, tmp_path):
    grey = grey_picture(mg)
    path = write(
        tmp_path / "a.dcm",
        grey.tobytes(),
        grey.shape,
        SamplesPerPixel=1,
        PhotometricInterpretation="PALETTE COLOR",
    )
    header = read_header(path)
    assert header.left_out == Reason.COLOUR
    assert "palette is missing" in header.detail


# ---- what is no mammogram


def page(rows=900, cols=700, colour=0):
    """A report: black or coloured text and a line on white paper."""
    picture = Picture.new("RGB", (cols, rows), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for line in range(24):
        text = f"{line}. Mammogram of both breasts: no mass, no suspicious calcification, BI-RADS 1"
        draw.text((40, 60 + 30 * line), text, fill=(colour, 0, 0))
    draw.rectangle((30, 20, cols - 30, 22), fill=(0, 0, 0))
    return np.asarray(picture)


def test_a_report_page_is_no_mammogram_whatever_its_header_says(mg, tmp_path):
    told = {"SOPClassUID": CAPTURE, "ImagerPixelSpacing": None}
    unseen = {**told, "ImageLaterality": None, "ViewPosition": None}
    for name in ("plain, implicit", "JPEG, 422", "JPEG 2000"):
        path = write_coded(tmp_path / "a.dcm", name, page(), **told)
        assert read_header(path).left_out == Reason.REPORT
        with pytest.raises(UnsupportedImageError, match="no breast"):
            read_image(path)
        path = write_coded(tmp_path / "b.dcm", name, 255 - page(), **told)  # white on black
        assert read_header(path).left_out == Reason.REPORT
        path = write_coded(tmp_path / "c.dcm", name, page(colour=200), **unseen)
        assert read_header(path).left_out == Reason.COLOUR
        path = write_coded(tmp_path / "d.dcm", name, page(), **unseen)
        assert read_header(path).left_out == Reason.REPORT


def test_a_capture_of_a_mammogram_is_read_where_its_view_is_told(mg, tmp_path):
    grey = grey_picture(mg)
    told = {"SOPClassUID": CAPTURE, "ImagerPixelSpacing": None, "Modality": "OT"}
    path = write(tmp_path / "a.dcm", three(grey).tobytes(), grey.shape, **told)
    header = read_header(path)
    assert (header.left_out, header.kind) == (None, None)
    told |= {"ImageLaterality": None, "ViewPosition": None}
    path = write(tmp_path / "b.dcm", three(grey).tobytes(), grey.shape, **told)
    assert read_header(path).left_out == Reason.MODALITY
    image = read_image(path, view=View(side="L", position="CC", source="table"))
    assert np.array_equal(image.pixels, grey)
    path = write(tmp_path / "c.dcm", with_colour(grey).tobytes(), grey.shape, **told)
    assert read_header(path).left_out == Reason.COLOUR
    told |= {"SeriesDescription": "screening L CC"}
    path = write(tmp_path / "d.dcm", three(grey).tobytes(), grey.shape, **told)
    assert (read_header(path).left_out, read_header(path).position) == (None, "CC")


@pytest.mark.parametrize("photometric", ["HSV", "ARGB", "CMYK", "XYB"])
def test_colours_of_other_kinds_are_left_out_by_their_header(photometric, mg, tmp_path):
    grey = grey_picture(mg)
    frame = three(grey).tobytes()
    path = write(tmp_path / "a.dcm", frame, grey.shape, PhotometricInterpretation=photometric)
    assert read_header(path).left_out == Reason.COLOUR
    path = write(tmp_path / "b.dcm", frame, grey.shape, SamplesPerPixel=4)
    assert read_header(path).left_out == Reason.COLOUR


def test_an_ultrasound_in_grey_stays_another_modality(mg, tmp_path):
    grey = grey_picture(mg)
    path = write(tmp_path / "a.dcm", three(grey).tobytes(), grey.shape, Modality="US")
    assert read_header(path).left_out == Reason.MODALITY


def test_cut_off_colours_are_damaged_and_stop_nothing(mg, tmp_path):
    grey = grey_picture(mg)
    for name in ("plain, implicit", "RLE", "JPEG, 422", "JPEG 2000", "JPEG-LS"):
        syntax, photometric, encode, _ = CODED[name]
        frame = encode(three(grey))
        frame = frame[: 2 * len(frame) // 3 & ~1]
        path = write(
            tmp_path / "a.dcm",
            frame,
            grey.shape,
            syntax,
            PhotometricInterpretation=photometric,
        )
        assert read_header(path).left_out == Reason.DAMAGED, name


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_a_frame_of_colours_that_lost_its_end_marker_alone_is_whole(subsampling, mg, tmp_path):
    grey = grey_picture(mg)
    frame = jpeg(three(grey), subsampling=subsampling)
    path = write(tmp_path / "a.dcm", frame[:-2], grey.shape, BASELINE)
    image = read_image(path)
    assert np.abs(image.pixels.astype(int) - grey).max() <= CODED["JPEG, 422"][3]
    assert any("no end marker" in note for note in image.notes)
    cut = frame[: len(frame) - 400 & ~1]
    write(tmp_path / "a.dcm", cut, grey.shape, BASELINE)
    with pytest.raises(DamagedPixelsError, match="cut off"):
        read_image(path)


# ---- index, prepare, read, check and the reading room agree


@pytest.fixture(scope="module")
def archive(mg, tmp_path_factory):
    """An exam in MONOCHROME2, the same in several colours, with a page and a coloured screen."""
    root = tmp_path_factory.mktemp("archive")
    plain = {"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": 1}
    plain["PlanarConfiguration"] = None
    names = dict(zip(mg.FOUR, ("plain, implicit", "JPEG, 422", "JPEG 2000", "RLE"), strict=True))
    for exam in ("grey", "colours"):
        for number, (side, view) in enumerate(mg.FOUR, start=1):
            grey = grey_picture(mg, side=side, view=view)
            told = {"side": side, "view": view, "PatientID": exam}
            told["StudyInstanceUID"] = f"1.2.{len(exam)}"
            told |= {"number": len(exam) * 10 + number}
            path = root / exam / f"{side}-{view}.dcm"
            if exam == "grey":
                write(path, grey.tobytes(), grey.shape, **plain, **told)
            else:
                write_coded(path, names[side, view], three(grey), **told)
    told = {"PatientID": "colours", "StudyInstanceUID": "1.2.7"}
    write_coded(root / "colours" / "page.dcm", "JPEG, 422", page(), number=91, **told)
    screen = with_colour(grey_picture(mg))
    write_coded(root / "colours" / "screen.dcm", "plain, implicit", screen, number=92, **told)
    return root


def test_index_prepare_read_check_and_the_reading_room_agree(archive, tmp_path):
    manifest = read_dicom(archive)
    out = dict(manifest.images.select("path", "left_out").drop_nulls().iter_rows())
    assert out == {"colours/page.dcm": "report", "colours/screen.dcm": "colour"}
    assert not [p for p in check_manifest(manifest, files=True) if p.kind == "files"]

    done = prepare(manifest, SPEC, tmp_path / "store")
    assert (done.num_stored, done.failed.height) == (8, 0)
    whose = manifest.images.select("image_id", "patient_id")
    rows = Store.open(tmp_path / "store").table.join(whose, on="image_id", how="left")
    for notes in rows.filter(pl.col("patient_id") == "colours")["notes"]:
        assert any("read as one grey" in note for note in notes)

    exams = {exam.patient_id: exam for exam in read_exams(archive)}
    assert [image.view.name for image in exams["colours"].images] == [
        image.view.name for image in exams["grey"].images
    ]
    assert {e.path.rpartition("/")[2]: e.reason for e in exams["colours"].left_out} == {
        "page.dcm": "report",
        "screen.dcm": "colour",
    }
    folder, listed = FolderCohort([archive]), ManifestCohort(manifest)
    for image, plain in zip(exams["colours"].images, exams["grey"].images, strict=True):
        assert are_alike(image, plain)
        for cohort in (folder, listed):
            shown = cohort.read(image.image_id)
            assert np.array_equal(shown.pixels, image.pixels)
            assert shown.voi is None and shown.bright_is_dense


# ---- DICOM output


def test_objects_refer_to_images_in_colours_where_their_kind_allows_it(mg, tmp_path):
    paths = write_exam(tmp_path / "in", size=(640, 512))
    grey = grey_picture(mg)
    dataset = pydicom.dcmread(paths["R-CC"])
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PlanarConfiguration = 7, 0
    paths["R-CC"].write_bytes(dicom_bytes(dataset, three(grey).tobytes()))
    exam = exam_in(tmp_path / "in")
    missing, made = not_made(exam), objects_of(exam)
    assert list(missing) == ["gsps-R-CC"]
    assert "RGB with 3 samples" in missing["gsps-R-CC"] and "grayscale" in missing["gsps-R-CC"]
    assert {"gsps-L-CC", "seg-R-CC", "cad-sr", "sr1500", "sc"} <= set(made)
    seg = made["seg-R-CC"].dataset
    (source,) = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert source.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert (seg.Rows, seg.Columns) == (640, 512)


def test_a_picture_file_in_colour_has_the_same_reason(mg, tmp_path):
    row = {"image_id": "i", "patient_id": "p", "exam_id": "e", "side": "L", "view": "CC"}
    Picture.fromarray(with_colour(grey_picture(mg))).save(tmp_path / "a.png")
    with pytest.raises(PixelError) as told:
        read_raster(tmp_path / "a.png", row)
    assert reason_of(told.value) == Reason.COLOUR
