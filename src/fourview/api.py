"""What most programs need, in six functions; all else is in the stages' modules."""

from collections.abc import Sequence
from pathlib import Path

from fourview.dicom.exams import read_exams
from fourview.entities import Exam, ExamPrediction
from fourview.errors import ExamError
from fourview.evaluate.run import evaluate
from fourview.predict.engine import PLAIN, Engine
from fourview.predict.ensemble import Ensemble
from fourview.predict.finding_reader import load_any_model
from fourview.predict.reader import Reader
from fourview.report.dicom.options import DicomOptions
from fourview.report.dicom.write import DicomObject, NotMade, dicom_objects, write_dicom
from fourview.report.exam_html import write_exam_report

__all__ = [
    "DicomObject",
    "DicomOptions",
    "NotMade",
    "dicom_objects",
    "evaluate",
    "load_model",
    "read_exam",
    "write_dicom",
    "write_report",
]


def load_model(
    run: Path | str | Sequence[Path | str] | None = None, *, engine: Engine = PLAIN
) -> Reader | Ensemble:
    """The reader of a run or checkpoint folder, or of several: the mean of their scores.

    Without an argument it is the small model that ships with the package.

    Raises:
        CheckpointError: There is no checkpoint, it does not fit, or the tasks of several differ.
    """
    if run is None or isinstance(run, str | Path):
        return load_any_model(run, engine=engine)
    return Ensemble([load_any_model(each, engine=engine) for each in run])


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
