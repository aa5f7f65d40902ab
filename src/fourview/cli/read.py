"""``fourview read``: DICOM in; scores, findings and a report out."""

import json as jsonlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.dicom import show as show_dicom
from fourview.cli.kinds import Kinds
from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.dicom.apart import start_decoder
from fourview.dicom.pseudonyms import Pseudonyms
from fourview.entities import Finding
from fourview.errors import FourviewError, ReportError
from fourview.manifest.findings_file import read_findings
from fourview.predict.engine import engine_on
from fourview.predict.language import load_language_model
from fourview.predict.language_maps import LanguageMaps
from fourview.predict.query_place import QueryPlace, parse_place
from fourview.predict.reader import load_model
from fourview.predict.studies import Named, Read, read_studies
from fourview.report.dicom.options import DicomOptions, parse_kinds
from fourview.report.dicom.result_file import CREATED
from fourview.report.exam_json import exam_to_json
from fourview.report.words import other_texts


def read(
    study: list[Path],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    model: list[Path] | None = None,
    findings: Path | None = None,
    miss_rate: float | None = None,
    maps: list[Path] | None = None,
    say: list[str] | None = None,
    at: list[str] | None = None,
    dicom: Kinds = None,
    separate: bool = False,
    full: bool = False,
    exact: bool = False,
    device: str | None = None,
    pseudonyms: Path | None = None,
    module: Modules = (),
    json: bool = False,
) -> None:
    """Read exams: files or folders of DICOM in; result.json and report.html of each exam out.

    Args:
        study: Files, folders or ZIP archives; they are put together to exams by their headers.
        out: Folder to write to; with several exams one folder per exam, and index.html over them.
        model: Run folder or checkpoint; may be repeated: scores of one task are then the mean, and
            those of other tasks stand beside them. Without it the model that ships with the
            package: trained on phantoms, it shows how things work and says nothing about a patient.
        findings: Findings to score one by one with a lesion network: CSV or Parquet with image_id
            and x0, y0, x1, y1 in pixels of the file (also finding_id, polygon), or a manifest.
            Without it the best regions of its context network are scored, and marked as proposed.
        miss_rate: Say which biopsies would be avoided if this part of the cancers may be missed,
            such as 0.02; the run's thresholds for it were chosen on validation.
        maps: Run of MaMA, MM-MIL or GLAM whose heatmaps are added: where a sentence is in each
            image, or where one view of a breast agrees with a patch of the other. May be repeated.
        say: A sentence to look for with --maps; may be repeated. Without it the impression of a
            suspicious abnormality.
        at: With --maps of GLAM, the place to look from: L-CC:1200,800, or a box as four numbers, in
            pixels of the file; may be repeated. Without it the best finding of each view, else the
            patch that agrees best.
        dicom: Also write standard objects for archives and viewers to OUT/dicom: cad-sr, gsps, sc,
            sr1500, seg, with commas between them; default stands for the first three, all for all.
        pseudonyms: File with a secret key of 16 bytes or more: ids are replaced by what it makes of
            them, dates are shifted, and nothing else of the headers is written that could tell who
            the patient is. Not with --dicom, whose objects name the patient as the images do.
        separate: Leave a finding for each image. Without it what a model marks in CC and MLO at one
            depth behind the nipple, within 10 mm, is one finding.
        full: Put every pixel of the files into the report, so that enlarged views are as sharp as
            the files are: about 2 MB per view. Without it a view has 1,200 rows at most.
        exact: Compute on the processor, even where there is a GPU.
        device: Where to compute: cpu, cuda, cuda:1, mps, xpu; without it a GPU where there is one.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print the results as JSON, one exam per line.
    """
    use_modules(module)
    if not maps:
        refuse_unused(read, needs="--maps", say=say)
    places = [parse_place(text) for text in at or ()]
    start_decoder()  # while the model is loaded
    engine = engine_on(device, exact=exact)
    reader = load_model(model or None, engine=engine)
    named = None if findings is None else Named(rows=read_findings(findings), source=findings.name)
    shown = _maps(maps or [], say or [], places, engine.device)
    if say and not any(each.says for each in shown):
        raise FourviewError("--say: none of --maps finds sentences (GLAM compares views); leave it")
    now = datetime.now(UTC).replace(second=0, microsecond=0)  # as exact as the report prints it
    objects = None if dicom is None else DicomOptions(kinds=parse_kinds(dicom), created=now)
    num_exams, troubles = 0, list[str]()
    for done in read_studies(
        study,
        reader,
        out,
        created=now.strftime(CREATED),
        named=named,
        miss_rate=miss_rate,
        maps=shown,
        dicom=objects,
        pseudonyms=None if pseudonyms is None else Pseudonyms.read(pseudonyms),
        full=full,
        join=not separate,
    ):
        num_exams += 1
        troubles += [done.dicom_trouble] if done.dicom_trouble else []
        if json:
            print(jsonlib.dumps(exam_to_json(done.prediction)), flush=True)
        else:
            if num_exams == 1:
                show_caution(reader.caution)
            _show(done)
    if troubles:
        raise ReportError(
            f"{len(troubles)} of {num_exams} exams have no DICOM objects: {troubles[0]}"
        )


def _maps(
    runs: list[Path], sentences: list[str], places: list[QueryPlace], device: str
) -> list[LanguageMaps]:
    """Each run with the sentences, and those that compare views with the places."""
    models = [load_language_model(run, device=device) for run in runs]
    if places and not any(model.model.has_slice_maps for model in models):
        raise ReportError(f"--at {places[0]}: no map starts from a place; add --maps RUN of glam")
    return [
        LanguageMaps(model, sentences, places if model.model.has_slice_maps else ())
        for model in models
    ]


def show_caution(caution: str) -> None:
    """Say to standard error, before any score, what its reader must know of the model."""
    say(f"note: {caution}", to=sys.stderr)


def _show(done: Read) -> None:
    say(f"exam {done.prediction.exam_id}")
    for breast in done.prediction.breasts:
        others = other_texts(done.prediction, breast)
        scores = [] if breast.score is None else [f"{breast.score:.3f}"]
        text = "; ".join([*scores, *others]) or "not scored"
        notes = f" ({'; '.join(breast.notes)})" if breast.notes else ""
        say(f"  {breast.side}: {text}, {len(breast.findings)} regions{notes}")
        for finding in breast.findings:
            if finding.patches or finding.quadrant:
                say(f"    {_finding(finding, done)}")
    for file in done.prediction.left_out:
        say(f"  left out: {file.path}: {file.detail}")
    if done.dicom is not None:
        show_dicom(done.dicom, done.folder / "dicom", indent="  ")
    say(f"  report: {done.folder / 'report.html'} (research use only)")


def _finding(finding: Finding, done: Read) -> str:
    """One line about a finding: its views, score and place."""
    names = {image.image_id: image.view.name for image in done.prediction.images}
    views = " and ".join(dict.fromkeys(names.get(r.image_id, "") for r in finding.regions))
    score = "not scored" if finding.score is None else f"{finding.score:.3f}"
    far = "" if finding.nipple_mm is None else f"{finding.nipple_mm:.0f} mm from the nipple"
    place = ", ".join(part for part in (finding.quadrant, far) if part)
    return f"{finding.finding_id} ({finding.source}): {score}, {views}" + (
        f", {place}" if place else ""
    )
