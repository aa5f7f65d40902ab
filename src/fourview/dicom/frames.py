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
    spans, table = _fragments(source, pixels, notes)
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


def _fragments(
    source: Source, pixels: PixelElement, notes: list[str]
) -> tuple[list[tuple[int, int]], bytes | None]:
    """Start and length of every fragment, and the Basic Offset Table (None where missing).

    A frame in place of the table, a missing delimiter, and a last fragment that claims a little
    more than there is are only noted: whether the frame is whole is seen from its own end.
    """
    spans: list[tuple[int, int]] = []
    pos, table, first = pixels.start, None, True
    while True:
        head = source.read(pos, 8)
        group, element, length = struct.unpack("<HHI", head) if len(head) == 8 else (0, 0, 0)
        tag = group << 16 | element
        if tag == _END:
            return spans, table
        if tag != _ITEM:
            _require_whole(source, spans, pos, tag if len(head) == 8 else None)
            notes.append("the pixel data have no delimiter at their end")
            return spans, table
        left = source.size - pos - 8
        if length > left:
            if first or not _are_whole(source, [*spans, (pos + 8, left)]):
                raise DamagedPixelsError(
                    f"a fragment claims {length:,} bytes where {left:,} are left; "
                    "the file is cut off, fetch it again"
                )
            notes.append(f"the last fragment claims {length - left:,} bytes more than there are")
            length = left
        is_table = first and source.read(pos + 8, 2) not in (b"\xff\xd8", b"\xff\x4f")
        if is_table:
            table = source.read(pos + 8, min(length, 1 << 16))
        elif len(spans) >= MAX_FRAGMENTS:
            raise HostileFileError(f"the image has more than {MAX_FRAGMENTS:,} fragments; refused")
        else:
            spans.append((pos + 8, length))
        if first and not is_table:
            notes.append("the pixel data have no offset table; their first fragment is a frame")
        first = False
        pos += 8 + length


def _require_whole(source: Source, spans: list[tuple[int, int]], pos: int, tag: int | None) -> None:
    """Pass pixel data that end without their delimiter, if the frame before is whole."""
    if spans and _are_whole(source, spans):
        return
    if tag is None:
        raise DamagedPixelsError("the pixel data are cut off; fetch the file again")
    raise DamagedPixelsError(
        f"found ({tag >> 16:04X},{tag & 0xFFFF:04X}) at byte {pos} in place of a fragment; "
        "fetch the file again"
    )


def _are_whole(source: Source, spans: list[tuple[int, int]]) -> bool:
    """Whether the last bytes of the last fragment have the end marker of a codestream."""
    start, length = spans[-1]
    tail = source.read(max(start, start + length - 64), min(length, 64))
    return b"\xff\xd9" in tail
