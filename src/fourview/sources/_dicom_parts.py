"""Files -> rows of their headers, as Parquet parts in a work folder: flat memory, and resumable.

Part:    the rows of one chunk of files. Its name is a hash of their names, sizes and times, so one
         that exists holds what reading the files again would give. It appears by a rename.
Lost:    where a worker hangs or dies over a chunk, its files are read again one by one, so that
         only the guilty one is left out.
"""

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from fourview import __version__
from fourview.dicom.header import Header
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.dicom.scan import Listed, chunks_below, read_chunk
from fourview.disk import whole
from fourview.entities import IMAGES_SCHEMA, LeftOut
from fourview.entities.reasons import Reason
from fourview.errors import DiskFullError
from fourview.fingerprint import digest_of_text
from fourview.jobs.executor import Executor
from fourview.jobs.schedule import Lost

UNREADABLE = "unreadable"
DISK_IS_FULL = -1  # in place of a number of rows
FILE_TIMEOUT_S = 60.0  # a header takes less than a millisecond; a disk on a network may sleep
CHUNK_TIMEOUT_S = 600.0  # of a whole chunk: where one file hangs, all are read again one by one
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_AGE = re.compile(r"(?P<number>\d{1,4}(?:[.,]\d+)?) ?(?P<unit>[YMWD]?)", re.ASCII)
_EXTRA = {
    "detail": pl.String,  # the reason in left_out as a sentence
    "transfer_syntax": pl.String,
    "view_source": pl.String,
    "model": pl.String,
    "study_date": pl.String,
    "acquired": pl.String,
    "bits": pl.Int32,
    "photometric": pl.String,
    "notes": pl.List(pl.String),
}
PART_SCHEMA = {**IMAGES_SCHEMA, **_EXTRA, "age": pl.Float64}

Progress = Callable[[int, int | None], None]  # files done, and of how many where that is known


class _Chunk(NamedTuple):
    """Files of one part, and the part's name."""

    part: str
    files: tuple[Listed, ...]


def write_parts(
    root: Path,
    folder: Path,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> list[Path]:
    """Write the parts of all files below a folder that are not there yet.

    Args:
        root: The folder with the files.
        folder: The work folder, which exists; it is no part of what is read.
        executor: Where headers are read; None is this process.
        progress: Called with the number of files done, and of how many once that is known.
        pseudonyms: Replaces what tells whose the files are; None keeps it.

    Returns:
        The parts, those that were there among them, in the order of the files. Their columns are
        those of PART_SCHEMA.

    Raises:
        OSError: The work folder's disk is full.
    """
    scan = _Scan(root, folder, progress or (lambda _done, _of: None), pseudonyms)
    lost = scan.write(scan.missing(), executor, CHUNK_TIMEOUT_S)
    for single, why in scan.write(scan.singles([chunk for chunk, _ in lost]), executor):
        scan.leave_out(single, why)
    scan.progress(scan.done, scan.done)
    return [folder / part for parts in scan.order.values() for part in parts]


class _Scan:
    """The state of one ``write_parts``."""

    def __init__(
        self, root: Path, folder: Path, progress: Progress, pseudonyms: Pseudonyms | None
    ) -> None:
        self.pseudonyms = pseudonyms
        self.root = root
        self.folder = folder
        self.progress = progress
        self.order: dict[str, list[str]] = {}  # by chunk: its part, or those of its files
        self.done = 0

    def missing(self) -> Iterator[_Chunk]:
        """The chunks without a part."""
        for files in chunks_below(self.root, skip=[self.folder]):
            chunk = self._chunk(files)
            self.order[chunk.part] = [chunk.part]
            if (self.folder / chunk.part).exists():
                self._tell(len(files))
            else:
                yield chunk

    def singles(self, chunks: Iterable[_Chunk]) -> Iterator[_Chunk]:
        """The files of chunks, each in a chunk of its own, which stand in for the chunk's."""
        for chunk in chunks:
            alone = [self._chunk((file,)) for file in chunk.files]
            self.order[chunk.part] = [single.part for single in alone]
            yield from alone

    def write(
        self,
        chunks: Iterator[_Chunk],
        executor: Executor | None,
        timeout_s: float = FILE_TIMEOUT_S,
    ) -> list[tuple[_Chunk, Lost]]:
        """Write a part for each chunk; returns the chunks that could not be written."""
        task = partial(
            _write_part,
            base=str(self.root),
            folder=str(self.folder),
            pseudonyms=self.pseudonyms,
        )
        outcomes: Iterator[tuple[_Chunk, int | Lost]]
        if executor is None:
            outcomes = ((chunk, task(chunk)) for chunk in chunks)
        else:
            outcomes = executor.run(task, chunks, timeout_s=timeout_s)
        lost = []
        for chunk, outcome in outcomes:
            if outcome == DISK_IS_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
            if isinstance(outcome, Lost):
                lost.append((chunk, outcome))
            else:
                self._tell(outcome)
        return lost

    def leave_out(self, single: _Chunk, why: Lost) -> None:
        """Write the part of a file that takes its worker down."""
        file = _nameable(single.files[0])
        out = LeftOut(path=file.path, reason=Reason(why.reason), detail=why.detail)
        _write(self.folder / single.part, [_unreadable(out)])
        self._tell(1)

    def _chunk(self, files: tuple[Listed, ...]) -> _Chunk:
        whose = "" if self.pseudonyms is None else self.pseudonyms.name("key", "")
        about = repr((__version__, str(self.root.absolute()), files, whose))
        return _Chunk(digest_of_text(about)[:32] + ".parquet", files)

    def _tell(self, count: int) -> None:
        self.done += count
        self.progress(self.done, None)


def _write_part(
    chunk: _Chunk, *, base: str, folder: str, pseudonyms: Pseudonyms | None = None
) -> int:
    """In a worker: read the files of a chunk and write their rows; returns how many there are.

    A full disk is told apart from what a file may do to its worker, and ends the run.
    """
    files = tuple(map(_nameable, chunk.files))
    rows = [
        _unreadable(result) if isinstance(result, LeftOut) else _row(result)
        for result in read_chunk(files, base, pseudonyms=pseudonyms)
    ]
    try:
        _write(Path(folder) / chunk.part, rows)
    except DiskFullError:
        return DISK_IS_FULL
    return len(rows)


def _nameable(item: Listed) -> Listed:
    """The item; a file whose name no table can hold is left out, under a name that one can."""
    path = item.path.encode("utf-8", "backslashreplace").decode()
    if path == item.path:
        return item
    return LeftOut(
        path=path, reason=Reason.UNREACHABLE, detail="its name is not UTF-8; rename the file"
    )


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a part whole or not at all, also where two workers write the same one."""
    columns = {name: [row.get(name) for row in rows] for name in PART_SCHEMA}
    table = pl.DataFrame(columns, schema=PART_SCHEMA)
    with whole(path, shared=True) as draft:
        table.write_parquet(draft, compression="lz4", statistics=False)


def _row(header: Header) -> dict[str, Any]:
    return {
        "patient_id": header.patient_id,
        "exam_id": header.exam_id,
        "image_id": header.image_id,
        "side": header.side,
        "view": header.position,
        "path": header.path,
        "kind": header.kind,
        "modifiers": list(header.modifiers),
        "rows": header.rows or None,
        "cols": header.cols or None,
        "spacing_mm": header.spacing_mm[0] if header.spacing_mm else None,
        "vendor": header.metadata.get("manufacturer"),
        "left_out": header.left_out,
        "detail": header.detail or None,
        "transfer_syntax": header.transfer_syntax,
        "view_source": header.view_source or None,
        "model": header.metadata.get("model"),
        "study_date": header.metadata.get("study_date"),
        "acquired": header.acquired or None,
        "bits": header.bits,
        "photometric": header.metadata.get("photometric"),
        "notes": list(header.notes),
        "age": _age(header.metadata.get("age")),
    }


def _unreadable(out: LeftOut) -> dict[str, Any]:
    return {
        "patient_id": UNREADABLE,
        "exam_id": UNREADABLE,
        "image_id": out.image_id or out.path,
        "path": out.path,
        "left_out": out.reason,
        "detail": out.detail,
    }


def _age(text: str | None) -> float | None:
    """Years from an age string such as 045Y (PS3.5 6.2, AS); None where it is none.

    Also "45", "45,5Y" and "45y", as people type them: an age without a unit is in years.
    """
    match = _AGE.fullmatch((text or "").strip().upper())
    if match is None:
        return None
    years = float(match["number"].replace(",", ".")) * _YEARS[match["unit"] or "Y"]
    return years if years <= 120 else None
