"""A grey JPEG, PNG or PGM file and its manifest row -> Image.

For data sets that are published as pictures (CDD-CESM, mini-MIAS, exports of DICOM as 16-bit PNG).
Full depth is kept. Such a file has no window and no polarity: bright is taken as dense, and side,
view and spacing come from the manifest.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fourview.dicom.apart import decode_apart, limits_for
from fourview.dicom.codecs import decode_picture_here
from fourview.dicom.codestream import read_codestream
from fourview.entities import Image, View
from fourview.errors import DicomError, PixelError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".pgm"})
MAX_PIXELS = 1 << 28  # 16384 x 16384: refused before anything is allocated
JPEG_END = b"\xff\xd9"
JPEG_TAIL = 1024  # bytes at the end in which JPEG_END must lie: writers may add some
PGM_HEADER = re.compile(rb"P5(?:\s+|\s*#[^\n]*\n)+(\d+)(?:\s+|\s*#[^\n]*\n)+(\d+)\s+(\d+)\s")


def read_raster(path: Path, row: Mapping[str, Any]) -> Image:
    """Read one picture file.

    Args:
        path: A .jpg, .jpeg, .png or .pgm file.
        row: The image's row of a manifest: ids, side, view, modifiers and spacing.

    Raises:
        PixelError: The file is missing, damaged, in colour or none of these formats, or the
            manifest does not say which side and view it is.
    """
    if row["side"] not in ("R", "L") or row["view"] is None:
        raise PixelError(
            f"{path}: side {row['side']!r}, view {row['view']!r} in the manifest; "
            "a picture file needs both there"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PixelError(f"{path}: cannot be read: {error.strerror}") from error
    pixels, bits = _decode(path, data)
    pixels, notes = _one_channel(path, pixels)
    spacing = row.get("spacing_mm")
    return Image(
        image_id=row["image_id"],
        patient_id=row["patient_id"],
        exam_id=row["exam_id"],
        view=View(
            side=row["side"],
            position=row["view"],
            modifiers=tuple(sorted(row.get("modifiers") or ())),
            source="manifest",
        ),
        pixels=pixels,
        stored_size=(pixels.shape[0], pixels.shape[1]),
        bits=bits,
        value_range=(0.0, float(2**bits - 1)),
        spacing_mm=None if spacing is None else (spacing, spacing),
        bright_is_dense=True,
        path=str(row.get("path") or path.name),
        notes=notes,
    )


def _decode(path: Path, data: bytes) -> tuple[Shaped[np.ndarray, "row col *channel"], int]:
    """Pixels with the bits that their format says they have, by what the file begins with."""
    decoders: dict[bytes, Callable[[bytes], tuple[np.ndarray, int]]] = {
        b"\xff\xd8": _decode_jpeg,
        b"\x89P": _decode_png,
        b"P5": _decode_pgm,
    }
    decode = decoders.get(data[:2])
    if decode is None:
        raise PixelError(f"{path}: begins with {data[:4]!r}, need JPEG, PNG or binary PGM")
    try:
        pixels, bits = decode(data)
    except DicomError as error:
        raise PixelError(f"{path}: damaged: {error}") from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise PixelError(f"{path}: damaged: {error}; get the file again") from error
    return pixels, bits


def _decode_jpeg(data: bytes) -> tuple[np.ndarray, int]:
    if JPEG_END not in data[-JPEG_TAIL:]:  # the decoder would fill the rest with grey
        raise ValueError("the end of the JPEG is missing")
    try:
        stream = read_codestream(data)
    except DicomError as error:
        raise ValueError("its header has no size") from error
    rows, cols = stream.size
    if not 0 < rows * cols <= MAX_PIXELS:
        raise ValueError(f"{rows} x {cols} pixels")
    pixels = decode_apart(decode_picture_here, data, "jpeg", limits=limits_for(3 * rows * cols))
    return pixels, stream.precision


def _decode_png(data: bytes) -> tuple[np.ndarray, int]:
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{height} x {width} pixels")
    pixels = decode_apart(decode_picture_here, data, "png", limits=limits_for(4 * width * height))
    return pixels, 8 * pixels.dtype.itemsize


def _decode_pgm(data: bytes) -> tuple[np.ndarray, int]:
    header = PGM_HEADER.match(data)
    if header is None:
        raise ValueError("no PGM header of width, height and highest value")
    width, height, highest = (int(value) for value in header.groups())
    if not 0 < width * height <= MAX_PIXELS or not 0 < highest < 65536:
        raise ValueError(f"{height} x {width} pixels up to {highest}")
    dtype = np.dtype("u1") if highest < 256 else np.dtype(">u2")
    count = width * height
    if len(data) - header.end() < count * dtype.itemsize:
        raise ValueError(f"{len(data) - header.end()} bytes of pixels, {count} pixels")
    pixels = np.frombuffer(data, dtype, count, header.end()).reshape(height, width)
    return pixels.astype(dtype.newbyteorder("=")), max(8, highest.bit_length())


def _one_channel(
    path: Path, pixels: Shaped[np.ndarray, "row col *channel"]
) -> tuple[Shaped[np.ndarray, "row col"], tuple[str, ...]]:
    """Grey as it is; three equal channels are grey too; anything else is colour."""
    if pixels.ndim == 2:
        return pixels, ()
    grey = pixels[..., 0]
    if pixels.shape[2] == 3 and (pixels == grey[..., None]).all():
        return np.ascontiguousarray(grey), ("three equal colour channels, read as one grey",)
    raise PixelError(
        f"{path}: {pixels.shape[2]} channels that differ, need one grey channel; "
        "a colour picture is no mammogram"
    )
