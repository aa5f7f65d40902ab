"""Data elements, walked without trust: nothing is allocated because a length field says so.

Reads:   one data set up to its pixel data, in blocks of a few kilobytes.
Returns: ``Elements``: raw values of the wanted tags, text and numbers on demand.
Why not pydicom: it follows any length and any depth of nesting, and takes more than twice as long
         for a header of 100 elements (`python -m benchmarks header`: 2.3 times).

References:
    DICOM PS3.5: 6.2 (value representations), 7.1 (elements), 7.5 (sequences).
"""

import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from fourview.dicom import tags
from fourview.dicom.numbers import read_decimals
from fourview.dicom.words import name_of
from fourview.dicom.words import number_of as name
from fourview.errors import DamagedHeaderError, HostileFileError, NotDicomError
from fourview.text import shown

MAX_DEPTH = 32  # sequences inside each other; structured reports, the deepest, stay below 20
MAX_ELEMENTS = 200_000  # walked in one file; a tomosynthesis header has some 20,000
MAX_VALUE = 1 << 20  # bytes of one wanted value; the largest, a VOI LUT, has 131,072
MAX_INTEGER = 1 << 32  # of what is wanted here; an IS ends at 2**31 (PS3.5 6.2)
BLOCK = 1 << 14  # bytes read at once
UNDEFINED = 0xFFFFFFFF

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_TAGS = (tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS, tags.PIXELS)
_USUAL = {"": "latin_1", "ISO_IR 6": "latin_1", "ISO_IR 100": "latin_1", "ISO_IR 192": "utf-8"}
_FREE = frozenset(tags.FREE_TEXT.values())
_SHORT = {
    vr: vr.decode()
    for vr in b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
}
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "OV": "Q"}


class OverlongElementError(HostileFileError):
    """An element claims far more bytes than there are."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """An open regular file."""

    descriptor: int
    size: int

    def read(self, pos: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``pos``; fewer only at the end."""
        try:
            return os.pread(self.descriptor, count, pos)
        except OSError as error:
            raise NotDicomError(f"the file cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Bytes in memory: a data set that was inflated."""

    data: bytes | bytearray

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read(self, pos: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``pos``; fewer only at the end."""
        return bytes(self.data[pos : pos + count])


Source = FileSource | MemorySource


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data are: tag, VR, position of the value; length None where encapsulated."""

    tag: int
    vr: str
    start: int
    length: int | None


@dataclass(slots=True)
class Elements:
    """The wanted elements of a data set or of an item of a sequence.

    Attributes:
        little: Whether numbers are little endian.
        values: VR and raw bytes, by tag.
        items: The items of the wanted sequences, by tag.
        pixels: Where the pixel data start; None where there are none.
        encoding: Python codec of the text.
        oddities: Sentences on values that are not written as the standard asks; filled as values
            are asked for, and one list for an element and all items below it.
    """

    little: bool = True
    values: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    items: dict[int, "list[Elements]"] = field(default_factory=dict)
    pixels: PixelElement | None = None
    encoding: str = "latin_1"
    oddities: list[str] = field(default_factory=list)

    def texts(self, tag: int) -> tuple[str, ...]:
        """The values of a text element, trimmed; () where it is absent or all are empty."""
        value = self.values.get(tag)
        if value is None:
            return ()
        parts = tuple(part.strip(" \0") for part in self._decoded(value[1]).split("\\"))
        return parts if any(parts) else ()

    def text(self, tag: int) -> str | None:
        """The first value of a text element; None where it is absent or empty."""
        value = self.values.get(tag)
        if value is None:
            return None
        return self._decoded(value[1]).partition("\\")[0].strip(" \0") or None

    def numbers(self, tag: int) -> tuple[float, ...]:
        """The values of DS, IS or a binary element as floats; () where absent or not numbers.

        What is no number as the standard writes one gets a sentence in ``oddities``.
        """
        vr, raw = self.values.get(tag, ("", b""))
        if vr in _NUMBERS:
            return tuple(float(value) for value in self._unpacked(vr, raw))
        try:
            return tuple(_number(part) for part in self.texts(tag) if part)
        except ValueError:
            return self._repaired(tag)

    def integers(self, tag: int, *, signed: bool | None = None) -> tuple[int, ...]:
        """The values of an integer element; () where it is absent or holds no integers.

        Args:
            tag: The element.
            signed: Whether 16-bit words are signed, whatever the VR says; None keeps to the VR.
        """
        vr, raw = self.values.get(tag, ("", b""))
        if vr in ("US", "SS", "OW", "xs") and signed is not None:
            vr = "SS" if signed else "US"
        if vr == "xs":
            vr = "US"
        if vr in _NUMBERS and vr not in ("FL", "FD"):
            values = self._unpacked(vr, raw)
        else:
            try:
                values = tuple(int(_number(part)) for part in self.texts(tag) if part)
            except OverflowError:
                return ()
            except ValueError:
                values = tuple(int(value) for value in self._repaired(tag) if math.isfinite(value))
        return values if all(abs(value) < MAX_INTEGER for value in values) else ()

    def integer(self, tag: int, *, signed: bool | None = None) -> int | None:
        """The first value of an integer element; None where absent or not an integer."""
        values = self.integers(tag, signed=signed)
        return values[0] if values else None

    def number(self, tag: int) -> float | None:
        """The first value of a numeric element; None where absent or not a number."""
        values = self.numbers(tag)
        return values[0] if values else None

    def _repaired(self, tag: int) -> tuple[float, ...]:
        """Numbers that are written with a comma or otherwise wrong, with a sentence on it."""
        parts = self.texts(tag)
        values, is_whole = read_decimals(parts)
        read = "\\".join(f"{value:g}" for value in values)
        said = f"{name_of(tag)} is '{shown(chr(92).join(parts))}'"
        if is_whole:
            text = f"{said}: no number has a comma or blank in it; read as {read}"
        else:
            text = f"{said}, which is no number; " + (f"read as {read}" if read else "unknown")
        if text not in self.oddities:
            self.oddities.append(text)
        return values

    def _decoded(self, raw: bytes) -> str:
        return raw.decode("ascii" if raw.isascii() else self.encoding, errors="replace")

    def _unpacked(self, vr: str, raw: bytes) -> tuple[int, ...]:
        code = _NUMBERS[vr]
        count = len(raw) // struct.calcsize("=" + code)
        return struct.unpack_from(f"{'<' if self.little else '>'}{count}{code}", raw)


def _number(text: str) -> float:
    """A decimal or integer string; Python alone would take other scripts' digits and 1_000.

    Raises:
        ValueError: It is none.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def walk(source: Source, start: int, *, explicit: bool, little: bool) -> Elements:
    """Read the wanted elements of a data set up to its pixel data.

    Args:
        source: The whole file, or the inflated data set.
        start: Where the data set begins in it.
        explicit: Whether every element names its VR.
        little: Whether numbers are little endian.

    Raises:
        DamagedHeaderError: An element goes beyond the end, or is none.
        HostileFileError: Sequences too deep, too many elements, or a length no header has.
    """
    elements = Elements(little=little)
    Walker(source, explicit=explicit, little=little).data_set(start, source.size, 0, elements)
    return finished(elements)


def finished(elements: Elements) -> Elements:
    """The same elements; their texts are now decoded by the character set that they name."""
    charset = elements.text(tags.CHARACTER_SET) or ""
    _share(elements, _codec(charset), elements.oddities)
    return elements


def _codec(charset: str) -> str:
    """Python's name of a character set; the usual ones need no table, the others are pydicom's."""
    if charset in _USUAL:
        return _USUAL[charset]
    from pydicom.charset import python_encoding  # noqa: PLC0415 - takes longer than a whole header

    codec = python_encoding.get(charset, "latin_1")
    return "latin_1" if codec == "iso8859" else codec


def _share(elements: Elements, encoding: str, oddities: list[str]) -> None:
    """Give an element and all items below it their text codec and the one list of oddities."""
    elements.encoding, elements.oddities = encoding, oddities
    for items in elements.items.values():
        for item in items:
            _share(item, encoding, oddities)


class Walker:
    """A position in a source, and how its elements are coded."""

    def __init__(self, source: Source, *, explicit: bool, little: bool) -> None:
        self.source = source
        self.explicit = explicit
        self.little = little
        order = "<" if little else ">"
        # group, element, VR and short length in one go: this runs for every element
        self.start: Callable[..., tuple[int, int, bytes, int]] = struct.Struct(
            order + "HH2sH"
        ).unpack_from
        self.long: Callable[..., tuple[int]] = struct.Struct(order + "I").unpack_from
        self.block = b""
        self.base = 0
        self.count = 0

    def head(self, pos: int) -> tuple[int, str, int, int]:
        """Tag, VR ("" for none), length and start of the value of the element at ``pos``."""
        at = pos - self.base
        if at < 0 or at + 12 > len(self.block):  # the longest head (PS3.5 7.1.2)
            self.block, self.base, at = self.source.read(pos, BLOCK), pos, 0
        block = self.block
        if at + 8 > len(block):
            raise DamagedHeaderError(
                f"the header is cut off at byte {pos}, in the middle of an element; "
                "fetch the file again"
            )
        self.count += 1
        if self.count > MAX_ELEMENTS:
            raise HostileFileError(f"the header has more than {MAX_ELEMENTS:,} elements; refused")
        group, element, vr, length = self.start(block, at)
        number = group << 16 | element
        if group == 0xFFFE or not self.explicit:
            return number, "", self.long(block, at + 4)[0], pos + 8
        word = _SHORT.get(vr)
        if word is not None:
            return number, word, length, pos + 8
        if not (vr.isalpha() and vr.isupper()) or at + 12 > len(block):
            raise DamagedHeaderError(
                f"element {name(number)} at byte {pos} has the VR {vr!r}, which is none; "
                "the header is damaged, fetch the file again"
            )
        return number, vr.decode("ascii"), self.long(block, at + 8)[0], pos + 12

    def data_set(self, pos: int, end: int, depth: int, into: Elements | None) -> int:
        """Walk elements from ``pos`` to ``end`` or an item's delimiter; returns the end."""
        if depth > MAX_DEPTH:
            raise HostileFileError(f"sequences are nested deeper than {MAX_DEPTH}; refused")
        while pos < end:
            tag, vr, length, start = self.head(pos)
            if tag == _ITEM_END:
                return start
            if depth == 0 and tag in _PIXEL_TAGS:
                if into is not None:
                    known = None if length == UNDEFINED else length
                    into.pixels = PixelElement(tag, vr or "OW", start, known)
                return start
            if length == UNDEFINED:
                pos = self.undefined(tag, vr, start, end, depth, into)
            elif start + length > end:
                raise _beyond(tag, length, end - start)
            else:
                if into is not None and tag in tags.VR:
                    self.value(tag, vr, start, length, depth, into)
                pos = start + length
        return pos

    def value(self, tag: int, vr: str, start: int, length: int, depth: int, into: Elements) -> None:
        """Keep one wanted value of known length."""
        if tag in tags.SEQUENCES:
            into.items[tag] = []
            self.sequence(start, start + length, depth, into.items[tag])
            return
        if length > MAX_VALUE and tag in _FREE:  # words are looked for in it, and nothing needs it
            return
        if length > MAX_VALUE:
            raise HostileFileError(
                f"element {name(tag)} has {length:,} bytes, more than {MAX_VALUE:,}; refused"
            )
        at = start - self.base
        if at + length <= len(self.block):
            raw = self.block[at : at + length]
        else:
            raw = self.source.read(start, length)
        into.values[tag] = (tags.VR[tag] if vr in ("", "UN") else vr, raw)

    def undefined(
        self, tag: int, vr: str, start: int, end: int, depth: int, into: Elements | None
    ) -> int:
        """Walk a value without length: a sequence, or the fragments of an icon's pixel data."""
        if vr in ("OB", "OW"):
            return self.fragments(start, end)
        if vr not in ("", "SQ", "UN"):
            raise DamagedHeaderError(
                f"element {name(tag)} of VR {vr} has no length; the header is damaged, "
                "fetch the file again"
            )
        items: list[Elements] | None = None
        if into is not None and tag in tags.SEQUENCES:
            items = into.items[tag] = []
        if vr != "UN":
            return self.sequence(start, end, depth, items)
        coding, self.explicit = self.explicit, False  # PS3.5 6.2.2: implicit inside
        pos = self.sequence(start, end, depth, items)
        self.explicit = coding
        return pos

    def sequence(self, pos: int, end: int, depth: int, items: list[Elements] | None) -> int:
        """Walk the items of a sequence to ``end`` or its delimiter; returns the end."""
        while pos < end:
            tag, _, length, start = self.head(pos)
            if tag == _SEQUENCE_END:
                return start
            if tag != _ITEM:
                raise DamagedHeaderError(
                    f"found {name(tag)} at byte {pos} in place of an item of a sequence; "
                    "the header is damaged, fetch the file again"
                )
            item = None
            if items is not None:
                item = Elements(little=self.little)
                items.append(item)
            if length == UNDEFINED:
                pos = self.data_set(start, end, depth + 1, item)
                continue
            if start + length > end:
                raise _beyond(tag, length, end - start)
            if item is not None:
                self.data_set(start, start + length, depth + 1, item)
            pos = start + length
        return pos

    def fragments(self, pos: int, end: int) -> int:
        """Skip fragments up to their delimiter; returns the position behind it."""
        while pos < end:
            tag, _, length, start = self.head(pos)
            if tag == _SEQUENCE_END:
                return start
            if tag != _ITEM or start + length > end:
                raise _beyond(tag, length, end - start)
            pos = start + length
        return pos


def _beyond(tag: int, length: int, left: int) -> DamagedHeaderError | OverlongElementError:
    """An element is longer than what is left of its item or of the file."""
    claim = f"element {name(tag)} claims {length:,} bytes where {max(left, 0):,} are left"
    if length > 1 << 26:
        return OverlongElementError(f"{claim}; refused")
    return DamagedHeaderError(f"{claim}; the header is cut off or damaged, fetch the file again")
