"""The second way to read a header: for files on which the strict walk of ``elements`` gives up.

Order:   a walk that forgives what nothing wanted depends on (private elements and sequences whose
         coding, VR or length is wrong), then pydicom with ``force``. What neither reads stays
         refused, with the words of the strict walk.
Trust:   the limits of the strict walk hold here too; what it calls hostile is never tried again.
"""

import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fourview.dicom import tags
from fourview.dicom.elements import (
    UNDEFINED,
    Elements,
    OverlongElementError,
    PixelElement,
    Source,
    Walker,
    finished,
)
from fourview.dicom.start import VRS, Coding
from fourview.dicom.words import number_of
from fourview.errors import DamagedHeaderError, DicomError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_RESYNC = 1 << 20  # bytes behind a broken element in which the next good one is looked for
MAX_FORCED = 1 << 29  # bytes of a file that pydicom is given
CHAIN = 4  # elements in a row that must be good for a place to be one where elements begin
_PIXELS = (tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS, tags.PIXELS)


def read_again(source: Source, pos: int, coding: Coding, first: DicomError) -> Elements:
    """Read a data set on which the strict walk gave up.

    Args:
        source: The whole file, or the inflated data set.
        pos: Where the data set begins.
        coding: How most of it is coded.
        first: What the strict walk said; raised again where nothing else works.

    Returns:
        The elements; ``oddities`` says what was passed over.
    """
    for read in (_forgiving, _by_pydicom):
        try:
            elements = read(source, pos, coding)
        except DicomError:
            continue
        if is_usable(elements):
            return elements
    raise first


def is_usable(elements: Elements) -> bool:
    """Whether a header was read to its pixels and says how large the image is."""
    return elements.pixels is not None and elements.integer(tags.ROWS) is not None


def _forgiving(source: Source, pos: int, coding: Coding) -> Elements:
    walker = _Forgiving(source, explicit=coding.explicit, little=coding.little)
    elements = Elements(little=coding.little)
    walker.data_set(pos, source.size, 0, elements)
    finished(elements)
    elements.oddities += walker.odd
    return elements


class _Forgiving(Walker):
    """Passes over what is broken where nothing wanted is in it."""

    def __init__(self, source: Source, *, explicit: bool, little: bool) -> None:
        super().__init__(source, explicit=explicit, little=little)
        self.odd: list[str] = []

    def head(self, pos: int) -> tuple[int, str, int, int]:
        """Read a head as the strict walk does; one that is coded the other way is read that way."""
        try:
            head = super().head(pos)
        except DamagedHeaderError:
            other = self._other_way(pos)
            if other is None:
                raise
            return other
        if not self.explicit and head[3] + head[2] > self.source.size and head[2] != UNDEFINED:
            return self._as_explicit(pos) or head
        return head

    def data_set(self, pos: int, end: int, depth: int, into: Elements | None) -> int:
        """Walk as the strict walk does; at the top level, pass over a broken private element."""
        if depth:
            return super().data_set(pos, end, depth, into)
        last, last_pos = 0, pos
        while pos < end:
            before, explicit = pos, self.explicit
            tag = self.tag_at(pos)
            if tag in _PIXELS:
                return super().data_set(pos, end, depth, into)
            try:
                pos = self.one(pos, end, into)
                self.require_rising(tag, pos, end)
            except (DamagedHeaderError, OverlongElementError) as error:
                self.explicit = explicit
                pos = self.behind(((last, last_pos), (tag, before)), end, error)
            last, last_pos = tag, before
        return pos

    def behind(self, places: tuple[tuple[int, int], ...], end: int, error: DicomError) -> int:
        """Where good elements go on behind the first private element of ``places``.

        The one before what cannot be read is tried first: its length may have led astray.
        """
        for tag, pos in places:
            if not _is_private(tag):
                continue
            with suppress(DamagedHeaderError):
                place = self.next_good(pos, tag, end)
                self._tell(f"private element {number_of(tag)} is broken and was passed over")
                return place
        raise error

    def require_rising(self, tag: int, pos: int, end: int) -> None:
        """Refuse a private element whose end is wrong: lower tags follow it, or nothing does."""
        if _is_private(tag) and (pos >= end or self.tag_at(pos) <= tag):
            raise DamagedHeaderError(f"what follows element {number_of(tag)} is before it")

    def one(self, pos: int, end: int, into: Elements | None) -> int:
        """Read the element at ``pos``; returns where the next one is."""
        tag, vr, length, start = self.head(pos)
        if length == UNDEFINED:
            return self.undefined(tag, vr, start, end, 0, into)
        if start + length > end:
            raise DamagedHeaderError(
                f"element {number_of(tag)} claims {length:,} bytes where {end - start:,} are left"
            )
        if into is not None and tag in tags.VR:
            self.value(tag, vr, start, length, 0, into)
        return start + length

    def tag_at(self, pos: int) -> int:
        """The tag of the element at ``pos``; a number above every tag where there is none."""
        head = self.source.read(pos, 4)
        if len(head) < 4:
            return 1 << 32
        group, element = struct.unpack("<HH" if self.little else ">HH", head)
        return int(group << 16 | element)

    def next_good(self, pos: int, tag: int, end: int) -> int:
        """The next place where a row of good elements with higher tags begins."""
        block = self.source.read(pos, min(MAX_RESYNC, end - pos))
        for at in self._candidates(block):
            if self._is_chain(pos + at, tag, end):
                return pos + at
        raise DamagedHeaderError(f"nothing good follows element {number_of(tag)}")

    def _candidates(self, block: bytes) -> Iterator[int]:
        if self.explicit:
            vrs = b"|".join(sorted(VRS))
            yield from (m.start() - 4 for m in re.finditer(vrs, block) if m.start() >= 8)
        else:
            yield from range(2, len(block) - 8, 2)  # all values have even lengths (PS3.5 7.1)

    def _is_chain(self, pos: int, tag: int, end: int) -> bool:
        """Whether CHAIN elements, or all up to the pixels, follow each other from ``pos``."""
        for _ in range(CHAIN):
            if pos >= end or tag in _PIXELS:
                return True
            try:
                next_tag, vr, length, start = Walker.head(self, pos)
            except DamagedHeaderError:
                return False
            if not tag < next_tag <= tags.PIXELS:
                return False
            if length == UNDEFINED:
                return next_tag in _PIXELS or vr in ("", "SQ", "UN")
            if start + length > end and next_tag not in _PIXELS:
                return False
            pos, tag = start + length, next_tag
        return True

    def _other_way(self, pos: int) -> tuple[int, str, int, int] | None:
        """An element of an explicit data set that is coded without VR, or whose VR is none."""
        head = self.source.read(pos, 8)
        if len(head) < 8 or not self.explicit:
            return None
        order = "<" if self.little else ">"
        group, element, vr, short = struct.unpack(order + "HH2sH", head)
        (length,) = struct.unpack(order + "I", head[4:])
        tag = group << 16 | element
        if length == UNDEFINED or pos + 8 + length <= self.source.size:
            self._tell(f"element {number_of(tag)} is coded without VR in an explicit data set")
            return tag, "", length, pos + 8
        is_odd = _is_private(tag) or vr == b"\0\0" or vr.decode("latin_1").isprintable()
        if is_odd and pos + 8 + short <= self.source.size:
            self._tell(f"element {number_of(tag)} has a VR that is none; the dictionary's was used")
            return tag, "", short, pos + 8
        return None

    def _as_explicit(self, pos: int) -> tuple[int, str, int, int] | None:
        """An element of an implicit data set that is coded with a VR."""
        if self.source.read(pos + 4, 2) not in VRS:
            return None
        self.explicit = True
        try:
            head = Walker.head(self, pos)
        finally:
            self.explicit = False
        self._tell(f"element {number_of(head[0])} is coded with a VR in an implicit data set")
        return head

    def _tell(self, text: str) -> None:
        if text not in self.odd and len(self.odd) < 5:
            self.odd.append(text)


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def _by_pydicom(source: Source, pos: int, coding: Coding) -> Elements:
    """What pydicom makes of the data set, as our own elements.

    Raises:
        DamagedHeaderError: It gives up too.
    """
    if source.size - pos > MAX_FORCED:
        raise DamagedHeaderError("too large to be read a second time")
    import pydicom  # noqa: PLC0415 - takes longer than a whole header, and few files need it

    stream: Any = io.BytesIO(source.read(pos, source.size - pos))
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.filereader.read_dataset(
                stream,
                is_implicit_VR=not coding.explicit,
                is_little_endian=coding.little,
                stop_when=lambda tag, _vr, _length: tag in _PIXELS,
            )
            elements = _converted(dataset, little=coding.little)
    except Exception as error:
        raise DamagedHeaderError(f"pydicom cannot read it: {error}") from error
    finally:
        logger.disabled = before
    elements.pixels = _pixels_at(source, pos + stream.tell(), coding)
    finished(elements)
    elements.oddities.append("the header is odd and was read by pydicom")
    return elements


def _converted(dataset: "Dataset", *, little: bool) -> Elements:
    """The wanted elements, raw values re-coded where pydicom has decoded them."""
    elements = Elements(little=little)
    for tag in tags.VR:
        if tag not in dataset:
            continue
        if tag in tags.SEQUENCES:
            items = dataset[tag].value or []
            elements.items[tag] = [_converted(item, little=little) for item in items]
            continue
        raw = dataset.get_item(tag)
        value = raw.value
        if isinstance(value, bytes):
            vr = str(raw.VR or "")
            elements.values[tag] = (tags.VR[tag] if vr in ("", "UN", "None") else vr, value)
    return elements


def _pixels_at(source: Source, pos: int, coding: Coding) -> PixelElement | None:
    """The pixel data element where pydicom stopped."""
    walker = Walker(source, explicit=coding.explicit, little=coding.little)
    try:
        tag, vr, length, start = walker.head(pos)
    except DicomError:
        return None
    if tag not in _PIXELS:
        return None
    return PixelElement(tag, vr or "OW", start, None if length == UNDEFINED else length)


_OTHER_THINGS = re.compile(
    "Institution|Station|Department|Manufacturer|Physician|Operator|Address|Software|Accession|"
    "UID|Device|Model|Scheme|CodeValue|History|Diagnos|Alert|PatientComments|Allerg|Telephone|"
    "Material|Explanation|LUTLabel|ConversionType|Photometric|PatientOrientation|CharacterSet|"
    "PatientID|ID$|IDs$|Contrast|Reason|Version|Time|Date|Filter"
)
_TEXT_VRS = frozenset(("LO", "SH", "ST", "LT", "UT", "UC", "CS"))
_LAST = ("StudyDescription", "RequestedProcedureDescription", "ScheduledProcedureStepDescription")
MAX_TEXT = 4096  # characters of a text in which words are looked for


def other_texts(source: Source, pos: int, coding: Coding) -> list[tuple[str, str]]:
    """Every free text of a header with its attribute's name, what speaks of the study last.

    For files whose own attributes do not tell the view; names, ids and places of people and
    machines are not among them. Empty where pydicom cannot read the header.
    """
    import pydicom  # noqa: PLC0415 - as above

    try:
        stream: Any = io.BytesIO(source.read(pos, min(source.size - pos, MAX_RESYNC)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.filereader.read_dataset(
                stream,
                is_implicit_VR=not coding.explicit,
                is_little_endian=coding.little,
                stop_when=lambda tag, _vr, _length: tag in _PIXELS,
            )
            texts = list(_texts(dataset))
    except Exception:  # noqa: BLE001 - pydicom raises whatever it likes; then there are no more
        return []
    return sorted(texts, key=lambda pair: pair[0] in _LAST)


def _texts(dataset: "Dataset") -> Iterator[tuple[str, str]]:
    known = set(tags.FREE_TEXT)
    for element in dataset.iterall():
        name = element.keyword or f"private element {number_of(element.tag)}"
        value = element.value
        if element.VR == "UN" and element.tag.is_private and isinstance(value, bytes):
            value = value.decode("latin_1").strip(" \0")
            if len(value) > 64 or not value.isascii() or not value.isprintable():
                continue
        elif element.VR not in _TEXT_VRS:
            continue
        if name in known or _OTHER_THINGS.search(name) or not value:
            continue
        parts = [value] if isinstance(value, str) else [str(part) for part in value]
        yield name, " ".join(parts)[:MAX_TEXT]
