"""Read ``result.json``, and find the files of its exam."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fourview.dicom.exams import iter_exams
from fourview.dicom.header import Header
from fourview.dicom.scan import scan
from fourview.entities import Exam, ExamPrediction
from fourview.errors import ReportError
from fourview.json_file import read_json_object
from fourview.report.exam_json import exam_from_json

CREATED = "%Y-%m-%d %H:%M UTC"  # as reports print it


def read_result(path: Path) -> tuple[ExamPrediction, datetime | None]:
    """A prediction, and when it was made; None where the file does not say.

    Args:
        path: A result.json, or the folder that ``fourview read`` wrote.

    Raises:
        ReportError: The file is no prediction.
    """
    file = path / "result.json" if path.is_dir() else path
    try:
        document = read_json_object(file)
    except ValueError as error:
        raise ReportError(f"{file}: {error}; name a result.json") from error
    try:
        prediction = exam_from_json(document)
    except ReportError as error:
        raise ReportError(f"{file}: {error}") from error
    report = document.get("report")
    written = report.get("created") if isinstance(report, dict) else None
    try:
        created = datetime.strptime(str(written), CREATED).replace(tzinfo=UTC)
    except ValueError:
        return prediction, None
    return prediction, created


def exam_of(prediction: ExamPrediction, paths: Sequence[Path]) -> Exam:
    """The exam of a prediction among files and folders; only its own files are read whole.

    Raises:
        ReportError: There is no file of it.
    """
    wanted = prediction.patient_id, prediction.exam_id
    others: dict[tuple[str, str], None] = {}
    files = []
    for root in paths:
        for each in scan(root):
            if not isinstance(each, Header):
                continue
            if (each.patient_id, each.exam_id) == wanted:
                files.append(root / each.path if root.is_dir() else root)
            else:
                others[each.patient_id, each.exam_id] = None
    exam = next((e for e in iter_exams(files) if (e.patient_id, e.exam_id) == wanted), None)
    if exam is None or not exam.images:
        there = "; ".join(f"patient {p}, study {s}" for p, s in list(others)[:3]) or "no DICOM"
        raise ReportError(
            f"no mammogram of patient {wanted[0]}, study {wanted[1]} is among the files, which "
            f"hold: {there}; name the study that was read"
        )
    return exam
