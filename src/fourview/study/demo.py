"""The demonstration: phantom exams through every stage, measured against their truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fourview.entities import Result
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import manifest_hash, read_manifest, write_manifest
from fourview.phantom.write import write_phantom
from fourview.predict.engine import engine_on
from fourview.predict.reader import load_model
from fourview.predict.studies import read_studies
from fourview.report.result_files import write_result
from fourview.run_files import PREDICTIONS
from fourview.sources.find import find_source
from fourview.store.prepare import prepare
from fourview.store.store import Store

Progress = Callable[[str, int, int], None]
SEED = 20260101  # of the demonstration; the embedded model was trained on another one
PRESET = "miniature"
ROWS = 768  # a picture worth looking at; the model reads 192 x 96
PROTOCOL = "screening-breast-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration made.

    Attributes:
        index: The page that lists the exams' reports.
        report: The first exam's report.
        result: Scores against truth, by breast.
        num_exams: Exams made.
    """

    index: Path
    report: Path
    result: Result
    num_exams: int


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
        out: Folder: phantom/, manifest/, store/, predictions.parquet, result/, reports/.
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
    reports = out / "reports"
    first = None
    for done, exam in enumerate(
        read_studies([phantom / "dicom"], reader, reports, created=created), start=1
    ):
        first = first or exam.folder / "report.html"
        progress("reports", done, num_exams)
    assert first is not None  # read_studies yields at least one exam or raises
    index = reports / "index.html" if num_exams > 1 else first
    return Demo(index=index, report=first, result=result, num_exams=num_exams)
