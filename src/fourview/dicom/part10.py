"""A file on disk -> its elements, whatever transfer syntax (DICOM PS3.10, PS3.5 annex A)."""

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fourview.dicom import tags
from fourview.dicom.elements import (
    Elements,
    FileSource,
    MemorySource,
    OverlongElementError,
    Source,
    walk,
)
from fourview.dicom.second import read_again
from fourview.dicom.start import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    HEAD,
    IMPLICIT_LITTLE,
    Coding,
    Start,
    coding_at,
    coding_of_syntax,
    find_start,
    what_it_is,
)
from fourview.errors import DamagedHeaderError, HostileFileError, NotDicomError
from fourview.text import shown

__all__ = [
    "DEFLATED",
    "EXPLICIT_BIG",
    "EXPLICIT_LITTLE",
    "IMPLICIT_LITTLE",
    "OpenFile",
    "open_dicom",
]
MAX_INFLATED = 320 << 20  # bytes of a deflated data set: the largest image allowed and its header
_NATIVE = {
    IMPLICIT_LITTLE: "Implicit VR Little Endian",
    EXPLICIT_LITTLE: "Explicit VR Little Endian",
    EXPLICIT_BIG: "Explicit VR Big Endian",
    DEFLATED: "Deflated Explicit VR Little Endian",
}

_PROGRAMS = {
    b"MZ": "a Windows program",
    b"\x7fELF": "a Linux program",
    b"#!": "a script",
    b"\xfe\xed\xfa": "a macOS program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS or Java program",
    b"<?php": "a script",
}


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A DICOM file that is open for reading.

    Attributes:
        source: Where the pixel data are read from: the file, or the inflated data set.
        elements: What the header says.
        transfer_syntax: UID of how the data set and its pixels are coded, as the data set itself
            shows; "" where the file does not say and the pixels are compressed.
        start: What stands before the data set.
        pos: Where the data set begins in ``source``.
        coding: How its elements are coded.
        size: Bytes of the file.
        notes: What is odd about the file itself.
    """

    source: Source
    elements: Elements
    transfer_syntax: str
    size: int
    start: Start
    pos: int
    coding: Coding
    notes: tuple[str, ...]


@contextmanager
def open_dicom(path: Path | str) -> Iterator[OpenFile]:
    """Open a file and read its header; nothing in the file is executed or followed.

    Raises:
        NotDicomError: No regular file, or not DICOM.
        DamagedHeaderError: The header is cut off or garbled.
        HostileFileError: The header claims what no mammogram has.
    """
    descriptor = _open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        yield _opened(FileSource(descriptor, size))
    finally:
        os.close(descriptor)


def _open_regular(path: Path | str) -> int:
    """Open without waiting for the other end of a pipe, and keep regular files only."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotDicomError(f"the file cannot be opened: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotDicomError("this is a folder, pipe or device, need a DICOM file")
    return descriptor


def _opened(file: FileSource) -> OpenFile:
    head = file.read(0, HEAD)

    def read(pos: int, count: int) -> bytes:
        return head[pos : pos + count] if pos + count <= len(head) else file.read(pos, count)

    start = find_start(read, file.size)
    if start is None:
        raise NotDicomError(what_it_is(head))
    seen = coding_at(read, start.pos, file.size)
    source, pos, expected, notes = _data_set(file, start, seen)
    coding = expected
    if source is not file:
        seen = coding_at(source.read, pos, source.size)
    if seen is not None and seen != expected:
        coding = seen
        if start.syntax is not None:
            said = _NATIVE.get(start.syntax, expected.name)
            notes += (f"Transfer Syntax UID says {said}, the data set is coded {seen.name}",)
    elements = _elements(source, pos, coding, start)
    syntax = start.syntax
    if syntax is None or (syntax in _NATIVE and (syntax != DEFLATED or source is file)):
        syntax = coding.syntax
        if elements.pixels is not None and elements.pixels.length is None and not start.syntax:
            syntax = ""
    if not start.syntax:
        notes += (f"Transfer Syntax UID is missing; the data set is coded {coding.name}",)
    program = _preamble_notes(head[:128])
    notes = (*program, *start.notes, *notes)
    return OpenFile(source, elements, syntax, file.size, start, pos, coding, notes)


def _data_set(
    file: FileSource, start: Start, seen: Coding | None
) -> tuple[Source, int, Coding, tuple[str, ...]]:
    """Where the data set is read from: the file, or memory where it is deflated."""
    coding = coding_of_syntax(start.syntax)
    if start.syntax == DEFLATED:
        try:
            return MemorySource(_inflated(file, start.pos)), 0, coding, _wrapping(file, start.pos)
        except DamagedHeaderError:
            if seen is None:
                raise
            note = f"Transfer Syntax UID says {_NATIVE[DEFLATED]}, the data set is not deflated"
            return file, start.pos, seen, (note,)
    if seen is None and (start.syntax is None or start.syntax in _NATIVE):
        try:
            inner = MemorySource(_inflated(file, start.pos))
        except DamagedHeaderError:
            return file, start.pos, coding, ()
        if coding_at(inner.read, 0, inner.size) is not None:
            said = _NATIVE[start.syntax] if start.syntax else "nothing"
            note = f"Transfer Syntax UID says {said}, the data set is deflated"
            return inner, 0, Coding(True, True), (note,)
    return file, start.pos, coding, ()


def _elements(source: Source, pos: int, coding: Coding, start: Start) -> Elements:
    """The elements of the data set; a second reader takes over where the first gives up.

    Raises:
        DamagedHeaderError: Neither can read it.
    """
    try:
        elements = walk(source, pos, explicit=coding.explicit, little=coding.little)
    except (DamagedHeaderError, OverlongElementError) as error:
        return read_again(source, pos, coding, error)
    is_known = elements.text(tags.SOP_CLASS) is not None or start.sop_class is not None
    if elements.pixels is not None or is_known:
        return elements
    missing = DamagedHeaderError(
        "the header ends without SOP Class UID (0008,0016) and without pixels: it is cut off or "
        f"garbled (transfer syntax: {shown(start.syntax or 'missing')})"
    )
    return read_again(source, pos, coding, missing)


def _preamble_notes(preamble: bytes) -> tuple[str, ...]:
    """The preamble may make the same file a program; a note says so, and it is never run."""
    for magic, what in _PROGRAMS.items():
        if preamble.startswith(magic):
            return (f"the preamble looks like {what}: do not execute this file",)
    return ()


def _wrapping(file: FileSource, pos: int) -> tuple[str, ...]:
    """A note where a deflated data set has the header of zlib or gzip before it."""
    head = file.read(pos, 2)  # zlib's two bytes are a multiple of 31 (RFC 1950)
    if head == b"\x1f\x8b" or (head[:1] == b"x" and int.from_bytes(head) % 31 == 0):
        return ("the deflated data set has a header of zlib or gzip, which DICOM does not",)
    return ()


def _inflated(file: FileSource, pos: int) -> bytearray:
    """Inflate the data set part by part, never further than the cap (PS3.5 A.5).

    The standard's stream is bare; one with a header of zlib or gzip is taken too.
    """
    wrapped = bool(_wrapping(file, pos))
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32 if wrapped else -zlib.MAX_WBITS)
    out = bytearray()
    try:
        while pos < file.size and not inflater.eof:
            part = file.read(pos, 1 << 16)
            pos += len(part)
            while part and not inflater.eof:
                out += inflater.decompress(part, 1 << 20)
                if len(out) > MAX_INFLATED:
                    raise HostileFileError(
                        f"the data set inflates to more than {MAX_INFLATED >> 20} MB; refused"
                    )
                part = inflater.unconsumed_tail
        out += inflater.flush()
    except zlib.error as error:
        raise DamagedHeaderError(
            f"the deflated data set cannot be inflated ({error}); fetch the file again"
        ) from error
    return out
