"""A list of what is done that survives a crash: one line per entry, only ever added to.

Line: the CRC-32C of the rest in eight hexadecimal digits, a space, and the entry as JSON.
"""

import json
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import google_crc32c

from fourview.disk import is_full

SYNC_EVERY_S = 1.0  # what a power cut may cost; a killed process costs nothing


class Journal:
    """Append entries, read them back; a line that a crash or a disk damaged was never written.

    Use as a context manager while adding.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._synced = 0.0
        self._torn = False  # the last line may have been cut off

    def read(self) -> Iterator[dict[str, Any]]:
        """The entries that are whole, oldest first."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for line in file:
                entry = line[9:-1]
                if line[:9] == _checksum(entry):  # else half a line, or a bit that turned
                    yield json.loads(entry)

    def add(self, entry: dict[str, Any]) -> None:
        """Write an entry out of this process; to the disk once a second.

        A full disk is no error: the entry is dropped, and costs its image only where a later crash
        makes the journal all that is left.
        """
        if self._file is None:
            raise RuntimeError("use the journal in a `with` block to add to it")
        text = json.dumps(entry).encode()
        data = memoryview(b"\n" * self._torn + _checksum(text) + text + b"\n")
        self._torn = True
        try:
            while data:
                data = data[self._file.write(data) :]
            self._torn = False
            if time.monotonic() - self._synced > SYNC_EVERY_S:
                os.fdatasync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            if not is_full(error):
                raise

    def __enter__(self) -> "Journal":
        self._file = self.path.open("ab", buffering=0)
        self._torn = self._file.tell() > 0
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _checksum(entry: bytes) -> bytes:
    return b"%08x " % google_crc32c.value(entry)
