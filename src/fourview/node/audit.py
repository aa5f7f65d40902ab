"""The audit log: what happened, without saying to whom.

``audit.jsonl`` has one line per event: its number, time, name, the study as the first 12
hexadecimal digits of HMAC-SHA-256 with a key that was made at the first start, titles, counts,
bytes and statuses. No name, id, UID, path or text of a header is in it. An event is noted in the
transaction that it is about and written here afterwards, so none is lost; one that is written
twice, because the node was killed in between, has the same number.
"""

import hashlib
import hmac
import json
import os
import secrets
import sys
from datetime import UTC, datetime
from logging import INFO, LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from fourview.node.journal import Journal

FILE, KEY_FILE = "audit.jsonl", "audit.key"
MAX_BYTES, MAX_FILES = 10_000_000, 10
KEY_BYTES = 32
DIGITS = 12  # of a study's pseudonym


class Audit:
    """Writes a journal's events to the log, and to standard error.

    Args:
        journal: Where events are noted.
        show: Where people read them; None shows nothing.
    """

    def __init__(self, journal: Journal, *, show: TextIO | None = sys.stderr) -> None:
        self.journal = journal
        self.show = show
        self.key = _key(journal.folder / KEY_FILE)
        path = journal.folder / FILE
        path.touch(mode=0o600)
        self._file = _Rotating(
            path, maxBytes=MAX_BYTES, backupCount=MAX_FILES - 1, encoding="utf-8"
        )

    def write(self) -> int:
        """Write the events noted since the last call; returns how many."""
        rows = self.journal.events()
        for row in rows:
            event = {
                "n": row["id"],
                "at": datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="milliseconds"),
                "event": row["what"],
                **({} if row["study"] is None else {"study": self.pseudonym(row["study"])}),
                **json.loads(row["detail"]),
            }
            line = json.dumps(event)
            self._file.emit(LogRecord("node", INFO, "", 0, line, None, None))
            if self.show is not None:
                print(_for_people(event), file=self.show, flush=True)
        if rows:
            self.journal.events_written(rows[-1]["id"])
        return len(rows)

    def pseudonym(self, study: str) -> str:
        """A study as the log names it."""
        return hmac.new(self.key, study.encode(), hashlib.sha256).hexdigest()[:DIGITS]

    def close(self) -> None:
        """Write what is left and close the file."""
        self.write()
        self._file.close()


class _Rotating(RotatingFileHandler):
    """Files that only this user can read, and errors that are not swallowed."""

    def _open(self) -> TextIO:  # type: ignore[override]
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return open(descriptor, "a", encoding="utf-8")  # noqa: PTH123 - of a descriptor

    def handleError(self, record: LogRecord) -> None:  # noqa: ARG002 - of logging
        error = sys.exc_info()[1]
        if error is not None:
            raise error


def _for_people(event: dict[str, object]) -> str:
    facts = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("n", "at", "event"))
    return f"{event['at']} {event['event']} {facts}".rstrip()


def _key(path: Path) -> bytes:
    if not path.exists():
        draft = path.with_name(f".{path.name}.partial")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    return path.read_bytes()
