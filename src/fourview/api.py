"""What most programs need, in four functions; all else is in the stages' modules."""

from pathlib import Path

from fourview.dicom.exams import read_exams
from fourview.entities import Exam, ExamPrediction
from fourview.errors import ExamError
from fourview.evaluate.run import evaluate
from fourview.predict.reader import load_model
from fourview.report.exam_html import write_exam_report

__all__ = ["evaluate", "load_model", "read_exam", "write_report"]


def read_exam(path: Path | str) -> Exam:
    """Read the one exam that a folder or file holds.

    Raises:
        ExamError: There is none, or more than one.
    """
    exams = [exam for exam in read_exams([Path(path)]) if exam.images]
    if len(exams) != 1:
        raise ExamError(f"{path}: holds {len(exams)} exams, need one; name a folder with one study")
    return exams[0]


def write_report(prediction: ExamPrediction, exam: Exam, out: Path | str) -> Path:
    """Write result.json and report.html of an exam below ``out``; returns the page's path."""
    return write_exam_report(prediction, exam.images, Path(out)).html
