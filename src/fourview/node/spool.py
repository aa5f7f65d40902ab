"""The node's folder: who owns it, where files lie, and how it is put in order at a start.

SPOOL/queue.sqlite     the journal
SPOOL/in/HH/STUDY/     images as they came; names are hashes
SPOOL/out/HH/STUDY/    one folder per reading: result.json, report.html, dicom/
SPOOL/refused/         what was no DICOM, for a day
SPOOL/part/            drafts; emptied at every start
SPOOL/audit.jsonl, audit.key, lock
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fourview.dicom import tags
from fourview.dicom.header import header_of
from fourview.dicom.part10 import open_dicom
from fourview.entities import SLOTS
from fourview.errors import DicomError, NodeError
from fourview.fingerprint import digest_of_file, digest_of_text
from fourview.node.journal import Journal
from fourview.node.rows import Arrival, file_of

IN, OUT, PART, REFUSED, LOCK = "in", "out", "part", "refused", "lock"
DAY_S = 86_400.0
UID_LENGTH = 64
READING = 4  # parts of the path of a reading's folder: out/HH/STUDY/KEY


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Make the folder and hold it: one node at a time.

    Raises:
        NodeError: Another process holds it; the message has its number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in (IN, OUT, PART, REFUSED):
        (folder / name).mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NodeError(f"{folder}: a node is already running (pid {_pid(folder)})") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def running(folder: Path) -> str | None:
    """The process number of the node that holds the folder; None where none does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(folder)
    finally:
        os.close(descriptor)
    return None


def _pid(folder: Path) -> str:
    return (folder / LOCK).read_text(encoding="ascii", errors="replace").strip() or "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the node reads of an image's header."""

    sop: str
    study: str
    series: str | None
    sop_class: str
    syntax: str
    slot: str | None


def read_facts(path: Path) -> Facts:
    """The identifiers and the view of an image; its pixels are not touched.

    Raises:
        DicomError: It is no DICOM, its header is damaged, or an identifier is not valid.
    """
    with open_dicom(path) as file:
        sop = uid(file.elements.text(tags.SOP_INSTANCE) or file.start.sop_instance)
        study = uid(file.elements.text(tags.STUDY_INSTANCE))
        series = file.elements.text(tags.SERIES_INSTANCE)
        header = header_of(file, path.name)
        sop_class = file.elements.text(tags.SOP_CLASS) or file.start.sop_class or ""
    view = header.view
    slot = view.name if view is not None and header.left_out is None else None
    return Facts(
        sop=sop,
        study=study,
        series=series,
        sop_class=sop_class,
        syntax=header.transfer_syntax,
        slot=slot if slot in SLOTS else None,
    )


def uid(text: str | None) -> str:
    """A unique identifier: digits and points, at most 64 (PS3.5 9.1).

    Raises:
        DicomError: It is not one.
    """
    if not text or len(text) > UID_LENGTH or not set(text) <= set("0123456789."):
        raise DicomError("an identifier of study or image is missing or none")
    return text


def keep_image(
    journal: Journal,
    path: Path,
    facts: Facts,
    *,
    caller: str,
    is_open: bool,
    received: float,
) -> str:
    """Take an image into the spool: on the disk, named, and noted down; then it may be answered.

    Args:
        journal: Of the spool.
        path: A whole file below the spool's ``part``, or anywhere; it stays.
        facts: Of it.
        caller: Who sent it.
        is_open: Whether its association is open.
        received: Monotonic seconds when it began to arrive.

    Returns:
        stored, changed, or duplicate (nothing is written then).

    Raises:
        OSError: The disk is full.
        sqlite3.Error: The journal cannot be written.
    """
    sha256 = digest_of_file(path)
    before = journal.instance(facts.sop)
    is_same = before is not None and before["sha256"] == sha256 and before["study"] == facts.study
    if is_same and before is not None and before["file"] is not None:
        return "duplicate"
    is_other = before is not None and before["sha256"] != sha256
    name = file_of(facts.study, facts.sop, sha256 if is_other else "")
    place = journal.folder / name
    _put(path, place, journal.folder)
    now = time.monotonic()
    arrival = Arrival(
        sop=facts.sop,
        study=facts.study,
        series=facts.series,
        file=name,
        sha256=sha256,
        bytes=place.stat().st_size,
        sop_class=facts.sop_class,
        syntax=facts.syntax,
        slot=facts.slot,
        caller=caller,
        is_open=is_open,
    )
    journal.add(arrival, now, ms=round(1000 * (now - received)))
    # After the row, so that no row ever names a missing file.
    if before is not None and before["file"] not in (None, name):
        (journal.folder / before["file"]).unlink(missing_ok=True)
    return "changed" if is_other else "stored"


def _put(source: Path, place: Path, spool: Path) -> None:
    """Link or copy a file to its place, and make sure that file and name are on the disk."""
    draft = spool / PART / f"keep-{os.getpid()}-{id(source)}-{place.name}"
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        try:
            os.link(source, draft)
        except OSError:  # another disk
            shutil.copyfile(source, draft)
        draft.chmod(0o600)
        sync(draft)
        draft.replace(place)
        for folder in (place.parent, place.parent.parent, spool / IN):
            sync(folder)
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make sure that a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(journal: Journal) -> dict[str, int]:
    """Put the folder in order at a start: what no row names is taken up or removed.

    Images whose row was never written (the node was killed in between, or the journal is new) are
    taken up; images and results whose rows have forgotten them are removed, drafts too.

    Returns:
        Counts for the log: taken_up, removed, missing (rows whose file is gone).
    """
    spool = journal.folder
    for each in (spool / PART).iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    known = journal.known_files()
    by_name = {digest_of_text(sop)[:32]: sop for sop in known}
    named = {file for file in known.values() if file is not None}
    taken_up = removed = 0
    for path in sorted((spool / IN).rglob("*.dcm")):
        file = path.relative_to(spool).as_posix()
        if file in named:
            named.discard(file)
        elif path.stem.partition("-")[0] in by_name:  # its row names another, or none
            path.unlink()
            removed += 1
        else:
            taken_up += _take_up(journal, path)
    kept = {Path(file).parts[:READING] for file in journal.result_files()}
    for reading in (spool / OUT).glob("??/*/*"):
        if reading.relative_to(spool).parts not in kept:
            shutil.rmtree(reading)
            removed += 1
    return {"taken_up": taken_up, "removed": removed, "missing": len(named)}


def _take_up(journal: Journal, path: Path) -> int:
    try:
        facts = read_facts(path)
    except DicomError:
        path.replace(journal.folder / REFUSED / path.name)
        return 0
    draft = journal.folder / PART / path.name
    path.replace(draft)
    keep_image(journal, draft, facts, caller="taken up", is_open=False, received=time.monotonic())
    draft.unlink()
    return 1


def expire(journal: Journal, *, keep_days: float, keep_results_days: float) -> None:
    """Delete pixels, results and refused files that are old enough; rows forget them first."""
    now = time.time()
    for file in journal.forget_pixels(now - keep_days * DAY_S):
        (journal.folder / file).unlink(missing_ok=True)
    folders = {
        Path(f).parts[:READING] for f in journal.forget_results(now - keep_results_days * DAY_S)
    }
    for parts in folders:
        shutil.rmtree(journal.folder.joinpath(*parts), ignore_errors=True)
    for each in (journal.folder / REFUSED).iterdir():
        if each.stat().st_mtime < now - DAY_S:
            each.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """Room on the folder's disk for this user."""
    return shutil.disk_usage(folder).free
