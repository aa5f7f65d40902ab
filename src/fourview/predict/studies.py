"""Studies in, reports out: what ``fourview read`` and ``fourview demo`` do for every exam."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from fourview.dicom.archive import unpacked
from fourview.dicom.exams import iter_exams
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.entities import Exam, ExamPrediction, LeftOut
from fourview.errors import CheckpointError, ExamError, ReportError
from fourview.geometry import Size
from fourview.manifest.findings_file import findings_of
from fourview.predict.language_maps import LanguageMaps
from fourview.predict.reader import Reader
from fourview.report.biopsies import miss_rates
from fourview.report.dicom.options import DicomOptions, DicomPaths
from fourview.report.exam_html import write_exam_report
from fourview.report.exam_parts import ReportOptions
from fourview.report.index_html import exam_folder, index_row, write_index

MOST_REASONS = 30  # files that an error names; all that is written for one exam
DISPLAY_ROWS = 1200  # a report shows no more; JPEG 2000 need not be decoded finer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Findings that somebody names, for any number of exams.

    Attributes:
        rows: Rows from ``manifest.findings_file.read_findings``.
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
    """One exam that was read, and the folder of its report.

    Attributes:
        dicom: The standard objects that were written; None where none were asked for, or the files
            do not allow any: then ``dicom_trouble`` says why.
    """

    prediction: ExamPrediction
    folder: Path
    dicom: DicomPaths | None = None
    dicom_trouble: str = ""


def read_studies(  # noqa: PLR0913 - what is read, and what a report can hold
    paths: Sequence[Path],
    reader: Reader,
    out: Path,
    *,
    created: str = "",
    named: Named | None = None,
    miss_rate: float | None = None,
    maps: Sequence[LanguageMaps] = (),
    dicom: DicomOptions | Callable[[Exam], DicomOptions] | None = None,
    pseudonyms: Pseudonyms | None = None,
    notes: Sequence[str] = (),
    full: bool = False,
    join: bool = True,
) -> Iterator[Read]:
    """Read every exam among files and folders, and write its report when it is done.

    One exam goes straight to ``out``; several go to a folder each, with ``out/index.html`` over
    them. Files that belong to no exam are listed with the last one.

    Args:
        paths: Files, folders and ZIP archives; headers say what belongs together.
        reader: Reader of one model, or of several.
        out: Folder to write to.
        created: Date and time as the reports are to print them.
        named: Findings to score; without them a lesion network's context proposes some.
        miss_rate: Part of the cancers that may be missed by the biopsies that a report would avoid;
            one of the rates that the run has thresholds for.
        maps: Language-image models whose heatmaps are added.
        dicom: Standard objects to write beside each report, in a folder ``dicom``; or what says it
            of each exam.
        pseudonyms: Replaces what tells whose the exams are, in everything that is written.
        notes: What every report should say beside the prediction's own notes.
        full: Put every pixel of the files into the pages, for enlarging.
        join: Make one finding of what a model marks in CC and MLO at one depth.

    Raises:
        CheckpointError: Findings are named and no model scores findings, or it has no threshold
            for the miss rate.
        ExamError: There is no mammogram at all; the message has the reasons.
        ReportError: Both DICOM objects and pseudonyms are asked for.
    """
    if dicom is not None and pseudonyms is not None:
        raise ReportError(
            "pseudonyms and DICOM results exclude each other: DICOM results name the patient as "
            "the images do, so that archives can file them; leave out --dicom or --pseudonyms"
        )
    options = replace(_options(reader, created, named, miss_rate), full=full)
    with unpacked(paths) as roots:
        enough = None if full else _enough([reader.enough, *(m.model.spec.enough for m in maps)])
        aside = tuple(out for root in roots for out in root.left_out)
        exams = iter_exams([root.path for root in roots], at_least=enough, pseudonyms=pseudonyms)

        def read(exam: Exam, folder: Path) -> Read:
            asked = _Asked(named, maps, pseudonyms, notes, join)
            read = _read(exam, reader, folder, options, asked)
            wanted = dicom(exam) if callable(dicom) else dicom
            return read if wanted is None else _with_objects(read, exam, wanted)

        yield from _reports(exams, aside, read, out, created)


def _reports(
    exams: Iterator[Exam],
    aside: tuple[LeftOut, ...],
    read: Callable[[Exam, Path], Read],
    out: Path,
    created: str,
) -> Iterator[Read]:
    """A report of every exam; ``aside`` are files that were left out before."""
    done: list[Read] = []
    waiting: Exam | None = None
    unread: list[LeftOut] = list(aside)
    for exam in exams:
        if not exam.images:
            unread += exam.left_out
            continue
        if waiting is not None:
            folder = out / exam_folder(len(done) + 1)
            done.append(read(waiting, folder))
            yield done[-1]
        waiting = exam
    if waiting is None:
        reasons = "; ".join(f"{f.path}: {f.detail}" for f in unread[:MOST_REASONS]) or "no files"
        if len(unread) > MOST_REASONS:
            reasons += f"; and {len(unread) - MOST_REASONS:,} more"
        raise ExamError(f"no mammogram to read ({reasons}); name files or folders of DICOM")
    waiting = replace(waiting, left_out=(*waiting.left_out, *unread))
    last = out / exam_folder(len(done) + 1) if done else out
    done.append(read(waiting, last))
    if len(done) > 1:
        rows = [index_row(r.prediction, r.folder / "report.html") for r in done]
        write_index(rows, out, created=created)
    yield done[-1]


def _options(
    reader: Reader, created: str, named: Named | None, miss_rate: float | None
) -> ReportOptions:
    if not reader.scores_findings and (named is not None or miss_rate is not None):
        raise CheckpointError("no model here scores findings; give --model the run of a lesion one")
    points = miss_rates(reader.finding_points)
    if miss_rate is not None and miss_rate not in points:
        there = ", ".join(f"{rate:g}" for rate in points) or "none"
        raise CheckpointError(f"the run has no threshold for a miss rate of {miss_rate}: {there}")
    return ReportOptions(
        created=created,
        operating_points=reader.operating_points,
        miss_rates=points,
        miss_rate=miss_rate,
        not_biopsied=frozenset() if named is None else named.not_biopsied,
    )


class _Asked(NamedTuple):
    """What is asked of every exam; see ``read_studies``."""

    named: Named | None
    maps: Sequence[LanguageMaps]
    pseudonyms: Pseudonyms | None
    notes: Sequence[str]
    join: bool


def _read(exam: Exam, reader: Reader, folder: Path, options: ReportOptions, asked: _Asked) -> Read:
    named, pseudonyms = asked.named, asked.pseudonyms
    findings = () if named is None else findings_of(exam, named.rows, source=named.source)
    prediction = reader.predict(exam, findings, join=asked.join)
    notes = [*prediction.notes, *asked.notes]
    if named is not None and not findings:
        notes.append(f"{named.source} names no finding on an image of this exam")
    prediction = replace(prediction, exam=None, notes=tuple(notes))  # many predictions are kept
    for each in asked.maps:
        prediction = each.add(exam, prediction)
    if pseudonyms is not None:
        left_out = tuple(map(pseudonyms.left_out, prediction.left_out))
        prediction = replace(prediction, left_out=left_out)
    write_exam_report(prediction, exam.images, folder, options=options)
    return Read(prediction=prediction, folder=folder)


def _with_objects(read: Read, exam: Exam, dicom: DicomOptions) -> Read:
    """Add DICOM objects beside the report; where none can be made, the report stands."""
    from fourview.report.dicom.write import write_dicom  # noqa: PLC0415 - pydicom takes a second

    try:
        paths = write_dicom(read.prediction, exam, read.folder / "dicom", options=dicom)
    except ReportError as error:  # the next exam is read
        return replace(read, dicom_trouble=str(error))
    return replace(read, dicom=paths)


def _enough(sizes: Sequence[Size | None]) -> Size | None:
    """Rows and columns that are enough for every model and the report; None where one wants all."""
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return max(DISPLAY_ROWS, *(rows for rows, _ in known)), max(cols for _, cols in known)
