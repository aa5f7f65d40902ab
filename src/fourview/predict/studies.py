"""Studies in, reports out: what ``fourview read`` and ``fourview demo`` do for every exam."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fourview.dicom.exams import iter_exams
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.entities import Exam, ExamPrediction, LeftOut
from fourview.errors import CheckpointError, ExamError
from fourview.geometry import Size
from fourview.manifest.findings_file import findings_of
from fourview.predict.finding_reader import FindingReader
from fourview.predict.language import LanguageModel
from fourview.predict.language_maps import LanguageMaps
from fourview.predict.reader import Reader, mean_prediction
from fourview.report.biopsies import miss_rates
from fourview.report.exam_html import ReportOptions, write_exam_report
from fourview.report.index_html import exam_folder, index_row, write_index

DISPLAY_ROWS = 1200  # a report shows no more; JPEG 2000 need not be decoded finer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Findings that somebody names, for any number of exams.

    Attributes:
        rows: From ``manifest.findings_file.read_findings``.
        source: The file's name, as reports say it.
    """

    rows: Sequence[Mapping[str, Any]]
    source: str

    @property
    def not_biopsied(self) -> frozenset[str]:
        """Findings of unknown nature in a file that says of others whether they are malignant.

        A file that says it of none asks about all: its biopsies are still to come.
        """
        names = frozenset(str(row["finding_id"]) for row in self.rows)
        known = {str(r["finding_id"]) for r in self.rows if r.get("malignant") is not None}
        return names - known if known else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One exam that was read, and the folder of its report."""

    prediction: ExamPrediction
    folder: Path


def read_studies(
    paths: Sequence[Path],
    readers: Sequence[Reader],
    out: Path,
    *,
    created: str = "",
    named: Named | None = None,
    miss_rate: float | None = None,
    maps: Sequence[LanguageMaps] = (),
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[Read]:
    """Read every exam among files and folders, and write its report when it is done.

    One exam goes straight to ``out``; several go to a folder each, with ``out/index.html`` over
    them. Files that belong to no exam are listed with the last one.

    Args:
        paths: Files and folders; headers say what belongs together.
        readers: One model, or several whose scores are averaged.
        out: Folder to write to.
        created: Date and time as the reports are to print them.
        named: Findings to score; without them a lesion network's context proposes some.
        miss_rate: Part of the cancers that may be missed by the biopsies that a report would avoid;
            one of the rates that the run has thresholds for.
        maps: Language-image models whose heatmaps are added.
        pseudonyms: Replaces what tells whose the exams are, in everything that is written.

    Raises:
        CheckpointError: Findings are named and no model scores findings, or it has no threshold
            for the miss rate.
        ExamError: There is no mammogram at all; the message has the first reasons.
    """
    options = _options(readers, created, named, miss_rate)
    done: list[Read] = []
    waiting: Exam | None = None
    unread: list[LeftOut] = []
    enough = _enough([*readers, *(m.model for m in maps)])
    for exam in iter_exams(list(paths), at_least=enough, pseudonyms=pseudonyms):
        if not exam.images:
            unread += exam.left_out
            continue
        if waiting is not None:
            folder = out / exam_folder(len(done) + 1)
            done.append(_read(waiting, readers, folder, options, named, maps, pseudonyms))
            yield done[-1]
        waiting = exam
    if waiting is None:
        reasons = "; ".join(f"{f.path}: {f.detail}" for f in unread[:3]) or "no files"
        raise ExamError(f"no mammogram to read ({reasons}); name files or folders of DICOM")
    waiting = replace(waiting, left_out=(*waiting.left_out, *unread))
    last = out / exam_folder(len(done) + 1) if done else out
    done.append(_read(waiting, readers, last, options, named, maps, pseudonyms))
    if len(done) > 1:
        rows = [index_row(r.prediction, r.folder / "report.html") for r in done]
        write_index(rows, out, created=created)
    yield done[-1]


def _options(
    readers: Sequence[Reader], created: str, named: Named | None, miss_rate: float | None
) -> ReportOptions:
    first = next((r for r in readers if isinstance(r, FindingReader)), None)
    if first is None and (named is not None or miss_rate is not None):
        raise CheckpointError("no model here scores findings; give --model the run of a lesion one")
    points = {} if first is None else miss_rates(first.finding_points)
    if miss_rate is not None and miss_rate not in points:
        there = ", ".join(f"{rate:g}" for rate in points) or "none"
        raise CheckpointError(f"the run has no threshold for a miss rate of {miss_rate}: {there}")
    return ReportOptions(
        created=created,
        operating_points=readers[0].operating_points if len(readers) == 1 else None,
        miss_rates=points,
        miss_rate=miss_rate,
        not_biopsied=frozenset() if named is None else named.not_biopsied,
    )


def _read(
    exam: Exam,
    readers: Sequence[Reader],
    folder: Path,
    options: ReportOptions,
    named: Named | None,
    maps: Sequence[LanguageMaps],
    pseudonyms: Pseudonyms | None,
) -> Read:
    findings = () if named is None else findings_of(exam, named.rows, source=named.source)
    prediction = mean_prediction(
        [
            r.predict(exam, findings) if isinstance(r, FindingReader) else r.predict(exam)
            for r in readers
        ]
    )
    if named is not None and not findings:
        note = f"{named.source} names no finding on an image of this exam"
        prediction = replace(prediction, notes=(*prediction.notes, note))
    for each in maps:
        prediction = each.add(exam, prediction)
    if pseudonyms is not None:
        left_out = tuple(map(pseudonyms.left_out, prediction.left_out))
        prediction = replace(prediction, left_out=left_out)
    write_exam_report(prediction, exam.images, folder, options=options)
    return Read(prediction=prediction, folder=folder)


def _enough(readers: Sequence[Reader | LanguageModel]) -> Size | None:
    """Rows and columns that every model and the report can do with; None where one wants all."""
    sizes = [reader.spec.enough for reader in readers]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return max(DISPLAY_ROWS, *(rows for rows, _ in known)), max(cols for _, cols in known)
