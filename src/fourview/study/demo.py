"""The demonstration: phantom exams through every stage, measured against their truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fourview.dicom.exams import iter_exams
from fourview.disk import write_bytes
from fourview.entities import ExamPrediction, Finding, Manifest, Result
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import write_predictions
from fourview.manifest.findings_file import findings_of, rows_of_findings
from fourview.manifest.manifest import manifest_hash, read_manifest, write_manifest
from fourview.phantom.write import write_phantom
from fourview.predict.engine import engine_on
from fourview.predict.reader import Reader, load_model
from fourview.predict.studies import read_studies
from fourview.report.display import encode
from fourview.report.exam_picture import exam_picture
from fourview.report.result_files import write_result
from fourview.run_files import PREDICTIONS
from fourview.sources.find import find_source
from fourview.store.prepare import prepare
from fourview.store.store import Store

Progress = Callable[[str, int, int], None]
SEED = 20260101  # of the demonstration; the embedded model was trained on another one
PRESET = "enriched"  # as screening, with a cancer in about half of the exams
ROWS = 768  # a picture worth looking at; the model reads 512 x 256
PROTOCOL = "screening-breast-v1"
RULE = "specificity-0.90"  # at whose threshold a cancer counts as found
CASE, REPORTS = "case.png", "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration made.

    Attributes:
        index: The page that lists the exams' reports.
        report: The first exam's report.
        result: Scores against truth, by breast.
        num_exams: Exams made.
        case: A picture of the first exam whose cancer is found and marked (``is_right``), with its
            patient; None where there is none.
    """

    index: Path
    report: Path
    result: Result
    num_exams: int
    case: tuple[Path, str] | None


def run_demo(
    out: Path,
    *,
    num_exams: int,
    workers: int,
    created: str,
    progress: Progress,
    device: str | None = None,
) -> Demo:
    """Make exams as DICOM, index, prepare, read and measure them; what is there already is kept.

    Args:
        out: Folder: phantom/, manifest/, store/, predictions.parquet, result/, reports/, and a
            picture of a case.
        num_exams: How many.
        workers: Processes.
        created: Date and time as the reports are to print them.
        progress: Called with what is done, how much, and of how much.
        device: Where to compute; None takes the best there is.
    """
    phantom = out / "phantom"
    write_phantom(
        phantom,
        num_exams=num_exams,
        seed=SEED,
        preset=PRESET,
        rows=ROWS,
        workers=workers,
        progress=lambda done, of: progress("phantom exams", done, of),
    )
    write_manifest(find_source("phantom")(phantom), out / "manifest")
    manifest = read_manifest(out / "manifest")
    reader = load_model(engine=engine_on(device))
    prepare(
        manifest,
        reader.spec,
        out / "store",
        workers=workers,
        progress=lambda done, of: progress("pixels", done, of),
    )
    predictions = reader.predict_store(
        manifest,
        Store.open(out / "store"),
        progress=lambda done, of: progress("scores", done, of),
    )
    about = {
        "model_digest": reader.card.digest,
        "pixel_spec": f"{reader.spec.name} {reader.spec.fingerprint}",
        "manifest_hash": manifest_hash(manifest),
        "terms": reader.card.terms,
        "recipe": reader.card.recipe,
        "caution": reader.caution,
    }
    write_predictions(predictions, out / PREDICTIONS, about)
    result = evaluate(predictions, manifest, PROTOCOL, thresholds=reader.operating_points)
    write_result(result, out / "result")
    first, case = _write_reports(
        out, reader, manifest, created, lambda done: progress("reports", done, num_exams)
    )
    index = out / REPORTS / "index.html" if num_exams > 1 else first
    return Demo(index=index, report=first, result=result, num_exams=num_exams, case=case)


def _write_reports(
    out: Path, reader: Reader, manifest: Manifest, created: str, progress: Callable[[int], None]
) -> tuple[Path, tuple[Path, str] | None]:
    """Read every exam and write its report; the first one's page, and the first right case."""
    files = out / "phantom" / "dicom"
    first: Path | None = None
    case: tuple[Path, str] | None = None
    exams = read_studies([files], reader, out / REPORTS, created=created)
    for done, exam in enumerate(exams, start=1):
        first = first or exam.folder / "report.html"
        own = files / exam.prediction.patient_id
        case = case or _case(exam.prediction, own, manifest, reader.operating_points, out / CASE)
        progress(done)
    assert first is not None  # read_studies yields at least one exam or raises
    return first, case


def is_right(prediction: ExamPrediction, known: Sequence[Finding], threshold: float | None) -> bool:
    """Whether a cancer is found and marked, and nothing else is.

    Found: every breast with a malignant finding scores at least ``threshold``, and no other does.
    Marked: in each view of such a breast that shows the finding, the middle of the region with the
    highest score lies in the finding's box.

    Args:
        prediction: Of an exam.
        known: Its findings, with boxes; those of other exams are passed over.
        threshold: Least score of a breast; None is never reached.
    """
    cancers = [finding for finding in known if finding.malignant]
    sides = {finding.side for finding in cancers}
    for breast in prediction.breasts:
        called = threshold is not None and breast.score is not None and breast.score >= threshold
        if called != (breast.side in sides):
            return False
        for place in (region for f in cancers if f.side == breast.side for region in f.regions):
            own = [
                (region.score if region.score is not None else f.score or 0.0, region.box)
                for f in breast.findings
                for region in f.regions
                if region.image_id == place.image_id
            ]
            if not own:
                return False
            x, y = max(own, key=lambda scored: scored[0])[1].center
            if not (place.box.x0 <= x < place.box.x1 and place.box.y0 <= y < place.box.y1):
                return False
    return bool(cancers)


def _case(
    prediction: ExamPrediction,
    files: Path,
    manifest: Manifest,
    points: Mapping[str, float],
    path: Path,
) -> tuple[Path, str] | None:
    """A picture of the exam and its patient, where it is a right one."""
    exam = next(iter_exams([files]))  # with the pixels, which a prediction does not keep
    own = manifest.findings.filter(pl.col("exam_id") == exam.exam_id)
    known = findings_of(exam, rows_of_findings(own), source=manifest.source)
    if not is_right(prediction, known, points.get(RULE)):
        return None
    shown = [finding for finding in known if finding.malignant]
    write_bytes(path, encode(exam_picture(prediction, exam, known=shown), "png"))
    return path, exam.patient_id
