"""What to do about a full disk: room for the tables is taken before the pixels fill the rest."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from fourview.errors import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
PIECE = 1 << 20  # bytes written at a time where the system cannot reserve room by itself


def is_full(error: Exception) -> bool:
    """Whether it says that the disk, or one's share of it, is used up."""
    if isinstance(error, OSError):
        return error.errno in FULL
    return any(f"(os error {number})" in str(error) for number in FULL)  # as polars tells it


@contextmanager
def named_if_full(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error that says what to do.

    Raises:
        StoreError: Something inside met a full disk.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        if not is_full(error):
            raise
        raise StoreError(
            f"{folder}: no space left on the disk; free some and run the same command again, it "
            "goes on where it was"
        ) from error


@contextmanager
def reserved(path: Path, num_bytes: int) -> Iterator[None]:
    """Keep ``num_bytes`` of the disk in a file at ``path``, and give them back at the end.

    Raises:
        OSError: There is not so much room.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            else:
                for _ in range(-(-num_bytes // PIECE)):
                    file.write(bytes(PIECE))
        yield
    finally:
        path.unlink(missing_ok=True)
