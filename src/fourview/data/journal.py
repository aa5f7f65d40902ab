"""A list of what is done that survives a crash: one JSON line an entry, only ever added to."""

import json
import os
import time
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Any

SYNC_EVERY_S = 1.0  # what a power cut may cost; a killed process costs nothing


class Journal:
    """Append entries, read them back; a line that a crash cut off is as if never written.

    Use as a context manager while adding.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BufferedWriter | None = None
        self._synced = 0.0

    def read(self) -> Iterator[dict[str, Any]]:
        """The entries that were written whole, oldest first."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    entry = json.loads(line)
                except ValueError:  # half a line, and a later run's line after it
                    continue
                yield entry

    def add(self, entry: dict[str, Any]) -> None:
        """Write an entry out of this process; to the disk once a second."""
        if self._file is None:
            raise RuntimeError("use the journal in a `with` block to add to it")
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            os.fdatasync(self._file.fileno())
            self._synced = time.monotonic()

    def __enter__(self) -> "Journal":
        self._file = self.path.open("ab")
        if self._file.tell():
            self._file.write(b"\n")  # ends a line that a crash may have cut off
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
