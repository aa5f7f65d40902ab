"""A folder of DICOM files -> Manifest: what the headers say, for data without a table of their own.

Reads:   ROOT/**, header by header; no pixels.
Labels:  none: what a header holds of disease is unknown.
Exams:   one study; films whose patient id names one film are joined by patient.
Left out: every file stays as a row. One that is no mammogram to read has its reason; one that is
         not even DICOM has "unreadable" in place of patient and exam, and its path as image id.
Scale:   workers write the rows of their files as Parquet parts into a work folder, each named by
         a hash of its files' names, sizes and times. The memory of the scan does not grow with
         the folder, and a scan that was stopped goes on where a part is missing.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from fourview.data.executor import Executor, LocalExecutor
from fourview.data.manifest import make_manifest
from fourview.data.sources._dicom_parts import Progress, write_parts
from fourview.entities import EXAMS_SCHEMA, Manifest
from fourview.errors import ManifestError

TERMS = "A user's own DICOM files: the terms are those under which they were obtained."


def read_dicom(
    root: Path,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    work: Path | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Turn the headers of all files below a folder into a manifest.

    Args:
        root: The folder; ``path`` in the tables is relative to it.
        workers: Processes that read headers; 1 stays in this one.
        executor: Where headers are read; None is ``workers`` processes of this machine.
        work: Folder for what is found on the way. If the run is stopped, one with the same folder
            reads only files that are new or have another size or time. It is left as it is, for
            the caller to remove; None is a temporary one.
        progress: Called with the number of files done, and how many there are: None until all
            are known.

    Returns:
        Images with their views and reasons; every label is unknown. A study with several patient
        ids becomes several exams, whose ids end in the patient's. It does not depend on workers
        or executor.

    Raises:
        ManifestError: There is no such folder, or no file in it.
    """
    if not root.is_dir():
        raise ManifestError(f"{root}: is no folder; name the one that holds the DICOM files")
    if executor is None and workers > 1:
        executor = LocalExecutor(workers)
    with _work_folder(work) as folder:
        parts = write_parts(root, folder, executor=executor, progress=progress)
        if not parts:
            raise ManifestError(
                f"{root}: holds no files; name the folder that holds the DICOM files"
            )
        images, exams = _tables(parts)
    return make_manifest(source="dicom", root=root, images=images, exams=exams, terms=TERMS)


@contextmanager
def _work_folder(work: Path | None) -> Iterator[Path]:
    if work is None:
        with tempfile.TemporaryDirectory(prefix="fourview-index-") as folder:
            yield Path(folder)
        return
    work.mkdir(parents=True, exist_ok=True)
    yield work


def _tables(parts: list[Path]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables of images and exams; the first file of an image is it, others are duplicates."""
    is_second = ~pl.col("image_id").is_first_distinct()
    owner = pl.col("patient_id").first().over("exam_id")
    found = pl.concat([pl.read_parquet(part) for part in parts])
    found = found.with_columns(
        pl.when(is_second).then(pl.lit("duplicate")).otherwise("left_out").alias("left_out"),
        pl.when(is_second)
        .then(pl.format("a second file of image {}", "image_id"))
        .otherwise("detail")
        .alias("detail"),
        pl.when(is_second)
        .then(pl.format("{}#{}", "image_id", "path"))
        .otherwise("image_id")
        .alias("image_id"),
        pl.when(owner != pl.col("patient_id"))
        .then(pl.format("{}#{}", "exam_id", "patient_id"))
        .otherwise("exam_id")
        .alias("exam_id"),
    )
    ages = found.select("patient_id", "exam_id", "age")
    known = pl.col("age").is_not_null()
    exams = pl.concat([ages.filter(~known), ages.filter(known)]).unique("exam_id", keep="last")
    exams = exams.with_columns(density=pl.lit(None, pl.String), split=pl.lit(None, pl.String))
    return found.drop("age"), exams.select(list(EXAMS_SCHEMA))
