"""The node's memory: what came, what was read, what was sent. SQL is here and beside it only.

Every change is one transaction that is on the disk when the call returns; so a node that is killed
at any moment goes on with what its senders were told. Files are written before the rows that name
them and deleted after. States of a study: receiving, waiting, reading, done, ignored, failed; of a
delivery: waiting, sending, sent, failed. Tables are in ``tables``, what people ask in ``watching``.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection, Row
from typing import Any

from fourview.node.rows import Arrival, Made, Sending
from fourview.node.tables import tell
from fourview.node.watching import Watching

_UNREAD = "('receiving', 'waiting')"


class Journal(Watching):
    """See the module docstring; calls may come from any thread."""

    # --- start ---------------------------------------------------------------------------------
    def start(self, now: float) -> int:
        """Take up what a process before left unfinished; returns how many readings were cut off."""
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

    def listens(self, now: float) -> None:
        """The node takes images from now on: what waits gets its whole quiet time from here."""
        with self._tables.writing() as db:
            db.execute(
                f"UPDATE study SET quiet_since = max(quiet_since, ?) WHERE state IN {_UNREAD}",
                (now,),
            )

    # --- receiving -----------------------------------------------------------------------------
    def instance(self, sop: str) -> Row | None:
        """What is known of an image."""
        row: Row | None = self.db.execute("SELECT * FROM instance WHERE sop = ?", (sop,)).fetchone()
        return row

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
            tell(db, what, new.study, {"caller": new.caller, "bytes": new.bytes, **facts})

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
    def candidates(self, now: float, soonest_s: float, limit: int = 500) -> list[Row]:
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
            tell(db, "due", study, {"images": images.fetchone()[0]})
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
            event_facts = {"objects": len(made), **(facts or {})}
            tell(db, {"done": "read"}.get(outcome, outcome), study, event_facts)
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
            tell(db, "failed", study, {"reason": reason})

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
            event_facts = {
                "to": sent.destination,
                "status": status,
                "attempts": sent.attempts + 1,
            }
            tell(db, event, sent.study, event_facts)

    def unsend(self, sends: Sequence[Sending]) -> None:
        """Sending was cut off before anything was known."""
        with self._tables.writing() as db:
            db.executemany(
                "UPDATE delivery SET state = 'waiting' WHERE sop = ? AND destination = ? "
                "AND state = 'sending'",
                [(each.sop, each.destination) for each in sends],
            )


def _latest(db: Connection, study: str) -> list[Row]:
    return db.execute(
        "SELECT exam, kind, sop, sop_class, series, max(made_at) AS made_at FROM result "
        "WHERE study = ? AND kind NOT IN ('gsps', 'seg') GROUP BY exam, kind",
        (study,),
    ).fetchall()
