"""Studies in, reports out: what ``fourview read`` and ``fourview demo`` do for every exam."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fourview.dicom.exams import iter_exams
from fourview.entities import Exam, ExamPrediction, LeftOut
from fourview.errors import ExamError
from fourview.geometry import Size
from fourview.predict.reader import Reader, mean_prediction
from fourview.report.exam_html import ReportOptions, write_exam_report
from fourview.report.index_html import exam_folder, index_row, write_index

DISPLAY_ROWS = 1200  # a report shows no more; JPEG 2000 need not be decoded finer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One exam that was read, and the folder of its report."""

    prediction: ExamPrediction
    folder: Path


def read_studies(
    paths: Sequence[Path], readers: Sequence[Reader], out: Path, *, created: str = ""
) -> Iterator[Read]:
    """Read every exam among files and folders, and write its report when it is done.

    One exam goes straight to ``out``; several go to a folder each, with ``out/index.html`` over
    them. Files that belong to no exam are listed with the last one.

    Args:
        paths: Files and folders; headers say what belongs together.
        readers: One model, or several whose scores are averaged.
        out: Folder to write to.
        created: Date and time as the reports are to print them.

    Raises:
        ExamError: There is no mammogram at all; the message has the first reasons.
    """
    options = ReportOptions(
        created=created,
        operating_points=readers[0].operating_points if len(readers) == 1 else None,
    )
    done: list[Read] = []
    waiting: Exam | None = None
    unread: list[LeftOut] = []
    for exam in iter_exams(list(paths), at_least=_enough(readers)):
        if not exam.images:
            unread += exam.left_out
            continue
        if waiting is not None:
            done.append(_read(waiting, readers, out / exam_folder(len(done) + 1), options))
            yield done[-1]
        waiting = exam
    if waiting is None:
        reasons = "; ".join(f"{f.path}: {f.detail}" for f in unread[:3]) or "no files"
        raise ExamError(f"no mammogram to read ({reasons}); name files or folders of DICOM")
    waiting = replace(waiting, left_out=(*waiting.left_out, *unread))
    last = out / exam_folder(len(done) + 1) if done else out
    done.append(_read(waiting, readers, last, options))
    if len(done) > 1:
        rows = [index_row(r.prediction, r.folder / "report.html") for r in done]
        write_index(rows, out, created=created)
    yield done[-1]


def _read(exam: Exam, readers: Sequence[Reader], folder: Path, options: ReportOptions) -> Read:
    prediction = mean_prediction([reader.predict(exam) for reader in readers])
    write_exam_report(prediction, exam.images, folder, options=options)
    return Read(prediction=prediction, folder=folder)


def _enough(readers: Sequence[Reader]) -> Size | None:
    """Rows and columns that every model and the report can do with; None where one wants all."""
    sizes = [reader.spec.enough for reader in readers]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return max(DISPLAY_ROWS, *(rows for rows, _ in known)), max(cols for _, cols in known)
