"""The node's memory: what came, what was read, what was sent. No other file has SQL.

Every change is one transaction that is on the disk when the call returns; so a node that is killed
at any moment goes on with what its senders were told. Files are written before the rows that name
them and deleted after. States of a study: receiving, waiting, reading, done, ignored, failed; of a
delivery: waiting, sending, sent, failed.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Any

from fourview.errors import NodeError
from fourview.fingerprint import digest_of_text
from fourview.node.tables import Connections

FILE = "queue.sqlite"
_UNREAD = "('receiving', 'waiting')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An image that is on the disk, to be noted down.

    Attributes:
        file: Below the spool.
        slot: Its standard view, such as R-CC; None where it has none.
        caller: AE title of who sent it, or name of the pull.
        is_open: Whether the association that delivered it is still open.
    """

    sop: str
    study: str
    series: str | None
    file: str
    sha256: str
    bytes: int
    sop_class: str
    syntax: str
    slot: str | None
    caller: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object that a reading gave; ``file`` is below the spool, ``exam`` tells patients apart."""

    sop: str
    kind: str
    exam: str
    file: str
    sop_class: str
    series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A result to be sent to one destination."""

    sop: str
    study: str
    destination: str
    file: str
    sop_class: str
    attempts: int
    waited_s: float


class Journal:
    """See the module docstring; calls may come from any thread.

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
    def db(self) -> Connection:
        """This thread's connection, for reading."""
        return self._tables.db

    # --- start ---------------------------------------------------------------------------------
    def start(self, now: float) -> int:
        """Take up what a process before left unfinished; returns how many readings it cut off."""
        with self._tables.writing() as db:
            cut = db.execute(
                "UPDATE study SET state = 'waiting', interrupted = interrupted + 1 "
                "WHERE state = 'reading'"
            ).rowcount
            db.execute(
                "UPDATE study SET state = 'waiting', quiet_since = ?, settled = 0 "
                f"WHERE state IN {_UNREAD}",
                (now,),
            )
            db.execute("UPDATE delivery SET state = 'waiting' WHERE state = 'sending'")
            db.execute("UPDATE delivery SET next_try = 0 WHERE state = 'waiting'")
        return cut

    def known_files(self) -> dict[str, str | None]:
        """The file of every image by its SOP instance; None where its pixels were deleted."""
        return dict(self.db.execute("SELECT sop, file FROM instance").fetchall())

    def result_files(self) -> set[str]:
        """All files of results."""
        return {row[0] for row in self.db.execute("SELECT file FROM result WHERE file NOT NULL")}

    # --- receiving -----------------------------------------------------------------------------
    def instance(self, sop: str) -> Row | None:
        """What is known of an image."""
        found: Row | None = self.db.execute(
            "SELECT * FROM instance WHERE sop = ?", (sop,)
        ).fetchone()
        return found

    def is_result(self, sop: str) -> bool:
        """Whether an object is one of ours, come back."""
        return self.db.execute("SELECT 1 FROM result WHERE sop = ?", (sop,)).fetchone() is not None

    def add(self, new: Arrival, now: float, **facts: Any) -> None:
        """Note an image, or a changed one in the place of its older self; its study waits again."""
        at = time.time()
        with self._tables.writing() as db:
            before = db.execute(
                "SELECT sha256, changed FROM instance WHERE sop = ?", (new.sop,)
            ).fetchone()
            is_other = before is not None and before["sha256"] != new.sha256
            state = "receiving" if new.is_open else "waiting"
            db.execute(
                "INSERT INTO study(study, state, arrived_at, quiet_since) VALUES (?, ?, ?, ?) "
                "ON CONFLICT(study) DO UPDATE SET state = excluded.state, settled = 0, "
                "arrived_at = excluded.arrived_at, quiet_since = excluded.quiet_since",
                (new.study, state, at, now),
            )
            values = (new.sop, new.study, new.series, new.file, new.sha256, new.bytes)
            more = (new.sop_class, new.syntax, new.slot, new.caller, at)
            changed = int(is_other or (before is not None and before["changed"]))
            db.execute(
                "INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *more, changed),
            )
            what = "changed" if is_other else "stored"
            _tell(db, what, new.study, {"caller": new.caller, "bytes": new.bytes, **facts})

    def receiving_ended(self, studies: Iterable[str]) -> None:
        """No association that delivered these studies is open any more."""
        with self._tables.writing() as db:
            for study in studies:
                db.execute(
                    "UPDATE study SET state = 'waiting' WHERE study = ? AND state = 'receiving'",
                    (study,),
                )

    def settle(self, study: str) -> None:
        """A server has named the same number of images twice, and all are here."""
        with self._tables.writing() as db:
            db.execute(
                f"UPDATE study SET settled = 1 WHERE study = ? AND state IN {_UNREAD}", (study,)
            )

    # --- reading -------------------------------------------------------------------------------
    def candidates(self, now: float, soonest_s: float, limit: int = 50) -> list[Row]:
        """Studies that may be due, those first that were never cut off, then the longest waiting.

        Rows have study, quiet_since, settled, images and slots (with commas between them).
        """
        return self.db.execute(
            "SELECT s.study, s.quiet_since, s.settled, count(i.sop) AS images, "
            "coalesce(group_concat(DISTINCT i.slot), '') AS slots FROM ("
            "  SELECT study, quiet_since, settled, interrupted FROM study "
            f"  WHERE state IN {_UNREAD} AND (quiet_since <= ? OR settled) "
            "  ORDER BY interrupted, quiet_since LIMIT ?"
            ") s JOIN instance i ON i.study = s.study "
            "GROUP BY s.study ORDER BY s.interrupted, s.quiet_since",
            (now - soonest_s, limit),
        ).fetchall()

    def images_of(self, study: str) -> list[Row]:
        """Its images by SOP instance: sop, series, sop_class, sha256, slot and file."""
        return self.db.execute(
            "SELECT sop, series, sop_class, sha256, slot, file FROM instance WHERE study = ? "
            "ORDER BY sop",
            (study,),
        ).fetchall()

    def begin(self, study: str, key: str) -> float | None:
        """Begin a reading; gives the time that its objects bear, the same at every try.

        Returns:
            None where this very input was read before: then the study is done again.
        """
        at = time.time()
        with self._tables.writing() as db:
            job = db.execute(
                "SELECT created_at, outcome, detail FROM job WHERE study = ? AND input = ?",
                (study, key),
            ).fetchone()
            if job is not None and job["outcome"] is not None:
                db.execute(
                    "UPDATE study SET state = ?, input = ?, note = ? WHERE study = ?",
                    (job["outcome"], key, job["detail"], study),
                )
                return None
            db.execute(
                "INSERT INTO job(study, input, attempts, created_at, started_at) "
                "VALUES (?, ?, 1, ?, ?) ON CONFLICT(study, input) DO UPDATE SET "
                "attempts = attempts + 1, started_at = excluded.started_at",
                (study, key, at, at),
            )
            db.execute(
                "UPDATE study SET state = 'reading', input = ?, note = '' WHERE study = ?",
                (key, study),
            )
            images = db.execute("SELECT count(*) FROM instance WHERE study = ?", (study,))
            _tell(db, "due", study, {"images": images.fetchone()[0]})
            return at if job is None else float(job["created_at"])

    def finish(
        self,
        study: str,
        key: str,
        outcome: str,
        *,
        note: str = "",
        made: Sequence[Made] = (),
        destinations: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> bool:
        """End a reading, with its results and their deliveries, in one transaction.

        Returns:
            False where the study was dropped meanwhile: then nothing is kept.
        """
        at = time.time()
        with self._tables.writing() as db:
            ended = db.execute(
                "UPDATE job SET ended_at = ?, outcome = ?, detail = ? "
                "WHERE study = ? AND input = ? AND outcome IS NULL",
                (at, outcome, note, study, key),
            ).rowcount
            if not ended:
                return False
            earlier = {(row["exam"], row["kind"]): row["sop"] for row in _latest(db, study)}
            for each in made:
                db.execute(
                    "INSERT OR IGNORE INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(each.sop, study, key, each.kind, each.exam, each.file),
                        *(each.sop_class, each.series, at, earlier.get((each.exam, each.kind))),
                    ),
                )
                db.executemany(
                    "INSERT OR IGNORE INTO delivery(sop, destination, study, state, made_at) "
                    "VALUES (?, ?, ?, 'waiting', ?)",
                    [(each.sop, name, study, at) for name in destinations],
                )
            db.execute(  # a late image has made it receiving or waiting: then it stays that
                "UPDATE study SET state = ?, note = ?, ended_at = ? "
                "WHERE study = ? AND state = 'reading'",
                (outcome, note, at, study),
            )
            db.execute("UPDATE study SET interrupted = 0 WHERE study = ?", (study,))
            told = {"objects": len(made), **(facts or {})}
            _tell(db, {"done": "read"}.get(outcome, outcome), study, told)
        return True

    def put_back(self, study: str) -> None:
        """A reading that was not finished waits again."""
        with self._tables.writing() as db:
            db.execute(
                "UPDATE study SET state = 'waiting' WHERE study = ? AND state = 'reading'", (study,)
            )

    def fail(self, study: str, reason: str, note: str) -> None:
        """Give up a study without a reading."""
        with self._tables.writing() as db:
            db.execute(
                "UPDATE study SET state = 'failed', note = ?, ended_at = ? WHERE study = ?",
                (note, time.time(), study),
            )
            _tell(db, "failed", study, {"reason": reason})

    def latest_reports(self, study: str) -> list[Row]:
        """The newest reports of a study: exam, kind, sop, sop_class and series."""
        return list(_latest(self.db, study))

    # --- sending -------------------------------------------------------------------------------
    def take(self, destination: str, now: float) -> list[Sending]:
        """All that waits for a destination of the study whose result waits longest."""
        first = self.db.execute(
            "SELECT study FROM delivery WHERE state = 'waiting' AND destination = ? "
            "AND next_try <= ? ORDER BY made_at LIMIT 1",
            (destination, now),
        ).fetchone()
        if first is None:
            return []
        which = (first[0], destination, now)
        with self._tables.writing() as db:
            rows = db.execute(
                "SELECT d.sop, d.study, d.destination, r.file, r.sop_class, d.attempts, d.waited_s "
                "FROM delivery d JOIN result r ON r.sop = d.sop WHERE d.study = ? "
                "AND d.destination = ? AND d.state = 'waiting' AND d.next_try <= ? "
                "ORDER BY r.made_at, r.kind, r.sop",
                which,
            ).fetchall()
            db.execute(
                "UPDATE delivery SET state = 'sending' WHERE study = ? AND destination = ? "
                "AND state = 'waiting' AND next_try <= ?",
                which,
            )
        return [Sending(**dict(row)) for row in rows]

    def settle_delivery(
        self,
        sent: Sending,
        state: str,
        *,
        status: str,
        detail: str,
        next_try: float = 0.0,
        waited_s: float = 0.0,
    ) -> None:
        """What came of sending one result: sent, waiting for another try, or failed."""
        ended = time.time() if state != "waiting" else None
        event = {"waiting": "retry"}.get(state, state)
        with self._tables.writing() as db:
            db.execute(
                "UPDATE delivery SET state = ?, attempts = attempts + 1, next_try = ?, "
                "waited_s = waited_s + ?, ended_at = ?, status = ?, detail = ? "
                "WHERE sop = ? AND destination = ?",
                (state, next_try, waited_s, ended, status, detail, sent.sop, sent.destination),
            )
            told = {"to": sent.destination, "status": status, "attempts": sent.attempts + 1}
            _tell(db, event, sent.study, told)

    def unsend(self, sends: Sequence[Sending]) -> None:
        """Sending was cut off before anything was known."""
        with self._tables.writing() as db:
            db.executemany(
                "UPDATE delivery SET state = 'waiting' WHERE sop = ? AND destination = ? "
                "AND state = 'sending'",
                [(each.sop, each.destination) for each in sends],
            )

    # --- people --------------------------------------------------------------------------------
    def retry(self, study: str | None) -> int:
        """Put a study, or all that failed, back to the queue; returns how many things."""
        which, value = ("study = ?", (study,)) if study else ("1", ())
        with self._tables.writing() as db:
            if study and not _has_study(db, study):
                raise NodeError(f"no study '{study}' here; see: fourview node-status")
            states = "('failed', 'ignored')" if study else "('failed')"
            found = db.execute(
                f"SELECT study FROM study WHERE {which} AND state IN {states}", value
            ).fetchall()
            for row in found:
                db.execute("DELETE FROM job WHERE study = ? AND outcome IS NOT 'done'", tuple(row))
                db.execute(
                    "UPDATE study SET state = 'waiting', settled = 1, note = '' WHERE study = ?",
                    tuple(row),
                )
            sends = db.execute(
                "UPDATE delivery SET state = 'waiting', attempts = 0, waited_s = 0, next_try = 0 "
                f"WHERE state = 'failed' AND {which}",
                value,
            ).rowcount
        return len(found) + sends

    def drop(self, study: str) -> None:
        """Forget a study; its files are the caller's.

        Raises:
            NodeError: There is none, or it is being read.
        """
        with self._tables.writing() as db:
            if not _has_study(db, study):
                raise NodeError(f"no study '{study}' here; see: fourview node-status")
            db.execute("DELETE FROM delivery WHERE study = ?", (study,))
            db.execute("DELETE FROM study WHERE study = ?", (study,))
            db.execute("DELETE FROM meta WHERE key LIKE ?", (f"pull/%/{study}",))
            _tell(db, "dropped", study, {})

    # --- keeping -------------------------------------------------------------------------------
    def forget_pixels(self, before_at: float) -> list[str]:
        """Files of images whose results were all sent before a time; their rows forget them."""
        with self._tables.writing() as db:
            rows = db.execute(
                "SELECT i.study, i.file FROM instance i JOIN study s ON s.study = i.study "
                "WHERE i.file NOT NULL AND s.state IN ('done', 'ignored') AND s.ended_at < ? "
                "AND s.arrived_at < ? AND NOT EXISTS (SELECT 1 FROM delivery d "
                "WHERE d.study = s.study AND (d.state != 'sent' OR d.ended_at >= ?))",
                (before_at, before_at, before_at),
            ).fetchall()
            counts: dict[str, int] = {}
            for study, file in rows:
                db.execute("UPDATE instance SET file = NULL WHERE file = ?", (file,))
                counts[study] = counts.get(study, 0) + 1
            for study, number in counts.items():
                _tell(db, "swept", study, {"images": number})
        return [row["file"] for row in rows]

    def forget_results(self, before_at: float) -> list[str]:
        """Files of results that are older than a time and sent; their rows forget them."""
        with self._tables.writing() as db:
            rows = db.execute(
                "SELECT r.study, r.file FROM result r WHERE r.file NOT NULL AND r.made_at < ? "
                "AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.sop = r.sop "
                "AND d.state != 'sent')",
                (before_at,),
            ).fetchall()
            for _, file in rows:
                db.execute("UPDATE result SET file = NULL WHERE file = ?", (file,))
        return [row["file"] for row in rows]

    # --- status, events, notes -----------------------------------------------------------------
    def states(self) -> dict[str, int]:
        """Studies by state."""
        return dict(self.db.execute("SELECT state, count(*) FROM study GROUP BY state").fetchall())

    def deliveries(self) -> dict[str, int]:
        """Deliveries by state."""
        rows = self.db.execute("SELECT state, count(*) FROM delivery GROUP BY state")
        return dict(rows.fetchall())

    def oldest(self) -> float | None:
        """When the first of what is not finished came, wall clock; None where all is."""
        found = self.db.execute(
            "SELECT min(at) FROM (SELECT min(arrived_at) AS at FROM study WHERE state IN "
            "('receiving', 'waiting', 'reading') UNION ALL SELECT min(made_at) FROM delivery "
            "WHERE state IN ('waiting', 'sending'))"
        ).fetchone()[0]
        return None if found is None else float(found)

    def failures(self, limit: int = 20) -> list[dict[str, Any]]:
        """What failed, the latest first: study, what, when and why."""
        rows = self.db.execute(
            "SELECT study, 'reading' AS what, ended_at AS at, note AS why FROM study "
            "WHERE state = 'failed' UNION ALL "
            "SELECT study, 'sending to ' || destination, ended_at, "
            "trim(status || ' ' || detail) FROM delivery WHERE state = 'failed' "
            "ORDER BY at DESC LIMIT ?",
            (limit,),
        )
        return [dict(row) for row in rows]

    def last_trouble(self) -> str:
        """Why the latest try to send is tried again; "" where none is."""
        found = self.db.execute(
            "SELECT destination || ': ' || trim(status || ' ' || detail) FROM delivery "
            "WHERE state = 'waiting' AND attempts > 0 ORDER BY made_at DESC LIMIT 1"
        ).fetchone()
        return "" if found is None else str(found[0])

    def is_idle(self, now: float) -> bool:
        """Whether nothing waits to be read, and everything to be sent was tried."""
        busy = self.db.execute(
            "SELECT 1 FROM study WHERE state IN ('receiving', 'waiting', 'reading') UNION ALL "
            "SELECT 1 FROM delivery WHERE state = 'sending' "
            "OR (state = 'waiting' AND next_try <= ?) LIMIT 1",
            (now,),
        )
        return busy.fetchone() is None

    def state_of(self, study: str) -> str | None:
        """The state of a study; None where it is unknown."""
        found = self.db.execute("SELECT state FROM study WHERE study = ?", (study,)).fetchone()
        return None if found is None else str(found[0])

    def tell(self, what: str, study: str | None = None, **facts: Any) -> None:
        """Note an event for the audit log."""
        with self._tables.writing() as db:
            _tell(db, what, study, facts)

    def events(self, limit: int = 500) -> list[Row]:
        """What the audit log is still to be told."""
        rows = self.db.execute("SELECT * FROM event ORDER BY id LIMIT ?", (limit,))
        return rows.fetchall()

    def events_written(self, last: int) -> None:
        """Events up to this one are in the audit log."""
        with self._tables.writing() as db:
            db.execute("DELETE FROM event WHERE id <= ?", (last,))

    def seen(self, key: str) -> str | None:
        """A note of a pull."""
        found = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def note_seen(self, key: str, value: str) -> None:
        """Keep a note of a pull."""
        with self._tables.writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def input_key(images: Iterable[Row], about: Sequence[str]) -> str:
    """What a reading is of: its images' bytes, the models, kinds of object and the encoder."""
    lines = [f"{row['sop']} {row['sha256']}" for row in images]
    return digest_of_text("\n".join([*sorted(lines), *about]))


def place_of(study: str) -> str:
    """The folder of a study below in/ and out/: a hash, so no text of a header names a file."""
    name = digest_of_text(study)[:32]
    return f"{name[:2]}/{name}"


def file_of(study: str, sop: str, sha256: str = "") -> str:
    """Where an image lies below the spool; ``sha256`` tells a changed one from its older self."""
    mark = f"-{sha256[:8]}" if sha256 else ""
    return f"in/{place_of(study)}/{digest_of_text(sop)[:32]}{mark}.dcm"


def _tell(db: Connection, what: str, study: str | None, facts: Mapping[str, Any]) -> None:
    db.execute(
        "INSERT INTO event(at, what, study, detail) VALUES (?, ?, ?, ?)",
        (time.time(), what, study, json.dumps(dict(facts))),
    )


def _latest(db: Connection, study: str) -> list[Row]:
    return db.execute(
        "SELECT exam, kind, sop, sop_class, series, max(made_at) AS made_at FROM result "
        "WHERE study = ? AND kind NOT IN ('gsps', 'seg') GROUP BY exam, kind",
        (study,),
    ).fetchall()


def _has_study(db: Connection, study: str) -> bool:
    return db.execute("SELECT 1 FROM study WHERE study = ?", (study,)).fetchone() is not None
