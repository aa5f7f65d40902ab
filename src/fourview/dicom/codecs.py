"""One compressed frame -> samples, by the fastest correct codec of each transfer syntax.

Measured on a 3328 x 2560 frame of 12 bits (``benchmarks/decode.py``): JPEG Lossless 77 ms by
libjpeg-turbo, 123 by ljpeg and 216 by gdcm; RLE 18 ms; JPEG-LS 92 ms; HTJ2K 34 ms by OpenJPH and
141 by OpenJPEG; JPEG 2000 640 ms in full, 163, 50 and 16 ms halved once, twice and three times.

Halving: JPEG 2000 keeps every second sample of a smooth copy, at even positions. So the centre of
         sample i after k halvings is the centre of stored pixel i * 2**k, which is less than half
         a sample before the middle of the pixels that it stands for.
"""

import io
import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import Shaped
from PIL import Image as Picture
from PIL import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from fourview.dicom.apart import decode_apart, limits_for
from fourview.dicom.codestream import SOC, SOI, Codestream, read_codestream
from fourview.errors import (
    DamagedPixelsError,
    HostileFileError,
    UnsupportedImageError,
)
from fourview.geometry import Size

Samples = Shaped[np.ndarray, "row col *channel"]

MAX_COMPRESSED_PIXELS = 64_000_000  # decoded from one frame: a film of 24 x 30 cm at 34 micrometres
MAX_JPEG_2000_PIXELS = (
    40_000_000  # decoded from one frame: 3 s; the largest detector has 31 million
)
RLE = "1.2.840.10008.1.2.5"
NATIVE = frozenset(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
JPEG = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (90, 91))
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 81, 91, 203))
HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (201, 202, 203))
SUPPORTED = NATIVE | JPEG | JPEG_LS | JPEG_2000 | HTJ2K | {RLE}
_CAPABILITIES = b"\xff\x50"  # CAP, which every HTJ2K codestream has in its main header
_PLAIN_JPEG_2000 = "1.2.840.10008.1.2.4.90"
_PROCESSES = {**dict.fromkeys(JPEG, (0xC0, 0xC1, 0xC2, 0xC3)), **dict.fromkeys(JPEG_LS, (0xF7,))}
_SYNTAX_OF = {0xC0: 51, 0xC1: 51, 0xC2: 51, 0xC3: 70, 0xF7: 80, 0: 90}  # by process


def decode(
    data: bytes,
    syntax: str,
    size: Size,
    *,
    bytes_per_sample: int,
    at_least: Size | None = None,
) -> tuple[Samples, Codestream | None]:
    """Decode one compressed frame of one channel or three.

    Args:
        data: The frame, its fragments joined, without anything before or behind it.
        syntax: UID of one of the compressed transfer syntaxes of ``SUPPORTED``.
        size: Rows and columns that the header says.
        bytes_per_sample: 1 or 2, from Bits Allocated.
        at_least: Rows and columns that are enough: JPEG 2000 and HTJ2K are halved while they
            decode, as often as both axes keep at least that. None decodes all.

    Returns:
        The samples, of the codestream's own depth and sign, and the codestream's facts (RLE has
        none). Three channels are those that the frame holds, such as luminance and two colours.

    Raises:
        DamagedPixelsError: The frame is cut off, garbled, or of another size than the header says.
        HostileFileError: It is too large.
        UnsupportedImageError: It has two components or more than three, or a coding that is none of
            the syntax.
    """
    if syntax == RLE:
        _require_affordable(size, MAX_COMPRESSED_PIXELS)
        channels = 3 if int.from_bytes(data[:4], "little") == 3 * bytes_per_sample else 1
        return _apart(data, syntax, size, bytes_per_sample, channels), None
    stream = read_codestream(data)
    if stream.size != size:
        raise DamagedPixelsError(
            f"the compressed frame is {stream.size[0]} x {stream.size[1]}, the header says "
            f"{size[0]} x {size[1]}; fetch the file again"
        )
    if stream.components not in (1, 3) or not 1 <= stream.precision <= 16:
        raise UnsupportedImageError(
            f"the compressed frame has {stream.components} components of {stream.precision} bits, "
            "need 1 or 3 of 1 to 16"
        )
    _require_process(stream, syntax)
    halvings = 0
    if stream.components == 1:
        halvings = halvings_for(size, at_least, stream.decompositions)
    most = MAX_JPEG_2000_PIXELS if syntax in JPEG_2000 | HTJ2K else MAX_COMPRESSED_PIXELS
    _require_affordable((size[0] >> halvings, size[1] >> halvings), most)
    return _apart(data, syntax, size, halvings, stream.components), stream


def decode_picture_here(data: bytes, kind: str) -> Shaped[np.ndarray, "row col *channel"]:
    """Decode a picture whose size was checked, in this process: only ``apart`` may call it.

    Args:
        data: The file.
        kind: jpeg, jpeg2k, png or tiff; or, of what Pillow opens, grey or coloured.

    Raises:
        Exception: Whatever a codec raises; all of it means that the file is damaged.
    """
    if kind in ("grey", "coloured"):
        with Picture.open(io.BytesIO(data)) as picture:
            return np.asarray(picture if kind == "grey" else picture.convert("RGB"))
    decoders: dict[str, Callable[[bytes], Any]] = {
        "jpeg": imagecodecs.jpeg8_decode,
        "jpeg2k": imagecodecs.jpeg2k_decode,
        "png": imagecodecs.png_decode,
        "tiff": imagecodecs.tiff_decode,
    }
    return np.asarray(decoders[kind](data))


def halvings_for(size: Size, at_least: Size | None, decompositions: int) -> int:
    """How often ``size`` can be halved, rounding up, and still be ``at_least`` in both axes."""
    if at_least is None:
        return 0
    halvings = 0
    while halvings < decompositions and all(
        -(-side // 2 ** (halvings + 1)) >= need for side, need in zip(size, at_least, strict=True)
    ):
        halvings += 1
    return halvings


def true_syntax(data: bytes, stated_uid: str, size: Size, *, bytes_per_sample: int) -> str | None:
    """The transfer syntax that a frame really has, by its first bytes.

    Args:
        data: The frame; see ``codestream.unwrapped``.
        stated_uid: What the header says; returned where the frame has that syntax.
        size: Rows and columns that the header says.
        bytes_per_sample: 1 or 2, from Bits Allocated.

    Returns:
        A UID of ``SUPPORTED``; None where the frame begins like none of them.
    """
    if data.startswith((SOI, SOC)):
        process = read_codestream(data).process
        if stated_uid in HTJ2K and not process and data.find(_CAPABILITIES, 0, 512) < 0:
            return _PLAIN_JPEG_2000
        if stated_uid in SUPPORTED - NATIVE - {RLE} and process in _PROCESSES.get(stated_uid, (0,)):
            return stated_uid
        return f"1.2.840.10008.1.2.4.{_SYNTAX_OF[process]}" if process in _SYNTAX_OF else None
    # An RLE header: how many segments, then where each begins; the first follows its 64 bytes
    # (PS3.5 G.5).
    segments = int.from_bytes(data[:4], "little")
    if segments in (bytes_per_sample, 3 * bytes_per_sample):
        first = int.from_bytes(data[4:8], "little")
        if first == 64 and 64 < len(data) < 64 + 3 * size[0] * size[1] * segments:
            return RLE
    return None


def _require_process(stream: Codestream, syntax: str) -> None:
    expected = _PROCESSES.get(syntax, (0,))
    if stream.process not in expected:
        coding = f"JPEG process {stream.process:02x}" if stream.process else "JPEG 2000"
        raise UnsupportedImageError(
            f"the compressed frame is {coding}, which transfer syntax {syntax} does not hold; "
            "convert the file"
        )


def _require_affordable(size: Size, most: int) -> None:
    if size[0] * size[1] > most:
        raise HostileFileError(
            f"the compressed frame has {size[0]} x {size[1]} pixels, more than {most:,}; refused"
        )


def _apart(data: bytes, syntax: str, size: Size, detail: int, channels: int) -> Samples:
    limits = limits_for(channels * size[0] * size[1])
    return decode_apart(decode_here, data, syntax, *size, detail, channels, limits=limits)


def decode_here(
    data: bytes, syntax: str, rows: int, cols: int, detail: int, channels: int
) -> Samples:
    """Decode a frame that was checked, in this process: only ``apart`` may call it.

    Args:
        data: The frame.
        syntax: UID of its transfer syntax.
        rows: As the header says.
        cols: As the header says.
        detail: Bytes of a sample for RLE; else how often the frame is halved.
        channels: 1 or 3; what else a codec gives is an error.

    Raises:
        Exception: Whatever a codec raises; all of it means that the frame is damaged.
    """
    if syntax == RLE:
        return _rle(data, (rows, cols), detail, channels)
    return _decoded(data, syntax, read_codestream(data), detail, channels)


def _decoded(data: bytes, syntax: str, stream: Codestream, halvings: int, channels: int) -> Samples:
    if syntax in HTJ2K and stream.reversible and not halvings:
        out = imagecodecs.htj2k_decode(data)  # where values overshoot, OpenJPH lets them wrap
    elif syntax in JPEG_2000 | HTJ2K:
        out = _jpeg_2000(data, stream, halvings)
    elif syntax in JPEG_LS:
        out = imagecodecs.jpegls_decode(data)
    elif channels == 1:
        out = imagecodecs.jpeg8_decode(data)
    else:  # as they stand in the frame: what they mean is seen from them
        out = imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    rows, cols = (-(-side // 2**halvings) for side in stream.size)
    shape = (rows, cols) if channels == 1 else (rows, cols, channels)
    if out.shape != shape:
        raise ValueError(f"the codec gave {out.shape}, need {shape}")
    return np.asarray(out)


def _jpeg_2000(data: bytes, stream: Codestream, halvings: int) -> Samples:
    """Decode by OpenJPEG: at a lower resolution through Pillow, in full with a copy less.

    Pillow returns the samples shifted up to 8 or 16 bits and made unsigned; both are undone here.
    The tile is set up by hand because Pillow rounds the reduced size to nearest, while the
    standard rounds it up (T.800 equation B-15), which Pillow's decoder then calls broken.
    """
    if not halvings:
        return np.asarray(imagecodecs.jpeg2k_decode(data))
    image: Any = Jpeg2KImageFile(io.BytesIO(data))
    rows, cols = (-(-side // 2**halvings) for side in stream.size)
    codec, _, layers, descriptor, length = image.tile[0][3]
    image._size = (cols, rows)
    arguments = (codec, halvings, layers, descriptor, length)
    image.tile = [ImageFile._Tile("jpeg2k", (0, 0, cols, rows), 0, arguments)]
    ImageFile.ImageFile.load(image)
    shown = np.asarray(image)
    samples = shown >> np.array(8 * shown.itemsize - stream.precision, dtype=shown.dtype)
    if not stream.signed:
        return np.asarray(samples)
    return np.asarray(samples.astype(np.int32) - (1 << stream.precision - 1)).astype(np.int16)


def _rle(data: bytes, size: Size, bytes_per_sample: int, channels: int) -> Samples:
    """RLE Lossless: one segment for each byte of the sample, the highest first (PS3.5 annex G).

    The segments of a channel stand together, so each channel is decoded as a frame of its own.
    """
    count = int.from_bytes(data[:4], "little")
    if len(data) < 64 or count != channels * bytes_per_sample:
        raise ValueError(f"{count} RLE segments, need {channels * bytes_per_sample}")
    if channels == 1:
        return _rle_channel(data, size, bytes_per_sample)
    starts = [*struct.unpack_from(f"<{count}I", data, 4), len(data)]
    parts = []
    for at in range(0, count, bytes_per_sample):
        own = starts[at : at + bytes_per_sample + 1]
        places = [64 + start - own[0] for start in own[:-1]]
        header = struct.pack("<16I", bytes_per_sample, *places, *[0] * (15 - len(places)))
        parts.append(_rle_channel(header + data[own[0] : own[-1]], size, bytes_per_sample))
    return np.stack(parts, axis=2)


def _rle_channel(data: bytes, size: Size, bytes_per_sample: int) -> Samples:
    out: Any = np.empty(size, dtype="<u2" if bytes_per_sample == 2 else "u1")
    decoded = imagecodecs.dicomrle_decode(data, out.dtype.str, out=memoryview(out).cast("B"))
    if len(decoded) != out.nbytes:
        raise ValueError(f"{len(decoded):,} bytes decoded, need {out.nbytes:,}")
    return np.asarray(out)
