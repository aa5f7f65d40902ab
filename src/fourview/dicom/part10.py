"""A file on disk -> its elements, whatever transfer syntax (DICOM PS3.10, PS3.5 annex A)."""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fourview.dicom.elements import Elements, FileSource, MemorySource, Source, name, walk
from fourview.errors import DamagedHeaderError, HostileFileError, NotDicomError

MAX_INFLATED = 320 << 20  # bytes of a deflated data set: the largest image allowed and its header
MAX_META = 1 << 16  # bytes of one element of the file meta information
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

_TRANSFER_SYNTAX = 0x00020010
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
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT"))


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A DICOM file that is open for reading.

    Attributes:
        source: Where the pixel data are read from: the file, or the inflated data set.
        elements: What the header says.
        transfer_syntax: UID of how the data set and its pixels are coded.
        size: Bytes of the file.
        notes: What is odd about the file itself.
    """

    source: Source
    elements: Elements
    transfer_syntax: str
    size: int
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
    start = file.read(0, 132)
    if start[128:132] != b"DICM":
        raise NotDicomError("the file has no 'DICM' at byte 128, so it is not DICOM")
    syntax, pos = _meta(file)
    if syntax is None:
        raise DamagedHeaderError(
            "Transfer Syntax UID (0002,0010) is missing, so the data set cannot be read; "
            "fetch the file again"
        )
    source: Source = file
    if syntax == DEFLATED:
        source, pos = MemorySource(_inflated(file, pos)), 0
    elements = walk(source, pos, explicit=syntax != IMPLICIT_LITTLE, little=syntax != EXPLICIT_BIG)
    return OpenFile(source, elements, syntax, file.size, _preamble_notes(start[:128]))


def _preamble_notes(preamble: bytes) -> tuple[str, ...]:
    """The preamble may make the same file a program; that is told, and never run."""
    for magic, what in _PROGRAMS.items():
        if preamble.startswith(magic):
            return (f"the preamble looks like {what}: do not execute this file",)
    return ()


def _meta(file: FileSource) -> tuple[str | None, int]:
    """Transfer syntax and start of the data set; group 2 is always explicit little endian."""
    syntax, pos = None, 132
    while pos + 8 <= file.size:
        head = file.read(pos, 12)
        group, element = struct.unpack_from("<HH", head)
        if group != 2:
            break
        is_long = head[4:6] in _LONG
        if is_long and len(head) < 12:
            break
        length = struct.unpack_from("<I" if is_long else "<H", head, 8 if is_long else 6)[0]
        start = pos + (12 if is_long else 8)
        tag = group << 16 | element
        if length > MAX_META:
            raise HostileFileError(f"element {name(tag)} claims {length:,} bytes; refused")
        if tag == _TRANSFER_SYNTAX:
            syntax = file.read(start, length).decode("ascii", "replace").strip(" \0")
        pos = start + length
    return syntax, pos


def _inflated(file: FileSource, pos: int) -> bytearray:
    """Inflate the data set piece by piece, never further than the cap (PS3.5 A.5)."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    out = bytearray()
    try:
        while pos < file.size and not inflater.eof:
            piece = file.read(pos, 1 << 16)
            pos += len(piece)
            while piece and not inflater.eof:
                out += inflater.decompress(piece, 1 << 20)
                if len(out) > MAX_INFLATED:
                    raise HostileFileError(
                        f"the data set inflates to more than {MAX_INFLATED >> 20} MB; refused"
                    )
                piece = inflater.unconsumed_tail
        out += inflater.flush()
    except zlib.error as error:
        raise DamagedHeaderError(
            f"the deflated data set cannot be inflated ({error}); fetch the file again"
        ) from error
    return out
