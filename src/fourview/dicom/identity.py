"""Whether two files show the same image: their pixels decide, for a UID may name several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fourview.dicom.modality import read_format
from fourview.dicom.part10 import open_dicom
from fourview.dicom.stored import read_stored
from fourview.errors import DicomError
from fourview.fingerprint import digest_of_parts

STRIP = 1 << 20  # bytes hashed at a time


def picture_key(path: Path | str) -> str:
    """What a file shows, as a hash: equal for copies, also those that were compressed losslessly.

    Of pixels that cannot be decoded, or of an object that is no image, the bytes count.
    """
    try:
        with open_dicom(path) as file:
            layout = read_format(file.elements, [])
            values, _ = read_stored(file, layout, None, [])
    except (DicomError, MemoryError):
        return _bytes_key(Path(path))
    shape = repr((values.shape, values.dtype.kind)).encode()
    return digest_of_parts([shape, np.ascontiguousarray(values.astype(np.int32)).tobytes()])


def copies_among(paths: Sequence[Path]) -> list[bool]:
    """Whether each of several files of one UID shows the same as one before it.

    Bytes are compared first; pixels are decoded only where bytes differ.
    """
    by_bytes = [_bytes_key(path) for path in paths]
    by_pixels: dict[str, str] = {}
    if len(set(by_bytes)) > 1:
        by_pixels = {key: picture_key(path) for key, path in zip(by_bytes, paths, strict=True)}
    seen: set[str] = set()
    copies = []
    for key in by_bytes:
        shows = by_pixels.get(key, key)
        copies.append(shows in seen)
        seen.add(shows)
    return copies


def _bytes_key(path: Path) -> str:
    """A hash of a file from its pixels on; of another object, of all of it."""
    try:
        with open_dicom(path) as file:
            pixels = file.elements.pixels
            start = file.pos if pixels is None else pixels.start
            places = range(start, file.source.size, STRIP)
            return digest_of_parts(file.source.read(pos, STRIP) for pos in places)
    except DicomError:
        return "unreadable"  # gone since its header was read: what its UID says holds


def shared_uid_note(image_id: str) -> str:
    """What is said of different images that have one UID."""
    return (
        f"SOP Instance UID {image_id[:70]} is that of several different images: each was kept, "
        "under an id of its own"
    )
