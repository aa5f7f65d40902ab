"""The bytes of the one frame of an image: plain, or joined from its fragments.

References:
    DICOM PS3.5 section 8 (native), annex A.4 (encapsulated; Basic Offset Table), PS3.3 C.7.6.3.1.8
    (Extended Offset Table).
"""

import struct

from fourview.dicom import tags
from fourview.dicom.elements import Elements, PixelElement, Source
from fourview.errors import DamagedPixelsError, HostileFileError

MAX_FRAGMENTS = 65_536  # of one image; scanners write one, some archives one every 64 KB
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD


def native_frame(source: Source, pixels: PixelElement, need: int, notes: list[str]) -> bytes:
    """The ``need`` bytes of a frame that is not compressed.

    Raises:
        DamagedPixelsError: The file or the element has fewer.
    """
    length = pixels.length if pixels.length is not None else 0
    left = min(length, max(source.size - pixels.start, 0))
    if left < need:
        raise DamagedPixelsError(
            f"the pixel data have {left:,} bytes, need {need:,}; fetch the file again"
        )
    if length > need + 1:
        notes.append(f"the pixel data have {length - need:,} bytes more than the image needs")
    return source.read(pixels.start, need)


def encapsulated_frame(
    source: Source, elements: Elements, pixels: PixelElement, notes: list[str]
) -> bytes:
    """The one compressed frame, whichever offset table there is and in however many fragments.

    All fragments belong to the frame, since there is one. The offset tables are only compared
    with that: an Extended Offset Table also tells the length without padding.

    Raises:
        DamagedPixelsError: A fragment is none, or goes beyond the file.
        HostileFileError: There are absurdly many.
    """
    spans, table = _fragments(source, pixels)
    if table is not None and len(table) >= 4:
        offsets = struct.unpack_from(f"<{len(table) // 4}I", table)
        if offsets[0] != 0 or len(offsets) > 1:
            notes.append(
                f"the offset table has {len(offsets)} frames from {offsets[0]}, the header says 1; "
                "all fragments were joined"
            )
    data = b"".join(source.read(start, length) for start, length in spans)
    lengths = elements.integers(tags.OFFSET_LENGTHS)
    if len(lengths) == 1 and len(spans) == 1:
        if not len(data) - 1 <= lengths[0] <= len(data):
            notes.append(
                f"the Extended Offset Table says {lengths[0]:,} bytes, the frame has {len(data):,}"
            )
        else:
            data = data[: lengths[0]]
    if not data:
        raise DamagedPixelsError("the pixel data are empty; fetch the file again")
    return data


def _fragments(source: Source, pixels: PixelElement) -> tuple[list[tuple[int, int]], bytes | None]:
    """Start and length of every fragment, and the Basic Offset Table (None where missing)."""
    spans: list[tuple[int, int]] = []
    pos, table, first = pixels.start, None, True
    while True:
        head = source.read(pos, 8)
        if len(head) < 8:
            raise DamagedPixelsError("the pixel data are cut off; fetch the file again")
        group, element, length = struct.unpack("<HHI", head)
        tag = group << 16 | element
        if tag == _END:
            return spans, table
        if tag != _ITEM:
            raise DamagedPixelsError(
                f"found ({group:04X},{element:04X}) at byte {pos} in place of a fragment; "
                "fetch the file again"
            )
        if pos + 8 + length > source.size:
            raise DamagedPixelsError(
                f"a fragment claims {length:,} bytes where {source.size - pos - 8:,} are left; "
                "the file is cut off, fetch it again"
            )
        if first:
            table = source.read(pos + 8, min(length, 1 << 16))
        elif len(spans) >= MAX_FRAGMENTS:
            raise HostileFileError(f"the image has more than {MAX_FRAGMENTS:,} fragments; refused")
        else:
            spans.append((pos + 8, length))
        first = False
        pos += 8 + length
