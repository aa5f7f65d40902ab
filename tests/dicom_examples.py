"""DICOM files for tests, written by pydicom and encoders that stand outside of the package."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
import openjpeg
import pydicom
import rle.rle
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

MG = "1.2.840.10008.5.1.4.1.1.1.2"
ROOT = "1.2.826.0.1.3680043.10.999"
START = "1.2.840.10008.1.2"
IMPLICIT, EXPLICIT, DEFLATED, BIG = START, f"{START}.1", f"{START}.1.99", f"{START}.2"
RLE = f"{START}.5"
BASELINE, EXTENDED = f"{START}.4.50", f"{START}.4.51"
LOSSLESS, LOSSLESS_SV1 = f"{START}.4.57", f"{START}.4.70"
JLS, JLS_NEAR = f"{START}.4.80", f"{START}.4.81"
J2K_LOSSLESS, J2K = f"{START}.4.90", f"{START}.4.91"
HT_LOSSLESS, HT_RPCL, HT = f"{START}.4.201", f"{START}.4.202", f"{START}.4.203"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
EXACT = (
    *NATIVE,
    RLE,
    LOSSLESS,
    LOSSLESS_SV1,
    JLS,
    J2K_LOSSLESS,
    HT_LOSSLESS,
    HT_RPCL,
)
LOSSY = (BASELINE, EXTENDED, JLS_NEAR, J2K, HT)


@dataclass(frozen=True)
class Layout:
    """Bits allocated and stored, high bit, sign."""

    allocated: int
    stored: int
    high: int
    signed: bool


def code(value: str, scheme: str = "SCT", meaning: str = "?") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def with_view(dataset: Dataset, value: str, *modifiers: str) -> Dataset:
    """Add a View Code Sequence with modifiers."""
    dataset.ViewCodeSequence = Sequence([code(value)])
    modifier_items = Sequence([code(m) for m in modifiers])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = modifier_items
    return dataset


def mammogram(number: int = 1, *, side: str = "L", view: str = "CC", **attributes: Any) -> Dataset:
    """A header of a mammogram For Presentation; attributes by keyword, None removes one."""
    dataset = Dataset()
    dataset.SOPClassUID = MG
    dataset.SOPInstanceUID = f"{ROOT}.3.{number}"
    dataset.StudyInstanceUID = f"{ROOT}.1.1"
    dataset.SeriesInstanceUID = f"{ROOT}.2.1"
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PatientID = "P1"
    dataset.StudyDate = "20200102"
    dataset.Manufacturer = "Maker"
    dataset.ImagerPixelSpacing = [0.07, 0.07]
    dataset.ImageLaterality = side
    dataset.ViewPosition = view
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def set_pixels(dataset: Dataset, stored: np.ndarray, layout: Layout) -> None:
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored = layout.allocated, layout.stored
    dataset.HighBit, dataset.PixelRepresentation = layout.high, int(layout.signed)


def raw_words(stored: np.ndarray, layout: Layout) -> np.ndarray:
    """Stored values as unsigned words of Bits Allocated, at their place below High Bit."""
    shift = layout.high - layout.stored + 1
    words = (stored.astype(np.int64) & ((1 << layout.stored) - 1)) << shift
    return words.astype(f"<u{layout.allocated // 8}")


def encode(stored: np.ndarray, layout: Layout, syntax: str) -> bytes:
    """One frame in a transfer syntax; native ones give plain bytes."""
    words = raw_words(stored, layout)
    rows, cols = stored.shape
    if syntax in NATIVE:
        return words.astype(words.dtype.newbyteorder(">" if syntax == BIG else "<")).tobytes()
    if syntax == RLE:
        return bytes(rle.rle.encode_frame(words.tobytes(), rows, cols, 1, layout.allocated, "<"))
    if syntax in (J2K_LOSSLESS, J2K):
        kind = f"{'i' if layout.signed else 'u'}{layout.allocated // 8}"
        quality: dict[str, Any] = {"compression_ratios": [4]} if syntax == J2K else {}
        values = np.ascontiguousarray(stored.astype(kind))
        return openjpeg.encode(
            values, bits_stored=layout.stored, photometric_interpretation=2, **quality
        )
    if syntax in (JLS, JLS_NEAR):
        encoded = jpeg_ls.encode_array(words, lossy_error=2 if syntax == JLS_NEAR else 0)
        return bytes(encoded)
    if syntax in (HT_LOSSLESS, HT_RPCL, HT):
        return bytes(imagecodecs.htj2k_encode(words, reversible=syntax != HT))
    predictor = {LOSSLESS: 6, LOSSLESS_SV1: 1}.get(syntax)
    how: dict[str, Any] = {"lossless": True, "predictor": predictor} if predictor else {"level": 95}
    return bytes(imagecodecs.jpeg8_encode(words, bitspersample=layout.stored, **how))


def dicom_bytes(
    dataset: Dataset,
    frame: bytes | None,
    syntax: str = EXPLICIT,
    *,
    fragments: int = 1,
    has_offsets: bool = True,
) -> bytes:
    """A whole file; ``frame`` None leaves out the pixel data."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if frame is not None:
        if syntax in NATIVE:
            dataset.PixelData = frame + b"\0" * (len(frame) % 2)
            is_bytes = dataset.BitsAllocated == 8 and syntax != IMPLICIT
            dataset["PixelData"].VR = "OB" if is_bytes else "OW"
        else:
            dataset.PixelData = encapsulate(
                [frame], fragments_per_frame=fragments, has_bot=has_offsets
            )
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def gradient(size: tuple[int, int], layout: Layout, seed: int = 0) -> np.ndarray:
    """Smooth values with noise that use the whole range of the layout, extremes included."""
    rows, cols = size
    make = np.random.default_rng(seed)
    lowest = -(1 << layout.stored - 1) if layout.signed else 0
    span = (1 << layout.stored) - 1
    ramp = np.add.outer(np.linspace(0, 0.6, rows), np.linspace(0, 0.4, cols))
    noisy = np.clip(ramp + make.normal(0, 0.02, size), 0, 1)
    stored = lowest + np.rint(noisy * span).astype(np.int64)
    stored[0, 0], stored[0, 1], stored[-1, -1] = lowest, lowest, lowest + span
    return stored


TWELVE = Layout(16, 12, 11, False)


def write_mammogram(
    path: Path,
    dataset: Dataset | None = None,
    *,
    stored: np.ndarray | None = None,
    layout: Layout = TWELVE,
    syntax: str = EXPLICIT,
    **options: Any,
) -> Path:
    """Write a small mammogram and return its path."""
    dataset = mammogram() if dataset is None else dataset
    stored = gradient((40, 34), layout) if stored is None else stored
    set_pixels(dataset, stored, layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom_bytes(dataset, encode(stored, layout, syntax), syntax, **options))
    return path
