"""Every file below a folder -> its header, as a stream: memory does not grow with the folder.

Order:   by name, folder by folder, so two runs give the same stream with any number of workers.
Chunks:  what a worker gets at once. They end where the files' names say, not after a fixed number:
         a file that comes or goes changes its own chunk, and those of all others stay.
Skipped: pipes, devices and broken links are listed; a folder that was seen before, under another
         name or through a link to its own parent, is not entered again.
"""

import os
import stat
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from fourview.dicom.header import Header, header_of
from fourview.dicom.part10 import open_dicom
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.entities import LeftOut
from fourview.entities.reasons import Reason, reason_of
from fourview.errors import (
    DicomError,
)
from fourview.text import printable

CHUNK_LEAST, CHUNK_MEAN, CHUNK_MOST = 64, 256, 512  # files; enough to hide what passing them costs
MAX_FOLDERS_DEEP = 64  # folders inside each other


class RegularFile(NamedTuple):
    """A regular file.

    Attributes:
        path: Path relative to the folder that is scanned; "" where that is the file itself.
        size: Size in bytes.
        mtime_ns: When it was last written, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


Listed = RegularFile | LeftOut


def scan(
    root: Path | str,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    for_processing: bool = False,
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[Header | LeftOut]:
    """Read the headers of all files below a folder, or of one file.

    Args:
        root: A folder or a file. Paths in the results are relative to the folder.
        workers: Processes; 1 stays in this one.
        progress: Called with the number of files that are done, now and then.
        for_processing: Whether images For Processing count as mammograms to read.
        pseudonyms: Replaces what tells whose the files are; None keeps it.

    Yields:
        A ``Header`` for what is DICOM, also where it is no mammogram to read (``left_out`` says
        why); a ``LeftOut`` for what cannot be read at all.
    """
    done = 0
    read = partial(read_chunk, base=str(root), for_processing=for_processing, pseudonyms=pseudonyms)
    for results in _mapped(chunks_below(root), read, workers):
        yield from results
        done += len(results)
        if progress is not None:
            progress(done)


def files_below(root: Path | str, *, skip: Iterable[Path] = ()) -> Iterator[Listed]:
    """All regular files below ``root``, or ``root`` itself; a ``LeftOut`` for what is no such file.

    Args:
        root: A folder or a file.
        skip: Folders that are not entered; those that do not exist do no harm.
    """
    base = str(root)
    if not os.path.isdir(base):  # noqa: PTH112 - paths stay strings: a million of them pass here
        item = _listed(base, "")
        # Whatever else it is, reading it will tell.
        yield item if isinstance(item, RegularFile) else RegularFile("", 0, 0)
        return
    seen = {(s.st_dev, s.st_ino) for s in (folder.stat() for folder in skip if folder.is_dir())}
    yield from _below(base, "", seen, 0)


def chunks_below(root: Path | str, *, skip: Iterable[Path] = ()) -> Iterator[tuple[Listed, ...]]:
    """What ``files_below`` yields, in chunks of about CHUNK_MEAN files that depend on names only.

    After a file that came or went, the chunks are soon those of the listing without it.
    """
    chunk: list[Listed] = []
    for item in files_below(root, skip=skip):
        chunk.append(item)
        if len(chunk) == CHUNK_MOST or (len(chunk) >= CHUNK_LEAST and _ends_chunk(item.path)):
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


def read_chunk(
    chunk: Sequence[Listed],
    base: str,
    *,
    for_processing: bool = False,
    pseudonyms: Pseudonyms | None = None,
) -> list[Header | LeftOut]:
    """One result for each of the files below ``base``, in their order; none of them raises."""
    results: list[Header | LeftOut] = []
    for item in chunk:
        if isinstance(item, LeftOut):
            results.append(item)
            continue
        full = f"{base}/{item.path}" if item.path else base
        shown = item.path or Path(base).name
        try:
            with open_dicom(full) as file:
                header = header_of(file, shown, for_processing=for_processing)
            results.append(header if pseudonyms is None else pseudonyms.header(header))
        except DicomError as error:
            safe = error if pseudonyms is None else pseudonyms.error(error)
            results.append(left_out_for(safe, full, shown=shown))
    return results


def left_out_for(error: DicomError, path: str, *, shown: str | None = None) -> LeftOut:
    """What to list for a file that raised ``error``; ``shown`` where it is named differently."""
    return LeftOut(
        path=path if shown is None else shown,
        reason=reason_of(error),
        detail=str(error).removeprefix(f"{printable(path)}: "),
    )


def _below(base: str, folder: str, seen: set[tuple[int, int]], depth: int) -> Iterator[Listed]:
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
        yield LeftOut(path=folder, reason=Reason.UNREACHABLE, detail=detail)
        return
    for name in names:
        path = f"{folder}/{name}" if folder else name
        item = _listed(f"{base}/{path}", path)
        if item is None:
            yield from _below(base, path, seen, depth + 1)
        else:
            yield item


def _listed(full: str, path: str) -> Listed | None:
    """What stands at a path; None for a folder."""
    try:
        status = os.stat(full)  # noqa: PTH116 - as above
    except OSError as error:
        detail = f"the file cannot be reached: {error.strerror}"
        return LeftOut(path=path, reason=Reason.UNREACHABLE, detail=detail)
    if stat.S_ISDIR(status.st_mode):
        return None
    if stat.S_ISREG(status.st_mode):
        return RegularFile(path, status.st_size, status.st_mtime_ns)
    return LeftOut(path=path, reason=Reason.SPECIAL, detail="it is a pipe, socket or device")


def _ends_chunk(path: str) -> bool:
    name = path.encode("utf-8", "surrogateescape")
    # After CHUNK_LEAST files any name may end it, so that a chunk has CHUNK_MEAN on average.
    return zlib.crc32(name) % (CHUNK_MEAN - CHUNK_LEAST) == 0


def _mapped(
    chunks: Iterator[tuple[Listed, ...]],
    read: Callable[[Sequence[Listed]], list[Header | LeftOut]],
    workers: int,
) -> Iterator[list[Header | LeftOut]]:
    """Headers chunk by chunk, in order; a few chunks per worker are under way at a time."""
    if workers <= 1:
        for chunk in chunks:
            yield read(chunk)
        return
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[list[Header | LeftOut]]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(read, chunk))
            if len(waiting) > 3 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
