"""Where a data set begins in a file and how it is coded, also where the file says so wrongly.

Reads:   the first kilobytes. PS3.10 7.1 asks for 128 bytes, ``DICM`` and the file meta information;
         exports of older systems lack them, have them twice, or have others before them.
Coding:  explicit or implicit VR and the order of bytes are seen from the first elements themselves;
         they win over the transfer syntax, and a note says so.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from fourview.dicom.words import number_of
from fourview.errors import HostileFileError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
MAX_META = 1 << 16  # bytes of one element of the file meta information
HEAD = 4096  # bytes that are read at once, and in which a displaced DICM is looked for
MAX_FIRST = 1 << 20  # bytes of a data set's first element: none is longer

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
VRS = SHORT_VRS | LONG_VRS
_LONG_META = LONG_VRS - {b"SV", b"UV"}

IMPLICIT_META = "the file meta information is coded without VRs"
Read = Callable[[int, int], bytes]  # position, count -> bytes


@dataclass(frozen=True, slots=True)
class Coding:
    """How elements are coded."""

    explicit: bool
    little: bool

    @property
    def name(self) -> str:
        """Its name in the standard."""
        return (
            f"{'Explicit' if self.explicit else 'Implicit'} VR "
            f"{'Little' if self.little else 'Big'} Endian"
        )

    @property
    def syntax(self) -> str:
        """The transfer syntax of plain pixels that has this coding."""
        if not self.little:
            return EXPLICIT_BIG
        return EXPLICIT_LITTLE if self.explicit else IMPLICIT_LITTLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What stands before the data set.

    Attributes:
        pos: Where the data set begins.
        syntax: Transfer Syntax UID; None where missing.
        sop_class: Media Storage SOP Class UID; None where missing.
        sop_instance: Media Storage SOP Instance UID; None where missing.
        notes: What is odd about it.
    """

    pos: int
    syntax: str | None = None
    sop_class: str | None = None
    sop_instance: str | None = None
    notes: tuple[str, ...] = ()


def find_start(read: Read, size: int) -> Start | None:
    """Find the data set of a file; None where nothing in the file looks like one.

    Raises:
        HostileFileError: The file meta information has an element of absurd length.
    """
    head = read(0, HEAD)
    if head[128:132] == b"DICM":
        again = head[260:264] == b"DICM" and head[132:134] != b"\x02\0"
        if not again:
            return _meta(read, 132, ())
        return _meta(read, 264, ("the file has its preamble of 128 bytes and DICM twice",))
    if is_known_otherwise(head):
        return None
    return _displaced(read, head, size) or _without_preamble(read, head, size)


def _displaced(read: Read, head: bytes, size: int) -> Start | None:
    """The data set behind a DICM that stands elsewhere than at byte 128."""
    for match in re.finditer(b"DICM", head):
        pos = match.end()
        if head[pos : pos + 2] in (b"\x02\0", b"\x08\0") and coding_at(read, pos, size):
            note = f"DICM stands at byte {match.start()}, need 128: the preamble is of wrong length"
            return _meta(read, pos, (note,))
    return None


def _without_preamble(read: Read, head: bytes, size: int) -> Start | None:
    """The data set of a file that begins with its meta information, or with the data set itself."""
    if head[:2] in (b"\x02\0", b"\0\x02") and head[2:4] in (b"\0\0", b"\1\0", b"\0\1", b"\2\0"):
        return _meta(read, 0, ("the file has no preamble and no DICM before its meta information",))
    if _begins_a_data_set(read, size):
        note = "the file has no preamble, no DICM and no meta information: a bare data set"
        return Start(pos=0, notes=(note,))
    return None


def coding_at(read: Read, pos: int, size: int) -> Coding | None:
    """How the elements at ``pos`` are coded; None where they look like no elements."""
    head = read(pos, 8)
    if len(head) < 8:
        return None
    little = struct.unpack("<H", head[:2])[0] <= struct.unpack(">H", head[:2])[0]
    order = "<" if little else ">"
    group, element = struct.unpack(order + "HH", head[:4])
    if group > 0x7FE0:
        return None
    if head[4:6] in VRS:
        return Coding(True, little)
    (length,) = struct.unpack(order + "I", head[4:8])
    after = read(pos + 8 + length, 4) if length <= min(MAX_FIRST, size - pos - 8) else b""
    if len(after) < 4:
        return None
    next_tag = struct.unpack(order + "HH", after)
    return Coding(False, little) if (group, element) < next_tag <= (0x7FE0, 0x10) else None


def coding_of_syntax(syntax: str | None) -> Coding:
    """The coding that a transfer syntax has; all that are not listed are explicit and little."""
    return Coding(explicit=syntax != IMPLICIT_LITTLE, little=syntax != EXPLICIT_BIG)


def _begins_a_data_set(read: Read, size: int) -> bool:
    """Whether byte 0 begins a data set without anything before it: group 8, a known element."""
    head = read(0, 6)
    group = (head[:2] in (b"\x08\0", b"\0\x08")) and head[4:6] != b"\0\0"
    if not group and head[:4] not in (b"\x08\0\0\0", b"\x08\0\x01\0", b"\x08\0\x05\0"):
        return False
    return coding_at(read, 0, size) is not None


def _meta(read: Read, pos: int, notes: tuple[str, ...]) -> Start:
    """Walk group 2, which should be explicit little endian; some writers code it in other ways."""
    values: dict[int, str] = {}
    little = read(pos, 2) != b"\0\x02"
    order = "<" if little else ">"
    while len(head := read(pos, 12)) >= 8:
        group, element = struct.unpack_from(order + "HH", head)
        if group != 2:
            break
        if head[4:6] in _LONG_META:
            if len(head) < 12:
                break
            length, start = struct.unpack_from(order + "I", head, 8)[0], pos + 12
        elif head[4:6] in VRS:
            length, start = struct.unpack_from(order + "H", head, 6)[0], pos + 8
        else:
            length, start = struct.unpack_from(order + "I", head, 4)[0], pos + 8
            notes = notes if IMPLICIT_META in notes else (*notes, IMPLICIT_META)
        if length > MAX_META:
            tag = number_of(group << 16 | element)
            raise HostileFileError(f"element {tag} claims {length:,} bytes; refused")
        if element in (0x02, 0x03, 0x10):
            values[element] = read(start, length).decode("ascii", "replace").strip(" \0")
        pos = start + length
    return Start(
        pos=pos,
        syntax=values.get(0x10) or None,
        sop_class=values.get(0x02) or None,
        sop_instance=values.get(0x03) or None,
        notes=notes,
    )


_TABLE = "pictures need a table of patients and views: 'fourview index TABLE --source csv'"
_UNPACK = "unpack it"
_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", f"a PNG picture; {_TABLE}, then 'fourview predict'"),
    (b"\xff\xd8\xff", f"a JPEG picture; {_TABLE}, then 'fourview predict'"),
    (b"\xff\x4f\xff\x51", f"a JPEG 2000 picture; {_TABLE}, then 'fourview predict'"),
    (b"\0\0\0\x0cjP", f"a JPEG 2000 picture; {_TABLE}, then 'fourview predict'"),
    (b"II*\0", f"a TIFF picture; {_TABLE}, then 'fourview predict'"),
    (b"MM\0*", f"a TIFF picture; {_TABLE}, then 'fourview predict'"),
    (b"BM", f"a BMP picture; {_TABLE}, then 'fourview predict'"),
    (b"GIF8", f"a GIF picture; {_TABLE}, then 'fourview predict'"),
    (b"P5", f"a PGM picture; {_TABLE}, then 'fourview predict'"),
    (b"PK\3\4", "a ZIP archive; unpack it, or name it itself to 'fourview read'"),
    (b"PK\5\6", "an empty ZIP archive"),
    (b"\x1f\x8b", f"a gzip archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!", f"a RAR archive; {_UNPACK}"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ\0", f"an xz archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a Zstandard archive; {_UNPACK}"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x5c\x01\0\0", "a NIfTI volume"),
)
_MARKS = re.compile(b"|".join(re.escape(mark) for mark, _ in _KINDS))


def is_known_otherwise(head: bytes) -> bool:
    """Whether a file begins as a picture, an archive or another format that is no DICOM."""
    return _MARKS.match(head) is not None and not head.startswith((b"BM", b"P5"))


def what_it_is(head: bytes) -> str:
    """What a file that is no DICOM is, in words and with what to do, for a message."""
    for mark, what in _KINDS:
        if head.startswith(mark):
            return f"this is {what}"
    if head[257:262] == b"ustar":
        return f"this is a tar archive; {_UNPACK}"
    if not head.strip(b"\0"):
        return "the file is empty" if not head else "the file begins with zeros, so it is not DICOM"
    if not head.translate(None, bytes(range(32, 127)) + b"\t\r\n\x0c"):
        return "this is a text file, no DICOM"
    return "the file has no 'DICM' at byte 128 and begins with no data set, so it is not DICOM"
