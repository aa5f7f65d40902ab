"""The tables of the journal, and how the file is opened: one SQLite file, WAL, synced.

study      one row per study: its state and since when it is quiet
instance   every image that was ever taken; ``file`` is NULL once its pixels are deleted
job        a reading of a study with one input: a set of images, models and kinds of object
result     the objects that a reading gave
delivery   a result and a destination
event      what the audit log is still to be told; written in the transaction that it is about
meta       schema version, and what pulls have seen

Times named ``_at`` are wall clock, for the record. ``quiet_since`` and ``next_try`` are monotonic
seconds of the process that runs; ``Journal.start`` sets them anew.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Any

from fourview.errors import NodeError

FILE = "queue.sqlite"
VERSION = 1
BUSY_S = 30.0
SCHEMA = """
CREATE TABLE study(
    study TEXT PRIMARY KEY, state TEXT NOT NULL, arrived_at REAL NOT NULL,
    quiet_since REAL NOT NULL, settled INTEGER NOT NULL DEFAULT 0, input TEXT,
    interrupted INTEGER NOT NULL DEFAULT 0, ended_at REAL, note TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX study_state ON study(state, interrupted, quiet_since);
CREATE TABLE instance(
    sop TEXT PRIMARY KEY, study TEXT NOT NULL REFERENCES study ON DELETE CASCADE, series TEXT,
    file TEXT, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, sop_class TEXT NOT NULL,
    syntax TEXT NOT NULL, slot TEXT, caller TEXT NOT NULL, arrived_at REAL NOT NULL,
    changed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX instance_study ON instance(study);
CREATE TABLE job(
    study TEXT NOT NULL REFERENCES study ON DELETE CASCADE, input TEXT NOT NULL,
    attempts INTEGER NOT NULL, created_at REAL NOT NULL, started_at REAL NOT NULL, ended_at REAL,
    outcome TEXT, detail TEXT NOT NULL DEFAULT '', PRIMARY KEY(study, input)
) WITHOUT ROWID;
CREATE TABLE result(
    sop TEXT PRIMARY KEY, study TEXT NOT NULL REFERENCES study ON DELETE CASCADE,
    input TEXT NOT NULL, kind TEXT NOT NULL, exam TEXT NOT NULL, file TEXT,
    sop_class TEXT NOT NULL, series TEXT NOT NULL, made_at REAL NOT NULL, supersedes TEXT
) WITHOUT ROWID;
CREATE INDEX result_study ON result(study);
CREATE TABLE delivery(
    sop TEXT NOT NULL REFERENCES result ON DELETE CASCADE, destination TEXT NOT NULL,
    study TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0, waited_s REAL NOT NULL DEFAULT 0,
    made_at REAL NOT NULL, ended_at REAL, status TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '', PRIMARY KEY(sop, destination)
) WITHOUT ROWID;
CREATE INDEX delivery_state ON delivery(state, destination, next_try);
CREATE INDEX delivery_study ON delivery(study);
CREATE TABLE event(
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL, study TEXT,
    detail TEXT NOT NULL
);
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Connections:
    """One connection per thread to the file, which is made with its tables where it is missing.

    Args:
        path: queue.sqlite.
        create: Whether it may be made; else it must be there.

    Raises:
        NodeError: The file is damaged, of a newer version, or not there.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        self._local = local()
        if not create and not path.exists():
            raise NodeError(f"{path}: not there; has 'fourview node' run with these settings?")
        path.touch(mode=0o600)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            # A lock or a full disk is another trouble than a damaged file.
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise
            raise self._damaged(str(error)) from error

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "db", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")
            self._local.db = connection
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed whole at the end of the block, or undone."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _prepare(self) -> None:
        answer = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise self._damaged(answer)
        with self.writing() as db:
            there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
            if there is None:
                for statement in SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        row = self.db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        if row is None or int(row[0]) != VERSION:
            version = "none" if row is None else row[0]
            raise NodeError(
                f"{self.path}: has version {version}, this program reads {VERSION}; use the "
                "program that wrote it, or move the folder away"
            )

    def _damaged(self, answer: str) -> NodeError:
        return NodeError(
            f"{self.path.name}: damaged (sqlite says: {answer}); move {self.path} away and start "
            "again: the files of in/ are taken up again, and are read and sent once more"
        )


class Opened:
    """A journal that is open; what it can do is in ``watching`` and ``journal``.

    Args:
        folder: The spool.
        create: Whether the file may be made.

    Raises:
        NodeError: It is damaged, of another version, or not there.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self._tables = Connections(folder / FILE, create=create)

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection, for reading."""
        return self._tables.db


def tell(db: sqlite3.Connection, what: str, study: str | None, facts: Mapping[str, Any]) -> None:
    """Note an event in the transaction that it is about."""
    db.execute(
        "INSERT INTO event(at, what, study, detail) VALUES (?, ?, ?, ?)",
        (time.time(), what, study, json.dumps(dict(facts))),
    )
