"""Checks of a JPEG 2000 or HTJ2K codestream: marker segments that no encoder writes are refused.

A decoder allocates by what these segments say, and some crash where two of them contradict each
other. A frame of one component needs one coding style and one quantization; segments that change
them for a component or a tile are legal, but no encoder of mammograms writes them.

References:
    ITU-T T.800 annex A (A.4.2 SOT, A.5.1 SIZ, A.6.1 COD, A.6.4 QCD), B.3 (tile grid).
"""

import struct
from collections.abc import Iterator

from fourview.errors import DamagedPixelsError

SOT, SOD, EOC = 0xFF90, 0xFF93, 0xFFD9
COD, COC, QCD, QCC = 0xFF52, 0xFF53, 0xFF5C, 0xFF5D
MAX_BLOCK = 8  # of xcb + ycb, each two more than is written: 4,096 samples per block
_NAMES = {COD: "COD", COC: "COC", QCD: "QCD", QCC: "QCC"}
_WITHOUT_LENGTH = range(0xFF30, 0xFF40)


def require_markers(data: bytes, *, tiles: int) -> None:
    """Refuse a codestream whose headers no encoder writes.

    Args:
        data: The codestream.
        tiles: How many its size segment makes.

    Raises:
        DamagedPixelsError: A segment is missing, double, cut off, or says what cannot be.
        struct.error: The codestream ends within its headers.
    """
    segments: dict[int, bytes] = {}
    pos = 0
    for marker, start, end in _segments(data, 2):
        pos = start - 4
        if marker == SOT:
            break
        if marker in (COC, QCC) or (marker in (COD, QCD) and marker in segments):
            raise _bad(
                f"it has {_article(marker, segments)}, which no encoder writes for one component"
            )
        segments[marker] = data[start:end]
    for marker in (COD, QCD):
        if marker not in segments:
            raise _bad(f"it has no {_NAMES[marker]}")
    decompositions = _require_coding(segments[COD])
    _require_quantization(segments[QCD], decompositions)
    _require_tile_parts(data, pos, tiles)


def require_grid(size: tuple[int, ...]) -> None:
    """Refuse a tile grid that does not reach the image (equations B-3 and B-4).

    Args:
        size: Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz.

    Raises:
        DamagedPixelsError: The first tile holds no pixel.
    """
    _, _, x0, y0, tile_x, tile_y, tile_x0, tile_y0 = size
    if tile_x0 > x0 or tile_y0 > y0 or tile_x0 + tile_x <= x0 or tile_y0 + tile_y <= y0:
        raise _bad(f"its tiles begin at {tile_y0}, {tile_x0} and the image at {y0}, {x0}")


def _segments(data: bytes, pos: int) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the value of each segment, up to the coded samples."""
    while True:
        (marker,) = struct.unpack_from(">H", data, pos)
        if marker in (SOD, EOC):
            return
        if marker in _WITHOUT_LENGTH:
            pos += 2
            continue
        (length,) = struct.unpack_from(">H", data, pos + 2)
        if marker < 0xFF00 or length < 2 or pos + 2 + length > len(data):
            raise _bad(f"its header breaks at byte {pos}")
        yield marker, pos + 4, pos + 2 + length
        pos += 2 + length


def _require_coding(value: bytes) -> int:
    """Check a coding style; returns its number of decompositions."""
    style, order, layers, _, decompositions, block_x, block_y, _, transform = struct.unpack_from(
        ">BBHBBBBBB", value
    )
    if (
        order > 4
        or layers == 0
        or decompositions > 32
        or block_x + block_y > MAX_BLOCK
        or transform > 1
        or len(value) != 10 + (style & 1) * (decompositions + 1)
    ):
        raise _bad(
            f"its coding style has {layers} layers, {decompositions} decompositions, blocks of "
            f"2^{block_y + 2} x 2^{block_x + 2} and transform {transform} in {len(value)} bytes"
        )
    return int(decompositions)


def _require_quantization(value: bytes, decompositions: int) -> None:
    (style,) = struct.unpack_from(">B", value)
    bands = 3 * decompositions + 1
    # Not quantized: a byte per band. Else two bytes for all bands, or two for each (A.6.4).
    need = {0: bands, 1: 2, 2: 2 * bands}.get(style & 31)
    if need is None or len(value) - 1 < need:
        raise _bad(
            f"its quantization of style {style & 31} has {len(value) - 1} bytes for {bands} bands"
        )


def _require_tile_parts(data: bytes, pos: int, tiles: int) -> None:
    """Every tile-part belongs to a tile of the grid and changes no coding."""
    while pos + 12 <= len(data) and struct.unpack_from(">H", data, pos)[0] == SOT:
        length, tile, size = struct.unpack_from(">HHI", data, pos + 2)
        if length != 10 or tile >= tiles:
            raise _bad(f"a tile-part is of tile {tile}, there are {tiles}")
        for marker, _, _ in _segments(data, pos + 12):
            if marker in _NAMES:
                raise _bad(
                    f"a tile-part has a {_NAMES[marker]} of its own, which no encoder writes"
                )
            if marker == SOT:
                raise _bad("a tile-part has no samples")
        if size < 14:
            return  # 0 is to the end of the codestream
        pos += size


def _article(marker: int, segments: dict[int, bytes]) -> str:
    return f"{'a second' if marker in segments else 'a'} {_NAMES[marker]}"


def _bad(what: str) -> DamagedPixelsError:
    return DamagedPixelsError(f"the JPEG 2000 frame cannot be right: {what}; fetch the file again")
