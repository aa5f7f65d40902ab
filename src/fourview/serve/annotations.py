"""What a person marked on exams: kept at once in SQLite, exported for ``read --findings``."""

import csv
import io
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fourview.errors import ServeError
from fourview.serve.cohort import ExamId
from fourview.serve.wire import Annotation

COLUMNS = (
    *("image_id", "finding_id", "side", "kind", "malignant"),
    *("x0", "y0", "x1", "y1", "polygon"),
)
POINT_HALF = 2.0  # stored pixels from a point to the edges of the box that stands for it
SCHEMA = """
CREATE TABLE IF NOT EXISTS annotation (
    id TEXT PRIMARY KEY, patient_id TEXT NOT NULL, exam_id TEXT NOT NULL, image_id TEXT NOT NULL,
    side TEXT, shape TEXT NOT NULL, points TEXT NOT NULL, kind TEXT NOT NULL, malignant INTEGER,
    remark TEXT NOT NULL, place INTEGER NOT NULL, saved_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS annotation_exam ON annotation (patient_id, exam_id);
PRAGMA user_version = 1;
"""


class AnnotationStore:
    """Annotations in a file, which is made when the first is saved.

    Args:
        path: Of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def of(self, which: ExamId) -> list[dict[str, Any]]:
        """The annotations of an exam, in the order they were made."""
        if not self.path.exists():
            return []
        query = "SELECT * FROM annotation WHERE patient_id = ? AND exam_id = ? ORDER BY place"
        with self._connected() as connection:
            return [_read(row) for row in connection.execute(query, which)]

    def save(
        self,
        which: ExamId,
        annotations: Sequence[Annotation],
        image_ids: Mapping[str, str],
        sides: Mapping[str, str | None],
    ) -> None:
        """Replace the annotations of an exam, all or none of them.

        Args:
            which: The exam.
            annotations: All that are on it now.
            image_ids: By the key that an annotation names.
            sides: By image_id.

        Raises:
            ServeError: An annotation is on an image of another exam.
        """
        strangers = [a.image for a in annotations if a.image not in image_ids]
        if strangers:
            raise ServeError(f"image {strangers[0]} is none of this exam; open the exam again")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (
                *(a.id, *which, image_ids[a.image], sides[image_ids[a.image]], a.shape),
                *(json.dumps(a.points), a.kind, a.malignant, a.remark, place, now),
            )
            for place, a in enumerate(annotations)
        ]
        with self._connected() as connection, connection:
            connection.execute("DELETE FROM annotation WHERE patient_id = ? AND exam_id = ?", which)
            marks = ", ".join("?" * 12)
            connection.executemany(f"INSERT OR REPLACE INTO annotation VALUES ({marks})", rows)

    def csv(self) -> str:
        """All annotations as the file that ``fourview read --findings`` takes."""
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        if self.path.exists():
            order = "SELECT * FROM annotation ORDER BY patient_id, exam_id, place"
            with self._connected() as connection:
                for row in connection.execute(order):
                    writer.writerow(_finding(_read(row)))
        return out.getvalue()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = sqlite3.connect(self.path, timeout=30)
            except sqlite3.Error as error:
                raise ServeError(f"{self.path}: cannot be opened ({error})") from None
            connection.row_factory = sqlite3.Row
            try:
                connection.executescript(SCHEMA)
                yield connection
            except sqlite3.DatabaseError as error:
                raise ServeError(f"{self.path}: {error}; name another --annotations") from None
            finally:
                connection.close()


def _read(row: sqlite3.Row) -> dict[str, Any]:
    malignant = None if row["malignant"] is None else bool(row["malignant"])
    return {**dict(row), "points": json.loads(row["points"]), "malignant": malignant}


def _finding(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the findings file; a point is a small box, a polygon has both."""
    x = [float(p[0]) for p in annotation["points"]]
    y = [float(p[1]) for p in annotation["points"]]
    grow = POINT_HALF if annotation["shape"] == "point" else 0.0
    drawn = annotation["shape"] in ("ellipse", "polygon")
    polygon = " ".join(f"{v:g}" for p in zip(x, y, strict=True) for v in p) if drawn else ""
    malignant = annotation["malignant"]
    return {
        "image_id": annotation["image_id"],
        "finding_id": annotation["id"],
        "side": annotation["side"] or "",
        "kind": annotation["kind"],
        "malignant": "" if malignant is None else int(malignant),
        "x0": min(x) - grow,
        "y0": min(y) - grow,
        "x1": max(x) + grow,
        "y1": max(y) + grow,
        "polygon": polygon,
    }
