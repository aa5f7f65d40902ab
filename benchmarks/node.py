"""``fourview node`` under load: 200 studies from four senders at once, through a loopback archive.

The node runs in a process of its own, with a worker that makes real objects of a made-up result:
what is measured is the node, not a network. NODE_MODEL=1 reads with the packaged model instead.
Printed: studies an hour, peak memory of node and worker, growth after the first 50 studies, size of
the journal, processor time of an idle node. The rows compare with what is allowed (section "Floors"
of docs/node.md): the plain column is the allowance. It ends by itself, after ten minutes at most.

    python -m benchmarks node            NODE_STUDIES=20 for a shorter one
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pydicom import dcmread
from pynetdicom import AE, StoragePresentationContexts, evt

STUDIES = int(os.environ.get("NODE_STUDIES", "200"))
SENDERS, LIMIT_S, WARM = 4, 600.0, 50  # WARM: studies before growth of memory counts
ALLOWED_S, ALLOWED_MB = 120.0, 20.0
RECEIVED, LARGE = 10, 17_000_000  # images, bytes each
KNOWN_STUDIES, QUERY_S, START_S = 10_000, 0.020, 5.0
ROOT = "1.2.826.0.1.3680043.10.999"
SETTINGS = """
[node]
folder = "spool"
listen = "127.0.0.1:{port}"
quiet_s = 2
early_s = 1
least_free = "1 MB"
[[node.callers]]
ae_title = "BENCH"
addresses = ["127.0.0.1/32"]
[[node.destinations]]
name = "archive"
kind = "dimse"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive}
"""


def run() -> Iterator[dict[str, Any]]:
    """The rows of ``python -m benchmarks``."""
    with tempfile.TemporaryDirectory(prefix="fourview-bench-node-") as folder:
        yield from _of_journal(Path(folder) / "journal")
        yield from _of_load(Path(folder))


def _of_journal(folder: Path) -> Iterator[dict[str, Any]]:
    """Every query of the loop, and a start, with 10,000 studies in the journal."""
    from fourview.node.journal import Journal  # noqa: PLC0415
    from fourview.node.spool import sweep  # noqa: PLC0415

    for name in ("in", "out", "part", "refused"):
        (folder / name).mkdir(parents=True)
    journal = Journal(folder)
    _fill(journal)
    queries = {
        "candidates": lambda: journal.candidates(0.0, 60.0),
        "take": lambda: journal.take("archive", 0.0),
        "events": journal.events,
        "is_idle": lambda: journal.is_idle(0.0),
        "oldest": journal.oldest,
    }
    for name, query in queries.items():
        began = time.perf_counter()
        for _ in range(20):
            query()
        took = (time.perf_counter() - began) / 20
        yield _row(f"query {name}, {KNOWN_STUDIES:,} studies", QUERY_S, took, 1)
    began = time.perf_counter()
    again = Journal(folder)
    again.start(time.monotonic())
    sweep(again)
    took = time.perf_counter() - began
    yield _row(f"start, {KNOWN_STUDIES:,} studies", START_S, took, 1)
    size = (folder / "queue.sqlite").stat().st_size
    print(f"journal of {KNOWN_STUDIES:,} studies: {size / 1e6:.1f} MB", flush=True)


def _fill(journal: Any) -> None:
    """Studies that were read and sent long ago."""
    numbers = range(KNOWN_STUDIES)
    with journal._tables.writing() as db:
        db.executemany(
            "INSERT INTO study VALUES (?, 'done', 1, 1, 0, 'k', 0, 1, '')",
            [(f"{ROOT}.1.{n}",) for n in numbers],
        )
        db.executemany(
            "INSERT INTO instance VALUES (?, ?, '1', NULL, ?, 1, '1', '1', 'R-CC', 'A', 1, 0)",
            [(f"{ROOT}.3.{n}.{i}", f"{ROOT}.1.{n}", "0" * 64) for n in numbers for i in range(4)],
        )
        db.executemany(
            "INSERT INTO job VALUES (?, ?, 1, 1, 1, 1, 'done', '')",
            [(f"{ROOT}.1.{n}", "0" * 64) for n in numbers],
        )
        for i in range(6):
            db.executemany(
                "INSERT INTO result VALUES (?, ?, ?, 'gsps', 'e', NULL, '1', '1', 1, NULL)",
                [(f"2.25.{n}.{i}", f"{ROOT}.1.{n}", "0" * 64) for n in numbers],
            )
            db.executemany(
                "INSERT INTO delivery VALUES (?, 'archive', ?, 'sent', 1, 0, 0, 1, 1, '0000', '')",
                [(f"2.25.{n}.{i}", f"{ROOT}.1.{n}") for n in numbers],
            )


def _of_load(folder: Path) -> Iterator[dict[str, Any]]:
    files = _exam(folder)
    with _archive() as (archive, kept), _node(folder, archive) as (process, port):
        idle = _idle_share(process)
        seen: list[tuple[int, int, int]] = []
        began = time.monotonic()
        senders = [
            threading.Thread(target=_send, args=(files, port, range(s, STUDIES, SENDERS)))
            for s in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        while len(kept) < 6 * STUDIES and time.monotonic() - began < LIMIT_S:
            seen.append((len(kept) // 6, *_memory(process)))
            time.sleep(0.5)
        took = time.monotonic() - began
        for sender in senders:
            sender.join()
        seen.append((len(kept) // 6, *_memory(process)))
        size = sum(p.stat().st_size for p in (folder / "spool").glob("queue.sqlite*"))
        rate, grown = _receive(files[0], port, process)
    done = len(kept) // 6
    late = [node for studies, node, _ in seen if studies >= min(WARM, STUDIES // 4)]
    growth = (max(late) - late[0]) / 1e6 if late else float("nan")
    print(
        f"{done} of {STUDIES} studies in {took:.0f} s: {3600 * done / took:.0f} studies an hour; "
        f"peak memory {max(s[1] for s in seen) / 1e6:.0f} MB (node), "
        f"{max(s[2] for s in seen) / 1e6:.0f} MB (its workers); growth after the first "
        f"{min(WARM, STUDIES // 4)} studies {growth:.1f} MB; journal {size / 1e6:.2f} MB; "
        f"idle {100 * idle:.2f} % of a core",
        flush=True,
    )
    yield _row(f"{done} of {STUDIES} studies, {SENDERS} senders", ALLOWED_S, took, None)
    yield _row("growth of memory (MB, not seconds)", ALLOWED_MB, max(growth, 0.01), 1)
    print(f"receiving: {rate:.0f} MB a second in one association, {grown / 1e6:.1f} MB more memory")
    yield _row(
        f"receiving {RECEIVED * LARGE / 1e6:.0f} MB",
        RECEIVED * LARGE / 30e6,
        RECEIVED * LARGE / 1e6 / rate,
        None,
    )
    yield _row("idle (percent of a core, not seconds)", 1.0, max(100 * idle, 0.001), 1)


def _row(name: str, allowed: float, took: float, floor: float | None) -> dict[str, Any]:
    return {"name": name, "ratio": allowed / took, "ours": took, "plain": allowed, "floor": floor}


def _exam(folder: Path) -> list[Any]:
    """The data sets of a small phantom exam."""
    from fourview.phantom.write import write_phantom  # noqa: PLC0415

    write_phantom(folder / "phantom", num_exams=1, seed=3, preset="miniature", rows=256)
    return [dcmread(path) for path in sorted((folder / "phantom" / "dicom").rglob("*.dcm"))]


def _send(files: list[Any], port: int, numbers: range) -> None:
    """Studies, one after another, each in an association; sent again until all is answered."""
    entity = AE(ae_title="BENCH")
    for sop_class, syntax in {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in files}:
        entity.add_requested_context(sop_class, syntax)
    for number in numbers:
        waiting = [_as_study(dataset, number, place) for place, dataset in enumerate(files)]
        for _ in range(20):
            association = entity.associate("127.0.0.1", port, ae_title="FOURVIEW")
            if association.is_established:
                waiting = [d for d in waiting if association.send_c_store(d).get("Status") != 0]
                association.release()
            if not waiting:
                break
            time.sleep(0.5)


def _receive(dataset: Any, port: int, process: psutil.Process) -> tuple[float, float]:
    """Megabytes a second of large images in one association, and what the node's memory grew by."""
    large = _as_study(dataset, STUDIES, 0)
    large.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    large.PixelData = bytes(LARGE)
    entity = AE(ae_title="BENCH")
    entity.add_requested_context(large.SOPClassUID, large.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title="FOURVIEW")
    before = process.memory_info().rss
    began = time.monotonic()
    for number in range(RECEIVED):
        large.SOPInstanceUID = f"{ROOT}.4.{number}"
        large.file_meta.MediaStorageSOPInstanceUID = large.SOPInstanceUID
        if association.send_c_store(large).get("Status") != 0:
            raise RuntimeError("the node refused a large image")
    took = time.monotonic() - began
    grown = process.memory_info().rss - before
    association.release()
    return RECEIVED * LARGE / 1e6 / took, grown


def _as_study(dataset: Any, number: int, place: int) -> Any:
    import copy  # noqa: PLC0415

    copied = copy.deepcopy(dataset)
    copied.StudyInstanceUID = f"{ROOT}.1.{number}"
    copied.SeriesInstanceUID = f"{ROOT}.2.{number}"
    copied.SOPInstanceUID = f"{ROOT}.3.{number}.{place}"
    copied.file_meta.MediaStorageSOPInstanceUID = copied.SOPInstanceUID
    copied.PatientID = f"P{number}"
    return copied


@contextmanager
def _archive() -> Iterator[tuple[int, set[str]]]:
    """A peer that counts what it is sent."""
    kept: set[str] = set()

    def take(event: Any) -> int:
        kept.add(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = AE(ae_title="ARCHIVE")
    entity.supported_contexts = StoragePresentationContexts
    port = _free_port()
    handlers = [(evt.EVT_C_STORE, take)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield port, kept
    finally:
        server.shutdown()


@contextmanager
def _node(folder: Path, archive: int) -> Iterator[tuple[psutil.Process, int]]:
    port = _free_port()
    settings = folder / "node.toml"
    settings.write_text(SETTINGS.format(port=port, archive=archive))
    worker = "fourview.node.worker" if os.environ.get("NODE_MODEL") else "benchmarks.node_reader"
    code = (
        "import sys; from pathlib import Path; from fourview.node.run import run_node; "
        "from fourview.node.settings import read_settings; "
        "run_node(read_settings(Path(sys.argv[1])), worker=sys.argv[2])"
    )
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(settings), worker],
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    try:
        until = time.monotonic() + LIMIT_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "log.txt").read_text())
            time.sleep(0.2)
        yield psutil.Process(process.pid), port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _memory(process: psutil.Process) -> tuple[int, int]:
    """Resident bytes of the node, and of its workers together."""
    workers = 0
    for child in process.children(recursive=True):
        try:
            workers += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return process.memory_info().rss, workers


def _idle_share(process: psutil.Process, seconds: float = 5.0) -> float:
    """Processor time of the node and its workers while nothing comes, as a part of one core."""
    time.sleep(2.0)
    everyone = [process, *process.children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in everyone)
    time.sleep(seconds)
    return (sum(sum(p.cpu_times()[:2]) for p in everyone) - before) / seconds


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
