"""Every file below a folder -> its header, as a stream: memory does not grow with the folder.

Order:   by name, folder by folder, so two runs give the same stream with any number of workers.
Skipped: pipes, devices and broken links are listed; a folder that was seen before, under another
         name or through a link to its own parent, is not entered again.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from fourview.dicom.header import Header, header_of
from fourview.dicom.part10 import open_dicom
from fourview.entities import LeftOut
from fourview.errors import (
    DamagedHeaderError,
    DamagedPixelsError,
    DicomError,
    HostileFileError,
    NotDicomError,
    UnsupportedImageError,
)

CHUNK = 64  # files a worker gets at once; large enough to hide what passing them costs
MAX_FOLDERS_DEEP = 64  # folders inside each other
_REASONS: tuple[tuple[type[DicomError], str], ...] = (
    (DamagedHeaderError, "damaged"),
    (DamagedPixelsError, "damaged"),
    (NotDicomError, "not_dicom"),
    (HostileFileError, "hostile"),
    (UnsupportedImageError, "unsupported"),
)


def scan(
    root: Path | str,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    for_processing: bool = False,
) -> Iterator[Header | LeftOut]:
    """Read the headers of all files below a folder, or of one file.

    Args:
        root: A folder or a file. Paths in the results are relative to the folder.
        workers: Processes; 1 stays in this one.
        progress: Called with the number of files that are done, now and then.
        for_processing: Whether images For Processing count as mammograms to read.

    Yields:
        A ``Header`` for what is DICOM, also where it is no mammogram to read (``left_out`` says
        why); a ``LeftOut`` for what cannot be read at all.
    """
    base = str(root)
    done = 0
    for results in _mapped(files_below(root), base, workers, for_processing=for_processing):
        yield from results
        done += len(results)
        if progress is not None:
            progress(done)


def files_below(root: Path | str) -> Iterator[str | LeftOut]:
    """Paths of all regular files below ``root``, relative to it; LeftOut for what is none.

    ``root`` itself, where it is a file, is "".
    """
    base = str(root)
    if not os.path.isdir(base):  # noqa: PTH112 - paths stay strings: a million of them pass here
        yield ""
        return
    yield from _below(base, "", set(), 0)


def left_out_for(error: DicomError, path: str, *, shown: str | None = None) -> LeftOut:
    """What to list for a file that raised ``error``; ``shown`` where it is named differently."""
    reason = next((word for kind, word in _REASONS if isinstance(error, kind)), "unsupported")
    return LeftOut(
        path=path if shown is None else shown,
        reason=reason,
        detail=str(error).removeprefix(f"{path}: "),
    )


def _below(
    base: str, folder: str, seen: set[tuple[int, int]], depth: int
) -> Iterator[str | LeftOut]:
    here = f"{base}/{folder}" if folder else base
    try:
        status = os.stat(here)  # noqa: PTH116 - as above
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            return
        seen.add(identity)
        with os.scandir(here) as entries:
            names = sorted(entry.name for entry in entries)
        trouble = f"it is inside {depth} folders" if depth > MAX_FOLDERS_DEEP else None
    except OSError as error:
        trouble = error.strerror
    if trouble is not None:
        detail = f"the folder cannot be listed: {trouble}"
        yield LeftOut(path=folder, reason="unreachable", detail=detail)
        return
    for name in names:
        path = f"{folder}/{name}" if folder else name
        try:
            mode = os.stat(f"{base}/{path}").st_mode  # noqa: PTH116 - as above
        except OSError as error:
            detail = f"the file cannot be reached: {error.strerror}"
            yield LeftOut(path=path, reason="unreachable", detail=detail)
            continue
        if stat.S_ISDIR(mode):
            yield from _below(base, path, seen, depth + 1)
        elif stat.S_ISREG(mode):
            yield path
        else:
            yield LeftOut(path=path, reason="special", detail="it is a pipe, socket or device")


def _mapped(
    paths: Iterator[str | LeftOut], base: str, workers: int, *, for_processing: bool
) -> Iterator[list[Header | LeftOut]]:
    """Headers chunk by chunk, in order; a few chunks per worker are under way at a time."""
    chunks = iter(lambda: list(islice(paths, CHUNK)), [])
    if workers <= 1:
        for chunk in chunks:
            yield _headers(chunk, base, for_processing=for_processing)
        return
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[list[Header | LeftOut]]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_headers, chunk, base, for_processing=for_processing))
            if len(waiting) > 3 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _headers(
    chunk: list[str | LeftOut], base: str, *, for_processing: bool
) -> list[Header | LeftOut]:
    """One result for each path of a chunk; runs in a worker."""
    results: list[Header | LeftOut] = []
    for path in chunk:
        if isinstance(path, LeftOut):
            results.append(path)
            continue
        full = f"{base}/{path}" if path else base
        shown = path or Path(base).name
        try:
            with open_dicom(full) as file:
                results.append(header_of(file, shown, for_processing=for_processing))
        except DicomError as error:
            results.append(left_out_for(error, full, shown=shown))
    return results
