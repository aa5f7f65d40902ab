"""``fourview index``: headers and label tables to a manifest."""

import inspect
import json as jsonlib
import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.progress import Update, progress_bar
from fourview.data.executor import Executor, find_executor
from fourview.data.manifest import write_manifest
from fourview.data.sources.find import find_source
from fourview.data.split import assign_split
from fourview.entities import Manifest
from fourview.errors import ManifestError

PARTS = ("train", "validation", "test")


def index(
    root: Path,
    *,
    source: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    split: str | None = None,
    seed: int = 0,
    workers: int = 2,
    executor: str = "local",
    json: bool = False,
) -> None:
    """Turn a data set into a manifest: four tables with one meaning for every set.

    Stopped while it reads headers, the same command goes on; what it found so far lies beside the
    manifest until that is written.

    Parameters
    ----------
    root: Folder of the data set.
    source: Name of its reader, as ``fourview list sources`` shows; dicom for any folder.
    out: Folder of the manifest.
    split: Shares of the patients for train, validation, test, such as 0.8,0.1,0.1; stratified.
        Without it the data set's own split is kept, if it has one.
    seed: Of the split.
    workers: Processes that read headers, where the source reads any.
    executor: Where they run: local, or ray (the cluster in RAY_ADDRESS, else one started here).
    json: Print the summary as JSON.
    """
    work = out.absolute().parent / f".{out.name}.index"
    with progress_bar(quiet=json) as update:
        manifest = _read(root, source, find_executor(executor, workers), work, update)
    if split is not None:
        manifest = assign_split(manifest, _shares(split), seed)
    digest = write_manifest(manifest, out)
    shutil.rmtree(work, ignore_errors=True)
    left_out = manifest.images["left_out"]
    by_reason: dict[str, int] = dict(left_out.drop_nulls().value_counts().sort("left_out").rows())
    summary = {
        "manifest": str(out),
        "hash": digest,
        "patients": manifest.exams["patient_id"].n_unique(),
        "exams": len(manifest.exams),
        "images": len(manifest.images),
        "left_out": int(left_out.is_not_null().sum()),
        "left_out_by_reason": by_reason,
        "findings": len(manifest.findings),
        "terms": manifest.terms,
    }
    if json:
        print(jsonlib.dumps(summary))
        return
    print(
        f"{summary['patients']} patients, {summary['exams']} exams, {summary['images']} images, "
        f"{summary['findings']} findings in {out}"
    )
    for reason, count in by_reason.items():
        print(f"left out: {count} {reason}")


def _read(root: Path, source: str, executor: Executor, work: Path, update: Update) -> Manifest:
    function = find_source(source)
    known = inspect.signature(function).parameters
    options = {
        "executor": executor,
        "work": work,
        "progress": lambda done, of: update("reading headers", done, of),
    }
    return function(root, **{k: v for k, v in options.items() if k in known})


def _shares(text: str) -> dict[str, float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != len(PARTS):
        raise ManifestError(f"--split {text}: need three shares that sum to 1, such as 0.8,0.1,0.1")
    return dict(zip(PARTS, shares, strict=True))
