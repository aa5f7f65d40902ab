"""How files are written: whole or not at all, and what is done about a full disk.

Whole:   a file is written beside its place, under a name that begins with a dot, and takes its
         place by one rename. A run that is killed leaves the old file or none, and a draft that the
         next writing replaces. So do folders, by two renames, see ``whole_folder``.
Full:    every writer here ends with ``DiskFullError``, one line that says what to do, and leaves no
         draft behind. The ``store`` takes the room for its tables before pixels fill the rest.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fourview.errors import DiskFullError, FourviewError

if TYPE_CHECKING:  # a command's first second is not spent on tables it may not read
    import polars as pl

TABLES = (".parquet", ".csv")  # endings of tables that are written
FULL = (errno.ENOSPC, errno.EDQUOT)
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # as numpy tells it
PART = 1 << 20  # bytes written at a time where the system cannot reserve room by itself


@contextmanager
def whole(
    path: Path, *, beside: Path | None = None, shared: bool = False, synced: bool = False
) -> Iterator[Path]:
    """A draft to write to, which becomes the file ``path`` where the block ends without error.

    Args:
        path: The file; its folder is made.
        beside: Where the draft lies: a folder of the same disk, that of ``path`` by default.
        shared: Whether other processes may write the same file now, so that drafts must not meet.
        synced: Whether the bytes must be on the disk before the file has its name, for writers that
            note down elsewhere that it is done.

    Raises:
        DiskFullError: There is no room; the draft is gone, and an older file stays.
    """
    folder = path.parent if beside is None else beside
    folder.mkdir(parents=True, exist_ok=True)
    who = f".{os.uname().nodename}.{os.getpid()}" if shared else ""
    draft = folder / f".{path.name}{who}.partial"
    with named_if_full(path):
        try:
            draft.touch()
            mode = draft.stat().st_mode & 0o777
            yield draft
            if draft.stat().st_mode & 0o777 != mode:
                draft.chmod(mode)  # safetensors makes its files private
            if synced:
                _sync(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Raises:
        DiskFullError: There is no room for it.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, whole or not at all.

    Raises:
        DiskFullError: There is no room for them.
    """
    with whole(path) as draft:
        draft.write_bytes(data)


def write_table(
    table: "pl.DataFrame", path: Path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a table, whole or not at all: its ending says whether as Parquet or as CSV.

    Args:
        table: Any table.
        path: The file; it ends with one of ``TABLES``.
        metadata: Kept in the header of a Parquet file; a CSV has no place for them.

    Raises:
        FourviewError: Another ending.
        DiskFullError: There is no room for it.
    """
    ending = table_ending(path)
    with whole(path) as draft:
        if ending == ".csv":
            table.write_csv(draft)
        else:
            table.write_parquet(draft, metadata=None if metadata is None else dict(metadata))


def table_ending(path: Path, endings: Sequence[str] = TABLES) -> str:
    """The ending of a table that is to be written, in lower case; checked before any work.

    Args:
        path: The file that was asked for.
        endings: Those that can be written.

    Raises:
        FourviewError: It has another one, or none; or it is a folder.
    """
    ending, example = path.suffix.lower(), path.parent / f"{path.stem or 'scores'}{endings[0]}"
    if path.is_dir():
        inside = path / f"table{endings[0]}"
        raise FourviewError(f"{path}: is a folder; -o needs a file, such as {inside}")
    if ending not in endings:
        wrong = f"'{ending}' is no ending" if ending else "has no ending"
        raise FourviewError(
            f"{path}: {wrong} of a table that can be written; there are: {', '.join(endings)}; "
            f"such as {example}"
        )
    return ending


def copy_file(source: Path, path: Path) -> None:
    """Copy a file's content, whole or not at all.

    Raises:
        DiskFullError: There is no room for it.
    """
    with whole(path) as draft:
        shutil.copyfile(source, draft)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of ``path`` where the block ends without error.

    A folder that is there already is moved aside first, so that a process that is killed between
    the two renames leaves a whole one under the name that ``standing`` knows.

    Raises:
        DiskFullError: There is no room; the draft is gone, and an older folder stays.
    """
    draft, old = path.with_name(f".{path.name}.partial"), _aside(path)
    with named_if_full(path):
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            yield draft
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                path.rename(old)
            draft.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def standing(path: Path, is_whole: Callable[[Path], bool]) -> Path | None:
    """The folder as it was last written; None where there is none yet."""
    return next((folder for folder in (path, _aside(path)) if is_whole(folder)), None)


def is_full(error: Exception) -> bool:
    """Whether the error says that the disk, or the user's share of it, is full."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    text = str(error)
    of_rust = any(f"(os error {number})" in text for number in FULL)  # polars and safetensors
    return of_rust or _SHORT_WRITE.fullmatch(text) is not None


@contextmanager
def named_if_full(path: Path) -> Iterator[None]:
    """Turn a full disk into an error that says what to do.

    Raises:
        DiskFullError: Something inside met a full disk.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError) or not is_full(error):
            raise
        raise DiskFullError(
            f"{path}: no space left on the disk; free some and run the same command again, it "
            "goes on where it was"
        ) from error


@contextmanager
def reserved(path: Path, num_bytes: int) -> Iterator[None]:
    """Keep ``num_bytes`` of the disk in a file at ``path``, and give them back at the end.

    Raises:
        OSError: There is not enough room.
    """
    try:
        take_room(path, num_bytes)
        yield
    finally:
        path.unlink(missing_ok=True)


def take_room(path: Path, num_bytes: int) -> None:
    """Make a file ``num_bytes`` large, all of it with room on the disk; its content stays.

    A file that is mapped into memory needs this first: a full disk would kill the process when a
    page is written.

    Raises:
        OSError: There is not enough room.
    """
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        while file.seek(0, os.SEEK_END) < num_bytes:
            file.write(bytes(min(PART, num_bytes - file.tell())))


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fdatasync(file.fileno())
