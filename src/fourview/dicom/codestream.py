"""What a compressed frame says of itself, checked before any codec allocates for it.

References:
    JPEG: ITU-T T.81 annex B. JPEG-LS: T.87 annex C. JPEG 2000: T.800 annex A; HTJ2K: T.814.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from fourview.dicom.ending import END as _END
from fourview.dicom.ending import ended
from fourview.dicom.markers import require_grid, require_markers
from fourview.errors import DamagedPixelsError, HostileFileError
from fourview.geometry import Size

MAX_WRAPPER = 1 << 16  # bytes before a codestream in which its start is looked for
MAX_TILES = 4096  # tiles of one JPEG 2000 frame; scanners write one, archives some hundred
MAX_BLOCKS = 1 << 20  # code blocks of one frame: 64 megapixels in blocks of 8 x 8
MAX_PACKETS = 1 << 22  # layers x precincts, each of which a decoder keeps a record of
SOI, SOC = b"\xff\xd8", b"\xff\x4f\xff\x51"
# Start of frame; DHT, JPG and DAC lie between these markers. 0xF7 is that of JPEG-LS.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_ALONE = frozenset(range(0xD0, 0xD8)) | {0x01}  # RST0 to RST7 and TEM: no length follows


@dataclass(frozen=True, slots=True)
class Codestream:
    """The facts of one compressed frame.

    Attributes:
        size: Rows and columns.
        components: Samples per pixel.
        precision: Bits of a sample.
        signed: Whether samples are signed (JPEG 2000 only).
        decompositions: How often a JPEG 2000 frame can be halved while decoding.
        reversible: Whether JPEG 2000 used its integer transform, which gives back what went in.
        process: JPEG's frame marker (0xC3 is lossless, 0xF7 JPEG-LS); 0 for JPEG 2000.
        unit: Rows and columns of pixels that JPEG codes together: a block, or the blocks of all
            channels, of which some may be subsampled (T.81 A.2).
    """

    size: Size
    components: int
    precision: int
    signed: bool = False
    decompositions: int = 0
    reversible: bool = True
    process: int = 0
    unit: Size = (8, 8)


def read_codestream(data: bytes) -> Codestream:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 frame.

    Raises:
        DamagedPixelsError: It is none of them, or cut off.
        HostileFileError: Its structure would cost more than any mammogram's.
    """
    try:
        if data.startswith(SOC):
            return _jpeg_2000(data)
        if data.startswith(SOI):
            return _jpeg(data)
    except (struct.error, IndexError) as error:
        raise DamagedPixelsError(
            "the compressed frame is cut off in its header; fetch the file again"
        ) from error
    raise DamagedPixelsError(
        f"the compressed frame starts with {data[:4].hex()}, need ffd8 (JPEG) or ff4fff51 "
        "(JPEG 2000); fetch the file again"
    )


def unwrapped(data: bytes, notes: list[str]) -> bytes:
    """The bare codestream in a frame: JP2 boxes and other bytes before it are taken away.

    DICOM allows no file header in a frame (PS3.5 A.4.4); other readers pass over one. What has no
    codestream in it is returned as it is.
    """
    if data.startswith((SOI, SOC)):
        return data
    if data[4:8] in (b"jP  ", b"jP\x1a\x1a", b"ftyp", b"jp2h", b"jp2c"):
        boxed = _in_boxes(data)
        if boxed is not None:
            notes.append(
                "the frame is a JP2 file, need a bare codestream; its codestream was taken"
            )
            return boxed
    head = data[:MAX_WRAPPER]
    places = [at for mark in (SOI + b"\xff", SOC) if (at := head.find(mark)) >= 0]
    if not places:
        return data
    notes.append(
        f"the codestream begins at byte {min(places)} of its frame; what is before was cut"
    )
    return data[min(places) :]


def _in_boxes(data: bytes) -> bytes | None:
    """The codestream box of a JP2 file (T.800 annex I); None where the boxes lead to none."""
    pos = 0
    while pos + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, pos)
        start = pos + 8
        if length == 1 and pos + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, pos + 8)
            start = pos + 16
        end = len(data) if length == 0 else pos + length
        if kind == b"jp2c":
            return data[start : min(end, len(data))] if data.startswith(SOC, start) else None
        if end <= pos + 7:
            return None
        pos = end
    return None


def whole_stream(
    data: bytes,
    notes: list[str],
    decode: Callable[[bytes], Shaped[np.ndarray, "row col"]] | None = None,
) -> bytes:
    """The codestream without what stands behind its end.

    Archives pad frames with more than the one byte that the standard allows (PS3.5 A.4). A frame
    whose end marker is missing gets one, if it can be shown that nothing else is.

    Args:
        data: The codestream.
        notes: Gets a sentence for what was odd.
        decode: Gives the samples of a JPEG or JPEG-LS frame, for those without an end marker; None
            refuses them.

    Raises:
        DamagedPixelsError: The frame was cut off.
    """
    if _END in data[-64:]:
        return data
    at = data.rfind(_END)
    if at < 0 or data[at + 2 :].strip(data[at + 2 : at + 3]):  # not one byte again and again
        at = data.find(_END, _first_scan(data))
    if at < 0:
        if data.startswith(SOC) and _ends_with_its_tiles(data):
            notes.append("the JPEG 2000 frame has no end marker, and all of its tiles")
            return data + _END
        if data.startswith(SOI) and decode is not None:
            notes.append("the compressed frame has no end marker, and all of its pixels")
            stream = read_codestream(data)
            return ended(data, stream.process, decode, stream.unit)
        raise DamagedPixelsError(
            "the compressed frame has no end marker (ffd9): it is cut off; fetch the file again"
        )
    notes.append(
        f"{len(data) - at - 2:,} bytes behind the end of the compressed frame were cut off"
    )
    return data[: at + 2]


def _first_scan(data: bytes) -> int:
    """Where the coded samples begin: no end marker is looked for in segments before them."""
    if data.startswith(SOC):
        return max(data.find(b"\xff\x93"), 0)  # SOD
    pos = 2
    while pos + 4 <= len(data) and data[pos] == 0xFF:
        marker = data[pos + 1]
        if marker == 0xDA:  # SOS
            break
        if marker == 0xFF or marker in _ALONE:
            pos += 1 if marker == 0xFF else 2
            continue
        pos += 2 + int(struct.unpack_from(">H", data, pos + 2)[0])
    return pos


def _ends_with_its_tiles(data: bytes) -> bool:
    """Whether the lengths of a JPEG 2000 frame's tile parts (Psot) end where the data do."""
    pos = data.find(b"\xff\x90")  # SOT, which every tile part begins with
    while pos >= 0 and pos + 12 <= len(data) and data.startswith(b"\xff\x90", pos):
        (length,) = struct.unpack_from(">I", data, pos + 6)
        if length == 0:  # to the end of the codestream, wherever that is
            return False
        pos += length
    return len(data) - 1 <= pos <= len(data)  # one byte pads a frame of odd length (PS3.5 A.4)


def _jpeg(data: bytes) -> Codestream:
    pos = 2
    while True:
        if data[pos] != 0xFF:
            raise DamagedPixelsError(
                f"byte {pos} of the JPEG frame is {data[pos]:02x} in place of a marker; "
                "fetch the file again"
            )
        marker = data[pos + 1]
        if marker == 0xFF or marker in _ALONE:
            pos += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            raise DamagedPixelsError("the JPEG frame has no header; fetch the file again")
        (length,) = struct.unpack_from(">H", data, pos + 2)
        if marker in _FRAME_MARKERS:
            precision, rows, cols, components = struct.unpack_from(">BHHB", data, pos + 4)
            sampling = [data[pos + 11 + 3 * n] for n in range(components if components > 1 else 0)]
            unit = (
                8 * max((each & 15 for each in sampling), default=1) or 8,
                8 * max((each >> 4 for each in sampling), default=1) or 8,
            )
            return Codestream((rows, cols), components, precision, process=marker, unit=unit)
        pos += 2 + max(length, 2)


def _jpeg_2000(data: bytes) -> Codestream:
    siz = struct.unpack_from(">HH8IH", data, 4)  # SIZ is the first segment (T.800 A.5.1)
    _, _, x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = siz
    depth, dx, dy = struct.unpack_from(">3B", data, 42)  # of the first component
    cols, rows = x1 - x0, y1 - y0
    if min(cols, rows, tile_x, tile_y, dx, dy) < 1 or (dx, dy) != (1, 1):
        raise DamagedPixelsError(
            f"the JPEG 2000 frame has {rows} x {cols} pixels in tiles of {tile_y} x {tile_x}, "
            f"sampled by {dy} x {dx}; need sizes above 0 and no subsampling"
        )
    require_grid((x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0))
    tiles = -(-(x1 - tile_x0) // tile_x) * -(-(y1 - tile_y0) // tile_y)
    if tiles > MAX_TILES:
        raise HostileFileError(f"the JPEG 2000 frame has {tiles:,} tiles; refused")
    require_markers(data, tiles=tiles)
    decompositions, reversible = _coding_style(data, (rows, cols), tiles)
    precision = (depth & 127) + 1  # the top bit of Ssiz says that samples are signed
    return Codestream((rows, cols), components, precision, depth > 127, decompositions, reversible)


def _coding_style(data: bytes, size: Size, tiles: int) -> tuple[int, bool]:
    """Decompositions and kind of transform, from the main header; refuses costly structures."""
    pos = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, pos)
        if marker == 0xFF52:  # COD
            break
        if marker in (0xFF90, 0xFF93, 0xFFD9) or length < 2:
            raise DamagedPixelsError(
                "the JPEG 2000 frame has no coding style (COD); fetch the file again"
            )
        pos += 2 + length
    style, _, layers, _, decompositions, block_x, block_y = struct.unpack_from(
        ">BBHBBBB", data, pos + 4
    )
    if decompositions > 32 or block_x > 8 or block_y > 8:
        raise DamagedPixelsError(
            f"the JPEG 2000 frame has {decompositions} decompositions, blocks of 2^{block_y + 2} x "
            f"2^{block_x + 2}; need at most 32 and 2^10; fetch the file again"
        )
    rows, cols = size
    blocks = max(1, rows >> block_y + 2) * max(1, cols >> block_x + 2)
    precincts = tiles * (decompositions + 1)
    if style & 1:  # sizes of precincts are given, those of the lowest resolution first
        sizes = struct.unpack_from(f">{decompositions + 1}B", data, pos + 14)
        for halvings, code in enumerate(reversed(sizes)):
            across, down = cols >> halvings >> (code & 15), rows >> halvings >> (code >> 4)
            precincts += (across + 1) * (down + 1)
    if blocks > MAX_BLOCKS or precincts * layers > MAX_PACKETS:
        raise HostileFileError(
            f"the JPEG 2000 frame has {blocks:,} blocks and {precincts * layers:,} packets; refused"
        )
    return int(decompositions), data[pos + 13] == 1  # 1 is the reversible 5-3 transform
