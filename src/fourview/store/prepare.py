"""Manifest -> store: every image read, processed and written; parallel, resumable, repeatable.

Crash:   a worker writes an image's shard beside the array and renames it, then the parent adds a
         line to a journal. Whatever is killed when: a rerun keeps what the journal names, does
         the rest, and the store's files are those of a run that nothing disturbed.
Damage:  what an earlier run stored is read and compared with its checksum; what differs is made
         again, in a finished store too. That takes the time of reading the files once.
Failure: a file that cannot be read, hangs its decoder or takes its worker down costs one image; it
         is listed in ``failed.parquet``. What may pass (time, memory, disk) is tried again by the
         next run, what will not (the file) only when asked for.
Disk:    a full one costs the images that it has no room for; the tables' room is taken first.
Order:   image i of the array is image i of ``images_to_read``, for any number of workers.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import polars as pl

from fourview.disk import named_if_full, reserved, whole, write_table, write_text
from fourview.entities import Image, Manifest, ProcessedImage
from fourview.entities.reasons import MAY_PASS, Reason, reason_of
from fourview.errors import DiskFullError, FourviewError, StoreError
from fourview.fingerprint import digest_of_file
from fourview.jobs.executor import Executor, LocalExecutor
from fourview.jobs.schedule import Lost
from fourview.manifest.content_hash import table_digest
from fourview.manifest.manifest import images_to_read
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.store.breast_scale import beside, scale_of_rows
from fourview.store.journal import Journal
from fourview.store.read_image import ReadImage, read_listed_image, read_processed
from fourview.store.shard import Tiling, checksum_of, encode_shard, is_whole
from fourview.store.store import (
    DESCRIPTION,
    FAILED,
    FAILED_SCHEMA,
    IMAGES,
    METADATA,
    PIXELS,
    STORED_SCHEMA,
    Description,
    array_metadata,
    canvas_of,
    has_table,
    shard_path,
)

JOURNAL = "journal.jsonl"
PARTIAL = "partial"  # shards being written; empty between images
LOCK = "lock"
RESERVE = "reserve"  # holds the room that the tables will take, and is gone before they are written
TABLE_BYTES, TABLE_BYTES_PER_IMAGE = 1 << 16, 1 << 10  # 300 to 600 bytes per image were seen
IMAGE_TIMEOUT_S = 120.0  # a whole film takes well under a second on an idle core

# What decides the pixels of a manifest; labels may be corrected without preparing again.
DECIDING = ("patient_id", "exam_id", "image_id", "path", "side", "view", "modifiers", "voi")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSummary:
    """What a run of ``prepare`` did.

    Attributes:
        num_stored: Images in the store now.
        num_new: Those of them that this run made.
        failed: The images that are not, with the columns of FAILED_SCHEMA.
        seconds: How long it took.
    """

    num_stored: int
    num_new: int
    failed: pl.DataFrame
    seconds: float


@dataclass(frozen=True, slots=True)
class _Job:
    """One image to process."""

    index: int
    row: dict[str, Any]
    beside: tuple[Mapping[str, Any], ...] = ()  # all images of its breast, where they share a scale


def prepare(
    manifest: Manifest,
    spec: PixelSpec | str,
    out: Path | str,
    *,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    image_timeout_s: float = IMAGE_TIMEOUT_S,
    retry_failed: bool = False,
    read: ReadImage = read_listed_image,
) -> PrepareSummary:
    """Process every image of a manifest that is not left out, and write them as a store.

    Calling it again on the same folder goes on where the last run was stopped; of a finished
    store it repairs what is damaged. The result does not depend on ``workers`` or ``executor``.

    Args:
        manifest: Lists the images; its ``root`` says where they are.
        spec: What is done to the pixels; or the name of a spec.
        out: Folder of the store; made if absent.
        workers: Processes, each on one core.
        executor: Where images are processed; None is ``workers`` processes of this machine.
        progress: Called with images done (stored or failed) and images in all.
        image_timeout_s: A file that takes longer is given up.
        retry_failed: Also try files again that an earlier run found to be bad.
        read: Makes an Image of a path and its manifest row, with no more pixels than the spec
            needs; importable by name.

    Raises:
        StoreError: The folder holds a store of another spec or other images, or is in use.
        DiskFullError: There is no room even for the tables.
    """
    start, out = time.monotonic(), Path(out)
    spec = pixel_spec(spec) if isinstance(spec, str) else spec
    rows = images_to_read(manifest)
    about = _describe(manifest, rows, spec)
    with named_if_full(out), _locked(out):
        _begin(out, about)
        journal = Journal(out / JOURNAL)
        done = _done_before(out, journal, retry_failed=retry_failed)
        todo = (job for job in _jobs(rows, spec) if job.index not in done)
        task = partial(_process_one, out=out, root=Path(manifest.root), spec=spec, read=read)
        run = (executor or LocalExecutor(workers)).run
        num_new = 0
        room = TABLE_BYTES + TABLE_BYTES_PER_IMAGE * about.num_images
        with reserved(out / RESERVE, room), journal:
            for entry in done.values() if len(done) < about.num_images else ():
                journal.add(entry)  # a crash while the tables are replaced leaves only the journal
            for job, outcome in run(task, todo, timeout_s=image_timeout_s):
                entry = _entry(job, outcome)
                journal.add(entry)
                done[job.index] = entry
                num_new += "reason" not in entry
                if progress is not None:
                    progress(len(done), about.num_images)
        failed = _finish(out, about, done)
    return PrepareSummary(
        num_stored=about.num_images - failed.height,
        num_new=num_new,
        failed=failed,
        seconds=time.monotonic() - start,
    )


def _describe(manifest: Manifest, rows: pl.DataFrame, spec: PixelSpec) -> Description:
    return Description(
        spec=spec,
        fingerprint=spec.fingerprint,
        images_digest=table_digest(rows.select(DECIDING)),
        num_images=rows.height,
        source=manifest.source,
        terms=manifest.terms,
        complete=False,
    )


def _jobs(rows: pl.DataFrame, spec: PixelSpec) -> Iterator[_Job]:
    """One job per image, in the order of the array."""
    views = beside(rows.iter_rows(named=True)) if spec.one_scale_of == "breast" else {}
    for index, row in enumerate(rows.iter_rows(named=True)):
        yield _Job(index, row, tuple(views.get((row["exam_id"], row["side"]), ())))


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the store's lock; the system lets go of it when the process ends, however it does."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{out}: another `prepare` is writing it; wait for its end") from error
        yield


def _begin(out: Path, about: Description) -> None:
    """Check that the folder is ours or empty, and write what the array is."""
    metadata, array = out / PIXELS / METADATA, array_metadata(about.num_images, about.canvas)
    if (out / DESCRIPTION).exists():
        _require_same(out, Description.read(out), about)
    elif not _is_beginning(out):
        raise StoreError(f"{out}: not empty and no store; name an empty or new folder")
    (out / PIXELS).mkdir(exist_ok=True)
    if not metadata.exists() or metadata.read_bytes() != array.encode():
        write_text(metadata, array)
    if not (out / DESCRIPTION).exists():
        write_text(out / DESCRIPTION, about.to_json())
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    (out / PARTIAL).mkdir()


def _is_beginning(out: Path) -> bool:
    """Whether a folder is empty, or what a full disk or a kill leaves of a store's first files."""
    drafts = {f".{DESCRIPTION}.partial", f".{METADATA}.partial"}
    pixels = {METADATA, *drafts}
    return all(
        item.name in {LOCK, PARTIAL, RESERVE, *drafts}
        or (item.name == PIXELS and all(file.name in pixels for file in item.iterdir()))
        for item in out.iterdir()
    )


def _require_same(out: Path, present: Description, needed: Description) -> None:
    if present.fingerprint != needed.fingerprint:
        raise StoreError(
            f"{out}: a store of pixel spec {present.spec.name} ({present.fingerprint}), not "
            f"{needed.spec.name} ({needed.fingerprint}); name another folder"
        )
    if present.images_digest != needed.images_digest:
        raise StoreError(
            f"{out}: a store of {present.num_images} images of '{present.source}', not of these "
            f"{needed.num_images} of '{needed.source}'; name another folder"
        )


def _done_before(out: Path, journal: Journal, *, retry_failed: bool) -> dict[int, dict[str, Any]]:
    """Entries of earlier runs that still hold, by index."""
    entries: dict[int, dict[str, Any]] = {}
    about = Description.read(out)
    for name, schema in ((IMAGES, STORED_SCHEMA), (FAILED, FAILED_SCHEMA)):
        if has_table(out, about, name):
            table = pl.read_parquet(out / name).select(list(schema))
            entries |= {row["index"]: row for row in table.iter_rows(named=True)}
    entries |= {entry["index"]: entry for entry in journal.read()}
    return {i: e for i, e in entries.items() if _holds(out, e, retry_failed=retry_failed)}


def _holds(out: Path, entry: dict[str, Any], *, retry_failed: bool) -> bool:
    if "reason" in entry:
        return not retry_failed and entry["reason"] not in MAY_PASS
    return is_whole(shard_path(out, entry["index"]), entry["num_bytes"], entry["crc32c"])


def _process_one(
    job: _Job, *, out: Path, root: Path, spec: PixelSpec, read: ReadImage
) -> dict[str, Any]:
    """In a worker: read, process and write one image; returns its entry for the journal."""
    cv2.setNumThreads(1)  # each worker has one core
    row = job.row
    try:
        scale = scale_of_rows(job.beside, root, spec, read) if job.beside else None
        image, processed = read_processed(
            root / str(row["path"]), row, spec, read=read, scale=scale
        )
        levels = to_pixel_levels(processed.pixels)
        data = encode_shard(levels, Tiling.of(canvas_of(spec)))
    except StoreError as error:
        return _failure(job, Reason.TOO_LARGE, str(error))
    except FourviewError as error:
        return _failure(job, reason_of(error), str(error))
    except OSError as error:
        return _failure(job, reason_of(error), f"{row['path']}: {error.strerror}")
    try:
        _write_shard(out, job.index, data)
    except (DiskFullError, OSError) as error:
        why = f"cannot write: {error.strerror}" if isinstance(error, OSError) else "no space left"
        return _failure(job, Reason.DISK, why)
    return _stored(job, image, processed, data)


def _write_shard(out: Path, index: int, data: bytes) -> None:
    """Write a shard whole or not at all: beside the array, then renamed into it."""
    path = shard_path(out, index)
    with whole(path, beside=out / PARTIAL, shared=True, synced=True) as draft:
        draft.write_bytes(data)


def _stored(job: _Job, image: Image, processed: ProcessedImage, shard: bytes) -> dict[str, Any]:
    row_spacing, col_spacing = image.spacing_mm or (None, None)
    rows, cols = processed.pixels.shape
    return {
        "image_id": job.row["image_id"],
        "patient_id": job.row["patient_id"],
        "exam_id": job.row["exam_id"],
        "side": processed.view.side,
        "view": processed.view.position,
        "modifiers": list(processed.view.modifiers),
        "index": job.index,
        "rows": rows,
        "cols": cols,
        "geometry": json.dumps(processed.geometry.to_json()),
        "row_spacing_mm": row_spacing,
        "col_spacing_mm": col_spacing,
        "num_bytes": len(shard),
        "crc32c": checksum_of(shard),
        "notes": list(processed.notes),
    }


def _failure(job: _Job, reason: Reason, detail: str) -> dict[str, Any]:
    return {
        "image_id": job.row["image_id"],
        "index": job.index,
        "path": job.row["path"],
        "reason": reason.value,
        "detail": detail.splitlines()[0] if detail else reason,
    }


def _entry(job: _Job, outcome: dict[str, Any] | Lost) -> dict[str, Any]:
    if isinstance(outcome, Lost):
        return _failure(job, Reason(outcome.reason), outcome.detail)
    return outcome


def _finish(out: Path, about: Description, done: dict[int, dict[str, Any]]) -> pl.DataFrame:
    """Write the tables, call the store complete, and remove what was only needed on the way."""
    ordered = [done[index] for index in sorted(done)]
    stored = pl.DataFrame([e for e in ordered if "reason" not in e], schema=STORED_SCHEMA)
    failed = pl.DataFrame([e for e in ordered if "reason" in e], schema=FAILED_SCHEMA)
    for name, table in ((IMAGES, stored), (FAILED, failed)):
        write_table(table, out / name)
    for index in failed["index"]:
        shard_path(out, index).unlink(missing_ok=True)
    tables = {name: digest_of_file(out / name) for name in (IMAGES, FAILED)}
    write_text(out / DESCRIPTION, replace(about, complete=True, tables=tables).to_json())
    (out / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(out / PARTIAL, ignore_errors=True)
    return failed
