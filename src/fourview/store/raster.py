"""A grey picture file and its manifest row -> Image: JPEG, PNG, TIFF, PGM, BMP or JPEG 2000.

For data sets that are published as pictures (CDD-CESM, mini-MIAS, exports of DICOM as 16-bit PNG).
Full depth is kept. Such a file has no window and no polarity: bright is taken as dense unless the
air around the breast is bright; side, view and spacing come from the manifest.
"""

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from fourview.dicom.apart import decode_apart, limits_for
from fourview.dicom.codecs import decode_picture_here
from fourview.dicom.codestream import read_codestream, unwrapped, whole_stream
from fourview.dicom.colours import NEARLY_GREY, channels_apart
from fourview.dicom.polarity import air_is_dark
from fourview.entities import Image, Turn, View
from fourview.errors import ColourPictureError, DicomError, PictureError, PixelError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".pgm", ".tif", ".tiff", ".bmp", ".jp2", ".j2k"})
MAX_PIXELS = 1 << 28  # 16384 x 16384: refused before anything is allocated
PGM_HEADER = re.compile(rb"P5(?:\s+|\s*#[^\n]*\n)+(\d+)(?:\s+|\s*#[^\n]*\n)+(\d+)\s+(\d+)\s")
ORIENTATION, PHOTOMETRIC = 274, 262  # tags of TIFF and EXIF
# EXIF orientation: exchanged, upside down; left and right are told by the breast itself.
_TURNS = {3: (0, 1), 4: (0, 1), 5: (1, 0), 6: (1, 0), 7: (1, 1), 8: (1, 1)}

Pixels = Shaped[np.ndarray, "row col"]
Decoded = tuple[Shaped[np.ndarray, "row col *channel"], int]


def is_picture(head: bytes) -> bool:
    """Whether a file begins as a picture that is read here."""
    return any(head.startswith(mark) for mark in _DECODERS)


def read_raster(path: Path, row: Mapping[str, Any]) -> Image:
    """Read one picture file.

    Args:
        path: A picture, whatever its suffix.
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
    decoded, bits = _decode(path, data)
    notes: list[str] = []
    pixels, padding = _one_channel(path, decoded, notes)
    pixels = _integers(path, pixels, notes)
    bits = min(bits, 8 * pixels.dtype.itemsize)
    size = (row.get("rows"), row.get("cols"))
    if None not in size and size != pixels.shape:
        notes.append(
            f"the picture has {pixels.shape[0]} x {pixels.shape[1]} pixels, the table says "
            f"{size[0]} x {size[1]}: regions of the table are in other pixels"
        )
    bright_is_dense = row.get("kind") == "film" or air_is_dark(pixels, padding) is not False
    if not bright_is_dense:
        notes.append("the air around the breast is bright: small values are taken as dense")
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
        bright_is_dense=bright_is_dense,
        padding=padding,
        turn=_turn(data, notes),
        path=str(row.get("path") or path.name),
        notes=tuple(notes),
    )


def _decode(path: Path, data: bytes) -> Decoded:
    """Pixels with the bits that their format says they have, by what the file begins with."""
    decode = next((d for mark, d in _DECODERS.items() if data.startswith(mark)), None)
    if decode is None:
        raise PixelError(
            f"{path}: begins with {data[:4]!r}, need JPEG, PNG or binary PGM, "
            "or TIFF, BMP or JPEG 2000"
        )
    try:
        pixels, bits = decode(data)
    except (ValueError, RuntimeError, KeyError, DicomError, OSError, SyntaxError) as error:
        reason = str(error).splitlines()[0:1] or [type(error).__name__]
        raise PictureError(f"{path}: damaged: {reason[0]}; get the file again") from error
    return pixels, bits


def _decode_jpeg(data: bytes) -> Decoded:
    stream = read_codestream(data)
    rows, cols = stream.size
    if not 0 < rows * cols <= MAX_PIXELS:
        raise ValueError(f"{rows} x {cols} pixels")
    try:
        data = whole_stream(data, [])
    except DicomError as error:  # the decoder would fill the rest with grey
        raise ValueError("the end of the JPEG is missing") from error
    pixels = decode_apart(decode_picture_here, data, "jpeg", limits=limits_for(3 * rows * cols))
    return pixels, stream.precision


def _decode_jpeg_2000(data: bytes) -> Decoded:
    bare = unwrapped(data, [])
    stream = read_codestream(bare)
    rows, cols = stream.size
    if not 0 < rows * cols <= MAX_PIXELS:
        raise ValueError(f"{rows} x {cols} pixels")
    data = whole_stream(bare, [])
    pixels = decode_apart(decode_picture_here, data, "jpeg2k", limits=limits_for(3 * rows * cols))
    return pixels, stream.precision


def _decode_png(data: bytes) -> Decoded:
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])  # of IHDR, the first
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"{height} x {width} pixels")
    pixels = decode_apart(decode_picture_here, data, "png", limits=limits_for(4 * width * height))
    return pixels, 8 * pixels.dtype.itemsize


def _decode_tiff(data: bytes) -> Decoded:
    """Decode by libtiff; the file's tags tell what a value means (a palette, or 0 for white)."""
    with Picture.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        photometric = getattr(picture, "tag_v2", {}).get(PHOTOMETRIC)
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f"{height} x {width} pixels")
        kind = "coloured" if picture.mode == "P" else "tiff"
    pixels = decode_apart(decode_picture_here, data, kind, limits=limits_for(4 * width * height))
    if pixels.dtype == bool:
        raise ValueError("one bit per pixel")
    if photometric == 0 and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels, 8 * pixels.dtype.itemsize


def _decode_bmp(data: bytes) -> Decoded:
    with Picture.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        if not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f"{height} x {width} pixels")
        kind = "grey" if picture.mode == "L" else "coloured"
    limits = limits_for(3 * width * height)
    return decode_apart(decode_picture_here, data, kind, limits=limits), 8


def _decode_pgm(data: bytes) -> Decoded:
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


_DECODERS: dict[bytes, Callable[[bytes], Decoded]] = {
    b"\xff\xd8": _decode_jpeg,
    b"\x89PNG": _decode_png,
    b"P5": _decode_pgm,
    b"II*\0": _decode_tiff,
    b"MM\0*": _decode_tiff,
    b"BM": _decode_bmp,
    b"\xff\x4f\xff\x51": _decode_jpeg_2000,
    b"\0\0\0\x0cjP": _decode_jpeg_2000,
}


def _one_channel(
    path: Path, pixels: Shaped[np.ndarray, "row col *channel"], notes: list[str]
) -> tuple[Pixels, Bool[np.ndarray, "row col"] | None]:
    """One grey channel, and where it is transparent; anything but grey is refused.

    Three channels that are equal, or nearly so as JPEG leaves them, are grey. An alpha channel
    that is opaque everywhere says nothing; where it is 0 the pixel is padding.
    """
    if pixels.ndim == 2:
        return pixels, None
    count = pixels.shape[2]
    padding = None
    if count in (2, 4):
        alpha = pixels[..., -1]
        if int(alpha.min()) == int(alpha.max()):
            notes.append("an alpha channel of one value was ignored")
        else:
            padding = np.asarray(alpha == 0)
            notes.append("transparent pixels are padding")
    if count in (1, 2):
        return np.ascontiguousarray(pixels[..., 0]), padding
    colours = pixels[..., :3]
    grey = np.ascontiguousarray(colours[..., 1])
    apart = channels_apart(colours if padding is None else np.where(padding[..., None], 0, colours))
    if not apart:
        notes.append("three equal colour channels, read as one grey")
        return grey, padding
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "ui" else 1.0
    if apart <= NEARLY_GREY * top:
        notes.append("three nearly equal colour channels, the green one read as grey")
        return grey, padding
    raise ColourPictureError(
        f"{path}: 3 channels that differ by up to {apart / top:.0%}, need one grey channel; "
        "a colour picture is no mammogram"
    )


def _integers(path: Path, pixels: Pixels, notes: list[str]) -> Pixels:
    """The pixels as 8 or 16 bits; numbers in [0, 1] become 16 bits."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind in "iu" and low >= 0 and high < 65536:
        return np.asarray(pixels.astype(np.uint16))
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        notes.append("numbers from 0 to 1 were scaled to 16 bits")
        return np.asarray(np.rint(pixels * 65535)).astype(np.uint16)
    if pixels.dtype.kind == "f" and low >= 0 and high < 65536:
        return np.asarray(np.rint(pixels)).astype(np.uint16)
    raise PixelError(
        f"{path}: values from {low:g} to {high:g} ({pixels.dtype}), need 0 to 65535; save it as "
        "16 bits"
    )


def _turn(data: bytes, notes: list[str]) -> Turn | None:
    """What the EXIF orientation of a JPEG or TIFF asks for; None where it asks for nothing."""
    if not data.startswith((b"\xff\xd8", b"II*\0", b"MM\0*")):
        return None
    try:
        with Picture.open(io.BytesIO(data)) as picture:
            orientation = picture.getexif().get(ORIENTATION)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None
    if orientation not in _TURNS:
        return None
    exchanged, upside_down = _TURNS[orientation]
    notes.append(f"the picture's orientation (EXIF) is {orientation}: turned upright")
    return Turn(exchanged=bool(exchanged), upside_down=bool(upside_down))
