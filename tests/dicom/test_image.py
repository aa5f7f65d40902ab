"""The pixel matrix: what the package reads is what pydicom reads with other codecs."""

import itertools
import warnings

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from dicom_examples import (
    BASELINE,
    BIG,
    EXACT,
    EXTENDED,
    HT,
    HT_LOSSLESS,
    HT_RPCL,
    J2K,
    J2K_LOSSLESS,
    JLS,
    JLS_NEAR,
    LOSSLESS,
    LOSSLESS_SV1,
    LOSSY,
    NATIVE,
    RLE,
    Layout,
    dicom_bytes,
    encode,
    gradient,
    mammogram,
    set_pixels,
)
from fourview.dicom.image import read_image
from fourview.preprocess.window import to_display

LAYOUTS = [
    Layout(allocated, stored, stored - 1, signed)
    for (allocated, stored), signed in itertools.product(
        ((8, 8), (16, 8), (16, 10), (16, 12), (16, 14), (16, 16)), (False, True)
    )
]
HIGH = [Layout(16, 12, 15, False), Layout(16, 12, 13, True)]  # values that do not start at bit 0
VOIS = ("none", "LINEAR", "LINEAR_EXACT", "SIGMOID", "table", "two")
RESCALES = ("none", "shift", "integer", "float", "table")
PADDINGS = ("none", "value", "range")
POLARITIES = ("MONOCHROME1", "MONOCHROME2")
REFERENCE = {  # never a codec that the package decodes with; HTJ2K has OpenJPEG only
    RLE: "pylibjpeg",
    LOSSLESS: "gdcm",
    LOSSLESS_SV1: "gdcm",
    BASELINE: "gdcm",
    JLS: "pyjpegls",
    JLS_NEAR: "pyjpegls",
    J2K_LOSSLESS: "pylibjpeg",
    J2K: "pylibjpeg",
    HT_LOSSLESS: "pylibjpeg",
    HT_RPCL: "pylibjpeg",
    HT: "pylibjpeg",
}


def layouts_of(syntax):
    if syntax in NATIVE or syntax == RLE:
        return LAYOUTS + HIGH
    if syntax == BASELINE:
        return [Layout(8, 8, 7, False)]
    if syntax == EXTENDED:
        return [Layout(16, 12, 11, False)]
    if syntax in (J2K, HT, JLS_NEAR):
        return [layout for layout in LAYOUTS if layout.allocated != 16 or layout.stored >= 10]
    if syntax in (HT_LOSSLESS, HT_RPCL):  # the encoder takes whole words
        return [layout for layout in LAYOUTS if layout.stored in (8, 16, 12)]
    return [layout for layout in LAYOUTS if layout.allocated != 16 or layout.stored > 8]


def matrix():
    """Each syntax with each layout, three times, the other axes taking turns."""
    others = itertools.cycle(
        zip(
            itertools.cycle(VOIS),
            itertools.cycle(RESCALES),
            itertools.cycle((*PADDINGS, "none")),
            itertools.cycle(POLARITIES),
            range(7 * 60),
            strict=False,
        )
    )
    for syntax in (*EXACT, *LOSSY):
        for layout in layouts_of(syntax):
            for _ in range(4 if syntax in EXACT else 3):
                yield syntax, layout, *next(others)


CASES = list(matrix())


def header(layout, voi, rescale, padding, polarity):
    dataset = mammogram(PhotometricInterpretation=polarity)
    middle = 0 if layout.signed else 1 << layout.stored - 1
    width = (1 << layout.stored) // 2
    sign = "SS" if layout.signed else "US"
    if rescale in ("shift", "integer", "float"):
        dataset.RescaleSlope = {"shift": 1, "integer": 2, "float": 0.37}[rescale]
        dataset.RescaleIntercept = {"shift": -100, "integer": -7, "float": 3.5}[rescale]
        dataset.RescaleType = "US"
    if rescale == "table":
        item = Dataset()
        entries = np.linspace(0, 60000, 300).astype(np.uint16)
        item.add_new("LUTDescriptor", sign, [300, middle, 16])
        item.ModalityLUTType = "US"
        item.add_new("LUTData", "OW", entries.tobytes())
        dataset.ModalityLUTSequence = Sequence([item])
    if voi in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        dataset.WindowCenter, dataset.WindowWidth = middle + 3.5, width
        dataset.VOILUTFunction = voi
    if voi == "two":
        dataset.WindowCenter, dataset.WindowWidth = [middle, middle + 9], [width, 50]
        dataset.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
    if voi == "table":
        item = Dataset()
        entries = (np.linspace(0, 1, 200) ** 2 * 4095).astype(np.uint16)
        item.add_new("LUTDescriptor", sign, [200, middle, 12])
        item.add_new("LUTData", "OW", entries.tobytes())
        dataset.VOILUTSequence = Sequence([item])
    if padding != "none":
        lowest = -(1 << layout.stored - 1) if layout.signed else 0
        dataset.add_new("PixelPaddingValue", sign, lowest)
    if padding == "range":
        dataset.add_new("PixelPaddingRangeLimit", sign, lowest + (1 << layout.stored) // 4)
    return dataset


def big_endian_tables(dataset):
    for word in ("ModalityLUTSequence", "VOILUTSequence"):
        for item in dataset.get(word, []):
            item.LUTData = np.frombuffer(item.LUTData, "<u2").astype(">u2").tobytes()


def by_gdcm(path):
    """12-bit JPEG, which gdcm decodes but pydicom does not let it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    cols, rows = image.GetDimensions()[:2]
    raw = image.GetBuffer().encode("utf-8", errors="surrogateescape")
    return np.frombuffer(raw, "<u2").reshape(rows, cols)


def reference_stored(raw, syntax, layout):
    """Stored values by pydicom's decoder; bits cut and sign extended in plain arithmetic."""
    dataset = pydicom.dcmread(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax == EXTENDED:
            decoded = by_gdcm(raw).astype(np.int64)
        else:
            if syntax in REFERENCE:
                dataset.pixel_array_options(decoding_plugin=REFERENCE[syntax])
            decoded = dataset.pixel_array.astype(np.int64)
    if syntax in LOSSY and not layout.signed:  # overshoot is cut off, not wrapped around
        return dataset, np.clip(decoded, 0, (1 << layout.stored) - 1)
    low_bits = decoded & ((1 << layout.stored) - 1)
    if not layout.signed:
        return dataset, low_bits
    return dataset, np.where(
        low_bits >> layout.stored - 1, low_bits - (1 << layout.stored), low_bits
    )


def test_the_matrix_has_400_cases_of_every_syntax():
    assert len(CASES) >= 400
    assert {case[0] for case in CASES} == {*EXACT, *LOSSY}
    assert {case[2] for case in CASES} == set(VOIS)
    for syntax in EXACT:
        assert {case[3] for case in CASES if case[0] == syntax} == set(RESCALES)


@pytest.mark.parametrize("syntax", [*EXACT, *LOSSY])
def test_pixels_padding_and_window_equal_those_of_pydicom(syntax, tmp_path):
    for number, case in enumerate(CASES):
        if case[0] == syntax:
            check_case(tmp_path / f"{number}.dcm", *case)


def check_case(path, syntax, layout, voi, rescale, padding, polarity, number):
    dataset = header(layout, voi, rescale, padding, polarity)
    stored = gradient((40, 33 + number % 3), layout, seed=number)
    set_pixels(dataset, stored, layout)
    if syntax == BIG:
        big_endian_tables(dataset)
    path.write_bytes(dicom_bytes(dataset, encode(stored, layout, syntax), syntax))
    image = read_image(path)
    case = (syntax, layout, voi, rescale, padding, polarity)

    if layout in HIGH:  # pydicom takes no notice of High Bit
        reference, values = pydicom.dcmread(path), stored
    else:
        reference, values = reference_stored(path, syntax, layout)
    if syntax in EXACT:
        np.testing.assert_array_equal(values, stored, err_msg=f"the example itself: {case}")
    want = apply_modality_lut(values, reference)
    # lossy codecs differ in the last bit of their inverse transforms, and by the slope after it
    slack = 2.0 if syntax in LOSSY else 0.0
    if rescale == "table":
        slack *= 60000 / 299
    if rescale == "float":
        slack += 1e-3  # ours are 32-bit floats
    np.testing.assert_allclose(image.pixels, want, atol=slack, rtol=0, err_msg=str(case))
    if rescale != "float":
        assert image.pixels.dtype.kind in "iu"
    assert image.bright_is_dense == (polarity == "MONOCHROME2")
    assert image.bits == layout.stored
    assert image.value_range[0] <= image.pixels.min() <= image.pixels.max() <= image.value_range[1]
    if syntax in EXACT:
        check_padding(image, values, layout, padding)
    check_voi(image, reference, voi, case)


def check_padding(image, values, layout, padding):
    if padding == "none":
        assert image.padding is None
        return
    lowest = -(1 << layout.stored - 1) if layout.signed else 0
    highest = lowest + ((1 << layout.stored) // 4 if padding == "range" else 0)
    np.testing.assert_array_equal(image.padding, values <= highest)
    assert image.padding.any()


def check_voi(image, reference, voi, case):
    if voi == "none":
        assert image.voi is None
        return
    assert image.voi.alternatives == (1 if voi == "two" else 0)
    if voi == "two":
        assert image.voi.explanation == "NORMAL"
    got = to_display(image.pixels, image.voi) * 65535
    values = image.pixels
    if voi == "table":  # it maps integers; pydicom would cut fractions off, ours rounds them
        values = np.minimum(np.rint(values.astype(np.float64)), 65535).astype(
            int
        )  # its sums are 16-bit
    shown = apply_voi_lut(values, reference).astype(np.float64)
    if voi == "table":
        want = shown / 4095 * 65535
    else:
        low, high = output_range(reference)
        want = (shown - low) / (high - low) * 65535
    assert np.abs(got - want).max() <= 1, case  # one of 65,536 levels


def output_range(dataset):
    """The range that pydicom's windowing writes to."""
    if "ModalityLUTSequence" in dataset:
        return 0, 65535
    low = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    high = low + 2**dataset.BitsStored - 1
    slope = float(dataset.get("RescaleSlope", 1))
    intercept = float(dataset.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept
