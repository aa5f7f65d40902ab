"""What models said before the room was opened: predictions tables, and results of ``read``."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from fourview.entities import (
    SIDES,
    BreastPrediction,
    ExamPrediction,
    Finding,
    ImagePrediction,
    Manifest,
    Region,
)
from fourview.errors import ServeError
from fourview.evaluate.table import completed, read_predictions
from fourview.evaluate.units import breasts_from_images
from fourview.geometry import Box
from fourview.json_file import read_json_object
from fourview.report.exam_json import exam_from_json
from fourview.serve.cohort import ExamId, ListedExam

SCORES = {"patient_id": pl.String, "exam_id": pl.String, "side": pl.String, "score": pl.Float64}
HEAD = 4096  # bytes of a result that hold its ids
IDS = re.compile(r'"(patient_id|exam_id)":\s*"((?:[^"\\]|\\.)*)"')


@runtime_checkable
class Source(Protocol):
    """Somebody's predictions."""

    name: str

    def scores(self) -> pl.DataFrame:
        """patient_id (null where unknown), exam_id, side, score: one row per breast."""

    def num_regions(self) -> pl.DataFrame:
        """exam_id and num_regions; exams without any may be missing."""

    def of(self, exam: ListedExam) -> ExamPrediction | None:
        """What was said of an exam; None where nothing was."""


class TableSource:
    """A predictions table.

    Args:
        path: Parquet or CSV.
        class_name: Whose score is shown of a breast.
        manifest: Tells which images a breast has, where the table scores only images.

    Raises:
        EvaluationError: It cannot be read.
        ServeError: It has no score of that class.
    """

    def __init__(
        self, path: Path, class_name: str, manifest: Manifest | None, protocol: Any
    ) -> None:
        self.path, self.name = path, path.stem
        table, self.metadata = read_predictions(path)
        self.table = completed(table)
        mine = self.table.filter(pl.col("class") == class_name)
        breasts = mine.filter(pl.col("unit") == "breast")
        if breasts.is_empty() and manifest is not None:
            images = mine.filter(pl.col("unit") == "image").with_row_index("line")
            breasts = breasts_from_images(images, manifest, protocol)
        boxes = mine.filter(pl.col("x0").is_not_null())
        regions = boxes.filter(pl.col("unit") == "region")
        self.marks = regions if len(regions) else boxes.filter(pl.col("unit") == "finding")
        if breasts.is_empty() and self.marks.is_empty():
            classes = ", ".join(self.table["class"].unique().sort().to_list()[:8])
            raise ServeError(
                f"{path}: no breast, image or region has a score of class '{class_name}'; "
                f"it has {classes}; name another --protocol"
            )
        self._scores = breasts.select(list(SCORES))

    def scores(self) -> pl.DataFrame:
        """See ``Source``."""
        return self._scores

    def num_regions(self) -> pl.DataFrame:
        """See ``Source``."""
        known = self.marks.filter(pl.col("exam_id").is_not_null())
        return known.group_by("exam_id").agg(num_regions=pl.len().cast(pl.Int32))

    def of(self, exam: ListedExam) -> ExamPrediction | None:
        """See ``Source``."""
        ids = [image.image_id for image in exam.images]
        views = {i.image_id: i.view for i in exam.images if i.view is not None}
        scores = self._scores.filter(pl.col("exam_id") == exam.exam_id)
        by_side = dict(zip(scores["side"], scores["score"], strict=True))
        rows = self.marks.filter(pl.col("image_id").is_in(ids)).sort("score", descending=True)
        if scores.is_empty() and rows.is_empty():
            return None
        findings: dict[str, list[Finding]] = {side: [] for side in SIDES}
        for number, row in enumerate(rows.iter_rows(named=True), start=1):
            view = views.get(row["image_id"])
            if view is not None:
                findings[view.side].append(_finding(row, number, view.side))
        about = self.metadata
        return ExamPrediction(
            patient_id=exam.patient_id,
            exam_id=exam.exam_id,
            breasts=tuple(
                BreastPrediction(
                    side=side, score=_known(by_side.get(side)), findings=tuple(findings[side])
                )
                for side in SIDES
                if side in by_side or findings[side]
            ),
            images=tuple(
                ImagePrediction(image_id=i, view=view, score=None) for i, view in views.items()
            ),
            model=about.get("recipe", self.name),
            model_digest=about.get("model_digest", ""),
            pixel_spec=about.get("pixel_spec", ""),
            terms=about.get("terms", ""),
        )


class ResultSource:
    """The result.json files below a folder, as ``fourview read`` and ``fourview node`` write them.

    Raises:
        ServeError: There is none.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name or str(folder)
        self._paths: dict[ExamId, Path] = {}
        for path in sorted(folder.rglob("result.json"), key=lambda p: (p.stat().st_mtime, p)):
            which = _ids(path)  # of two readings of an exam the later one
            if which is not None:
                self._paths[which] = path
        self._summary: list[tuple[ExamId, dict[str, float | None], int]] = []
        bad: list[Path] = []
        for which, path in list(self._paths.items()):
            try:
                self._summary.append((which, *_summary(path)))
            except (ValueError, KeyError, TypeError, OSError):
                bad.append(self._paths.pop(which))
        words = f"{len(bad)} results cannot be read, such as {bad[0]}" if bad else ""
        self.notes: tuple[str, ...] = (words,) if bad else ()
        if not self._paths:
            raise ServeError(
                f"{folder}: no result.json of an exam below it that can be read; name a folder of "
                "'fourview read'"
            )

    def scores(self) -> pl.DataFrame:
        """See ``Source``."""
        rows = [
            {"patient_id": w[0], "exam_id": w[1], "side": side, "score": score}
            for w, scores, _ in self._summary
            for side, score in scores.items()
            if score is not None
        ]
        return pl.DataFrame(rows, schema=SCORES)

    def num_regions(self) -> pl.DataFrame:
        """See ``Source``."""
        rows = [{"exam_id": w[1], "num_regions": number} for w, _, number in self._summary]
        return pl.DataFrame(rows, schema={"exam_id": pl.String, "num_regions": pl.Int32})

    def of(self, exam: ListedExam) -> ExamPrediction | None:
        """See ``Source``."""
        path = self._paths.get((exam.patient_id, exam.exam_id))
        if path is None:
            return None
        return exam_from_json(read_json_object(path))


def _summary(path: Path) -> tuple[dict[str, float | None], int]:
    """The scores of a result's breasts, and how many findings it has."""
    breasts = read_json_object(path).get("breasts", ())
    return (
        {breast["side"]: breast["score"] for breast in breasts},
        sum(len(breast["findings"]) for breast in breasts),
    )


def _ids(path: Path) -> ExamId | None:
    """Patient and exam of a result, from its beginning; None where it is another JSON."""
    with path.open(encoding="utf-8", errors="replace") as file:
        ids = dict(IDS.findall(file.read(HEAD)))
    if set(ids) != {"patient_id", "exam_id"}:
        return None
    # Through json, which undoes the escapes.
    return json.loads(f'"{ids["patient_id"]}"'), json.loads(f'"{ids["exam_id"]}"')


def _finding(row: Mapping[str, Any], number: int, side: Any) -> Finding:
    box = Box(row["x0"], row["y0"], row["x1"], row["y1"])
    return Finding(
        finding_id=row["finding_id"] or str(number),
        side=side,
        regions=(Region(image_id=row["image_id"], box=box),),
        score=_known(row["score"]),
    )


def _known(score: float | None) -> float | None:
    return None if score is None or np.isnan(score) else float(score)


def check_manifest_hash(
    sources: Sequence[TableSource], expected: str, *, anyway: bool
) -> list[str]:
    """Check that tables were made from this manifest.

    Returns:
        Notes for the banner, where ``anyway`` accepts others.

    Raises:
        ServeError: One was made from another manifest.
    """
    notes = []
    for source in sources:
        named = source.metadata.get("manifest_hash", "")
        if named and named != expected:
            text = f"{source.path}: was made from another manifest than this one"
            if not anyway:
                raise ServeError(f"{text}; name its own manifest, or pass --anyway")
            notes.append(f"{source.name} was made from another manifest")
    return notes
