"""What people and the clock ask of the journal: status, retry, drop, deletion, events."""

from sqlite3 import Connection, Row
from typing import Any

from fourview.errors import NodeError
from fourview.node.tables import Opened, tell


class Watching(Opened):
    """See the module docstring; the rest of the journal is in ``journal``."""

    # --- people --------------------------------------------------------------------------------
    def retry(self, study: str | None) -> int:
        """Put a study, or all that failed, back to the queue; returns how many things."""
        which, value = ("study = ?", (study,)) if study else ("1", ())
        with self._tables.writing() as db:
            if study and not _has_study(db, study):
                raise NodeError(f"no study '{study}' here; see: fourview node-status")
            states = "('failed', 'ignored')" if study else "('failed')"
            rows = db.execute(
                f"SELECT study FROM study WHERE {which} AND state IN {states}", value
            ).fetchall()
            for row in rows:
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
        return len(rows) + sends

    def drop(self, study: str) -> None:
        """Forget a study; its files are the caller's.

        Raises:
            NodeError: There is none.
        """
        with self._tables.writing() as db:
            if not _has_study(db, study):
                raise NodeError(f"no study '{study}' here; see: fourview node-status")
            db.execute("DELETE FROM delivery WHERE study = ?", (study,))
            db.execute("DELETE FROM study WHERE study = ?", (study,))
            db.execute("DELETE FROM meta WHERE key LIKE ?", (f"pull/%/{study}",))
            tell(db, "dropped", study, {})

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
                tell(db, "swept", study, {"images": number})
        return [row["file"] for row in rows]

    def forget_results(self, before_at: float) -> list[str]:
        """Files of readings that are older than a time and sent whole; their rows forget them."""
        with self._tables.writing() as db:
            rows = db.execute(
                "SELECT r.study, r.file FROM result r WHERE r.file NOT NULL AND r.made_at < ? "
                "AND NOT EXISTS (SELECT 1 FROM delivery d JOIN result o ON o.sop = d.sop "
                "WHERE o.study = r.study AND o.input = r.input AND d.state != 'sent')",
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
        at = self.db.execute(
            "SELECT min(at) FROM (SELECT min(arrived_at) AS at FROM study WHERE state IN "
            "('receiving', 'waiting', 'reading') UNION ALL SELECT min(made_at) FROM delivery "
            "WHERE state IN ('waiting', 'sending'))"
        ).fetchone()[0]
        return None if at is None else float(at)

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
        row = self.db.execute(
            "SELECT destination || ': ' || trim(status || ' ' || detail) FROM delivery "
            "WHERE state = 'waiting' AND attempts > 0 ORDER BY made_at DESC LIMIT 1"
        ).fetchone()
        return "" if row is None else str(row[0])

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
        row = self.db.execute("SELECT state FROM study WHERE study = ?", (study,)).fetchone()
        return None if row is None else str(row[0])

    def tell(self, what: str, study: str | None = None, /, **facts: Any) -> None:
        """Note an event for the audit log."""
        with self._tables.writing() as db:
            tell(db, what, study, facts)

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
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def note_seen(self, key: str, value: str) -> None:
        """Keep a note of a pull."""
        with self._tables.writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _has_study(db: Connection, study: str) -> bool:
    return db.execute("SELECT 1 FROM study WHERE study = ?", (study,)).fetchone() is not None
