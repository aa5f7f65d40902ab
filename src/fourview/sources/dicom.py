"""A folder of DICOM files -> Manifest: what the headers say, for data without a table of their own.

Reads:   ROOT/**, header by header; no pixels.
Labels:  none: what a header holds of disease is unknown.
Exams:   one study; films whose patient id names one film are joined by patient.
Left out: every file stays as a row. One that is no mammogram to read has its reason; one that is
         not even DICOM has "unreadable" in place of patient and exam, and its path as image id.
Scale:   workers write the rows of their files as Parquet parts into a work folder, each named by
         a hash of its files' names, sizes and times. A scan that was stopped goes on where a part
         is missing. The tables are made of the parts a range of patients at a time, so memory does
         not grow with the folder.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fourview.dicom.pseudonyms import Pseudonyms
from fourview.disk import named_if_full
from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.jobs.executor import Executor, LocalExecutor
from fourview.manifest.manifest import make_manifest, read_manifest
from fourview.manifest.parts import write_in_parts
from fourview.sources._dicom_parts import Progress, write_parts
from fourview.sources._dicom_tables import tables_in_order

TERMS = "A user's own DICOM files: the terms are those under which they were obtained."
SPACE = "sort"  # folder inside the work folder


def read_dicom(
    root: Path,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    work: Path | None = None,
    progress: Progress | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> Manifest:
    """Turn the headers of all files below a folder into a manifest.

    The whole of it is in memory at the end; ``write_dicom`` writes it without.

    Args:
        root: The folder; ``path`` in the tables is relative to it.
        workers: Processes that read headers; 1 stays in this one.
        executor: Where headers are read; None is ``workers`` processes of this machine.
        work: As for ``write_dicom``.
        progress: As for ``write_dicom``.
        pseudonyms: As for ``write_dicom``.

    Returns:
        Images with their views and reasons; every label is unknown. A study with several patient
        ids becomes several exams, whose ids end in the patient's. It does not depend on workers
        or executor.

    Raises:
        ManifestError: There is no such folder, or no file in it.
    """
    if executor is None and workers > 1:
        executor = LocalExecutor(workers)
    with tempfile.TemporaryDirectory(prefix="fourview-index-") as folder:
        out = Path(folder) / "manifest"
        write_dicom(
            root, out, executor=executor, work=work, progress=progress, pseudonyms=pseudonyms
        )
        return read_manifest(out)


def write_dicom(
    root: Path,
    out: Path,
    *,
    executor: Executor | None = None,
    work: Path | None = None,
    progress: Progress | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> str:
    """Write the manifest of all files below a folder, in memory that does not grow with it.

    Args:
        root: The folder; ``path`` in the tables is relative to it.
        out: Folder of the manifest.
        executor: Where headers are read; None is this process.
        work: Folder for what is read on the way. If the run is stopped, one with the same folder
            reads only files that are new or have another size or time. It is left as it is, for
            the caller to remove; None is a temporary one.
        progress: Called with the number of files done, and how many there are: None until all
            are known.
        pseudonyms: Replaces what tells whose the files are; None keeps it.

    Returns:
        The manifest's hash.

    Raises:
        ManifestError: There is no such folder, or no file in it; or ``out`` holds other things.
        DiskFullError: What was read so far stays in the work folder.
    """
    if not root.is_dir():
        raise ManifestError(f"{root}: is no folder; name the one that holds the DICOM files")
    with _work_folder(work) as folder, named_if_full(out.parent):
        parts = write_parts(
            root, folder, executor=executor, progress=progress, pseudonyms=pseudonyms
        )
        if not parts:
            raise ManifestError(
                f"{root}: holds no files; name the folder that holds the DICOM files"
            )
        space = folder / SPACE
        shutil.rmtree(space, ignore_errors=True)  # of a run that was stopped
        try:
            return write_in_parts(_manifests(root, parts, space), out)
        finally:
            shutil.rmtree(space, ignore_errors=True)


def _manifests(root: Path, parts: list[Path], space: Path) -> Iterator[Manifest]:
    for images, exams in tables_in_order(parts, space, root):
        yield make_manifest(source="dicom", root=root, images=images, exams=exams, terms=TERMS)


@contextmanager
def _work_folder(work: Path | None) -> Iterator[Path]:
    if work is None:
        with tempfile.TemporaryDirectory(prefix="fourview-index-") as folder:
            yield Path(folder)
        return
    work.mkdir(parents=True, exist_ok=True)
    yield work
