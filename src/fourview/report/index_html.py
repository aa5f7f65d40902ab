"""The overview of many exams: index.html, one row per exam, with a link to each report."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import fourview
from fourview.disk import write_text
from fourview.entities import BreastPrediction, ExamPrediction, Side
from fourview.report.page import render


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One exam in the overview: small, so that a long run need not hold its predictions.

    Attributes:
        right: Score of the right breast; None where it has none.
        left: Score of the left breast; None where it has none.
        report: The exam's report.html; None where none was written.
        model: Family and recipe.
        classes: What is said of a breast beside its suspicion, by side: "density B".
        caution: What whoever sees a score must know of the model.
    """

    patient_id: str
    exam_id: str
    right: float | None
    left: float | None
    num_images: int
    num_findings: int
    num_left_out: int
    model: str
    report: Path | None
    classes: Mapping[str, str] = field(default_factory=dict)
    caution: str = ""

    @property
    def highest(self) -> float | None:
        """The higher score of the two breasts; None where neither has one."""
        return max((s for s in (self.right, self.left) if s is not None), default=None)


def exam_folder(number: int) -> str:
    """Name of the folder of the n-th exam's report, counted from 1; never made of identifiers."""
    return f"exam-{number:05d}"


def index_row(prediction: ExamPrediction, report: Path | None) -> IndexRow:
    """What the overview says of one exam."""

    def score(side: Side) -> float | None:
        breast = prediction.breast(side)
        return None if breast is None else breast.score

    return IndexRow(
        patient_id=prediction.patient_id,
        exam_id=prediction.exam_id,
        right=score("R"),
        left=score("L"),
        num_images=len(prediction.images),
        num_findings=sum(len(b.findings) for b in prediction.breasts),
        num_left_out=len(prediction.left_out),
        model=prediction.model,
        report=report,
        classes={b.side: _best(prediction, b) for b in prediction.breasts},
        caution=prediction.caution,
    )


def _best(prediction: ExamPrediction, breast: BreastPrediction) -> str:
    """Of each task with several classes the one with the highest score: "density B"."""
    best = ((a.name, a.best(breast.scores)) for a in prediction.asked if a.is_choice)
    return ", ".join(f"{name} {letter}" for name, letter in best if letter)


def write_index(
    rows: Sequence[IndexRow],
    out: Path,
    *,
    title: str = "Mammography exams",
    created: str = "",
    software: str = f"fourview {fourview.__version__}",
) -> Path:
    """Write OUT/index.html.

    Rows come with the highest score of a breast first and those without any at the end; of equal
    scores, and without JavaScript, the order given stays. A click on a heading sorts by it.

    Args:
        rows: From ``index_row``.
        out: A folder; made where it is missing. Links are relative to it.
        title: Heading of the page.
        created: Date and time as they are to be printed; empty prints none.
        software: Name and version of the program.

    Returns:
        The file.
    """
    ordered = sorted(rows, key=lambda r: (r.highest is None, -(r.highest or 0.0)))
    page = render(
        "index",
        {
            "rows": [{"exam": row, "link": _link(row.report, out)} for row in ordered],
            "num_scored": sum(row.highest is not None for row in rows),
            "title": title,
            "created": created,
            "software": software,
            "models": sorted({row.model for row in rows}),
            "cautions": sorted({row.caution for row in rows if row.caution}),
        },
    )
    path = out / "index.html"
    write_text(path, page)
    return path


def _link(report: Path | None, out: Path) -> str | None:
    if report is None:
        return None
    return quote(Path(os.path.relpath(report, out)).as_posix())
