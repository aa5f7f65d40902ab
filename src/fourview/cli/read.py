"""``fourview read``: DICOM in; scores, findings and a report out."""

import json as jsonlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import progress_bar
from fourview.dicom.exams import read_exams
from fourview.entities import Exam, ExamPrediction
from fourview.errors import ExamError
from fourview.predict.engine import PLAIN, best_engine
from fourview.predict.reader import Reader, load_model, mean_prediction
from fourview.report.exam_html import ReportOptions, write_exam_report
from fourview.report.exam_json import exam_to_json
from fourview.report.overview import write_index


def read(
    study: list[Path],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    model: Annotated[list[Path] | None, Parameter(negative="")] = None,
    exact: bool = False,
    json: bool = False,
) -> None:
    """Read exams: files or folders of DICOM in; result.json and report.html of each exam out.

    Parameters
    ----------
    study: Files or folders; they are put together to exams by their headers.
    out: Folder to write to; a folder an exam where there are several.
    model: Run folder or checkpoint; may be repeated, the scores are then the mean. Without it the
        small model that ships with the package: trained on phantoms, it shows how things work and
        says nothing about a patient.
    exact: Compute in float32, whatever the machine would gain.
    json: Print the results as JSON.
    """
    engine = PLAIN if exact else best_engine(many=False)
    readers = [load_model(run, engine=engine) for run in model or [None]]
    exams = read_exams(study)
    if not any(exam.images for exam in exams):
        reasons = {file.detail for exam in exams for file in exam.left_out}
        raise ExamError(
            f"no mammogram to read in {_names(study)}: {'; '.join(sorted(reasons)[:3])}"
        )
    predictions = []
    with progress_bar(quiet=json) as update:
        for number, exam in enumerate(exams, start=1):
            folder = out if len(exams) == 1 else out / f"exam-{number:04d}"
            predictions.append((read_one(exam, readers, folder), folder))
            update("exams", number, len(exams))
    if len(exams) > 1:
        write_index([(p, f.relative_to(out)) for p, f in predictions], out)
    if json:
        print(jsonlib.dumps([exam_to_json(p) for p, _ in predictions]))
        return
    for prediction, folder in predictions:
        _show(prediction, folder)


def read_one(exam: Exam, readers: list[Reader], folder: Path) -> ExamPrediction:
    """Read one exam with every reader, write its report, and say what was found."""
    prediction = mean_prediction([reader.predict(exam) for reader in readers])
    options = ReportOptions(
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        operating_points=readers[0].operating_points if len(readers) == 1 else None,
    )
    write_exam_report(prediction, exam.images, folder, options=options)
    return prediction


def _show(prediction: ExamPrediction, folder: Path) -> None:
    for breast in prediction.breasts:
        score = "not scored" if breast.score is None else f"{breast.score:.3f}"
        notes = f" ({'; '.join(breast.notes)})" if breast.notes else ""
        print(f"{breast.side}: {score}, {len(breast.findings)} findings{notes}")
    for file in prediction.left_out:
        print(f"left out: {file.path}: {file.detail}")
    print(f"report: {folder / 'report.html'} (research use only)")


def _names(paths: list[Path]) -> str:
    return ", ".join(str(p) for p in paths[:3]) + (", ..." if len(paths) > 3 else "")
