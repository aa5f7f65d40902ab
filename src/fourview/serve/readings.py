"""The journal of a reader study: append-only, and whole after ``kill -9``.

SQLite with a write-ahead log and full synchronisation: a reading that was answered with "taken" is
on the disk. Nothing is changed or deleted (triggers refuse it): a corrected reading is a new row
that names the one it replaces. The same submission sent twice is one row.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fourview.errors import ServeError
from fourview.serve.cohort import ExamId
from fourview.serve.study import Done

SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # 128 n r = 16 MB of memory for each try
LEAST_PIN, MOST_PIN = 4, 64  # characters
JOURNAL, STUDY = "journal.sqlite", "study.json"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pin (reader TEXT PRIMARY KEY, salt BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
    id INTEGER PRIMARY KEY, submission TEXT NOT NULL UNIQUE, reader TEXT NOT NULL,
    arm TEXT NOT NULL, patient_id TEXT NOT NULL, exam_id TEXT NOT NULL, at TEXT NOT NULL,
    answers TEXT NOT NULL, duration_ms REAL, paused_ms REAL, screen TEXT NOT NULL, replaces INTEGER
);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, reading INTEGER NOT NULL, at_ms REAL NOT NULL, what TEXT NOT NULL,
    detail TEXT NOT NULL
);
PRAGMA user_version = 1;
"""
_TABLES = ("pin", "reading", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One answer sheet.

    Attributes:
        submission: Made by the page; the same one is taken once.
        answers: As checked by the study's questions.
        duration_ms: From all views drawn to sent, without pauses; None where it is not known.
        screen: User agent, screen size, device pixel ratio.
        events: (ms, what, detail).
    """

    submission: str
    reader: str
    arm: str
    exam: ExamId
    answers: Mapping[str, Any]
    duration_ms: float | None
    paused_ms: float | None
    screen: Mapping[str, Any]
    events: tuple[tuple[float, str, str], ...] = ()


class Journal:
    """The file of a study's readings.

    Args:
        folder: Of the study's results; made where it is missing.

    Raises:
        ServeError: The file is no journal, or of a newer version.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / JOURNAL
        self._lock = threading.Lock()
        try:
            with self._connected() as connection:
                self._prepare(connection)
        except sqlite3.DatabaseError as error:
            raise ServeError(f"{self.path}: is no journal of readings ({error})") from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > 1:
            raise ServeError(
                f"{self.path}: was written by a newer version ({version}); use that one"
            )
        connection.executescript(_SCHEMA)
        for table in _TABLES:
            for act in ("UPDATE", "DELETE"):
                connection.execute(
                    f"CREATE TRIGGER IF NOT EXISTS {table}_{act} BEFORE {act} ON {table} BEGIN "
                    "SELECT RAISE(ABORT, 'the journal is only added to'); END"
                )

    def check_pin(self, reader: str, pin: str) -> bool:
        """Whether a PIN is the reader's; the first one that is given becomes it.

        Raises:
            ServeError: A first PIN that is too short or too long.
        """
        with self._connected() as connection:
            row = connection.execute("SELECT * FROM pin WHERE reader = ?", (reader,)).fetchone()
            if row is not None:
                return hmac.compare_digest(_scrypt(pin, row["salt"]), row["hash"])
            if not LEAST_PIN <= len(pin) <= MOST_PIN:
                raise ServeError(f"a PIN has {LEAST_PIN} to {MOST_PIN} characters")
            salt = secrets.token_bytes(16)
            connection.execute(
                "INSERT INTO pin VALUES (?, ?, ?)", (reader, salt, _scrypt(pin, salt))
            )
        return True

    def add(self, reading: Reading) -> bool:
        """Take a reading; on the disk when this returns.

        Returns:
            False where the same submission was taken before; nothing is added then.
        """
        with self._connected() as connection:
            known = connection.execute(
                "SELECT 1 FROM reading WHERE submission = ?", (reading.submission,)
            ).fetchone()
            if known is not None:
                return False
            before = connection.execute(
                "SELECT max(id) FROM reading WHERE reader = ? AND arm = ? AND patient_id = ? "
                "AND exam_id = ?",
                (reading.reader, reading.arm, *reading.exam),
            ).fetchone()[0]
            cursor = connection.execute(
                "INSERT INTO reading (submission, reader, arm, patient_id, exam_id, at, answers, "
                "duration_ms, paused_ms, screen, replaces) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(reading.submission, reading.reader, reading.arm, *reading.exam),
                    datetime.now(UTC).isoformat(timespec="milliseconds"),
                    json.dumps(reading.answers, sort_keys=True),
                    *(reading.duration_ms, reading.paused_ms),
                    json.dumps(reading.screen, sort_keys=True),
                    before,
                ),
            )
            connection.executemany(
                "INSERT INTO event (reading, at_ms, what, detail) VALUES (?, ?, ?, ?)",
                [(cursor.lastrowid, *event) for event in reading.events],
            )
        return True

    def has(self, submission: str) -> bool:
        """Whether a submission was taken."""
        with self._connected() as connection:
            query = "SELECT 1 FROM reading WHERE submission = ?"
            return connection.execute(query, (submission,)).fetchone() is not None

    def done(self, reader: str) -> list[Done]:
        """The readings of a reader, one per exam and arm, and when each was first sent."""
        query = (
            "SELECT arm, patient_id, exam_id, min(at) AS at FROM reading WHERE reader = ? "
            "GROUP BY arm, patient_id, exam_id"
        )
        with self._connected() as connection:
            return [
                Done(
                    (row["patient_id"], row["exam_id"]),
                    row["arm"],
                    datetime.fromisoformat(row["at"]),
                )
                for row in connection.execute(query, (reader,))
            ]

    def readings(self) -> list[dict[str, Any]]:
        """All readings that no later one replaces, in the order they were sent."""
        query = (
            "SELECT * FROM reading WHERE id NOT IN "
            "(SELECT replaces FROM reading WHERE replaces IS NOT NULL) ORDER BY id"
        )
        with self._connected() as connection:
            rows = [dict(row) for row in connection.execute(query)]
            for row in rows:
                row["answers"] = json.loads(row["answers"])
                row["screen"] = json.loads(row["screen"])
                events = connection.execute(
                    "SELECT at_ms, what, detail FROM event WHERE reading = ? ORDER BY id",
                    (row["id"],),
                )
                row["events"] = [tuple(event) for event in events]
        return rows

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction, which is on the disk when the block ends."""
        with self._lock:
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if connection.in_transaction:
                    connection.execute("COMMIT")
            finally:
                connection.close()


def _scrypt(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, **SCRYPT)
