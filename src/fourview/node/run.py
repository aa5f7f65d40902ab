"""The node as a process: its threads, its signals, its end."""

import contextlib
import os
import socket
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from fourview.errors import NodeError
from fourview.jobs.ending import ended_by_signals
from fourview.node.audit import Audit
from fourview.node.deliver import Delivery
from fourview.node.job import WORKER
from fourview.node.journal import Journal
from fourview.node.pull import Puller
from fourview.node.receive import OpenStudies, Receiver, import_pynetdicom
from fourview.node.settings import NodeSettings
from fourview.node.spool import expire, free_bytes, owned, sweep
from fourview.node.work import Work, model_problem

TICK_S = 0.25  # how soon events are in the log, and an end is seen
KEEPING_S = 30.0  # how often old files and the disk are looked at
FINISH_S = 30.0  # what a reading gets to finish when the node ends


@dataclass(slots=True)
class _Parts:
    """What runs."""

    work: Work
    deliveries: list[Delivery]
    pullers: list[Puller]
    receiver: Receiver | None = None
    is_low: bool = False
    kept_at: float = field(default_factory=lambda: -KEEPING_S)


def run_node(
    settings: NodeSettings,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    worker: str = WORKER,
    show: TextIO | None = sys.stderr,
) -> None:
    """Receive, read and send until SIGTERM or ``stop``.

    Args:
        settings: From ``read_settings``.
        once: Do not listen; end when nothing waits and every result was tried to be sent.
        stop: Ends the node when set; signals set it too, where this is the main thread.
        worker: Module that reads; see ``work.Reading``.
        show: Where events are shown.

    Raises:
        NodeError: Another node holds the folder, the journal is damaged, a model cannot be loaded,
            or the place to listen is taken. Nothing was received then.
    """
    ending = stop or threading.Event()
    problem = model_problem(settings)
    if problem:
        raise NodeError(problem)
    if settings.address is not None and not once:
        import_pynetdicom()
        _probe(settings)
    with _private(), owned(settings.folder), ended_by_signals(ending.set):
        journal = Journal(settings.folder)
        audit = Audit(journal, show=show)
        try:
            _run(settings, journal, audit, ending, once=once, worker=worker)
        finally:
            with contextlib.suppress(sqlite3.Error, OSError):
                audit.close()


def _run(
    settings: NodeSettings,
    journal: Journal,
    audit: Audit,
    stop: threading.Event,
    *,
    once: bool,
    worker: str,
) -> None:
    began = time.monotonic()
    cut = journal.start(began)
    swept = sweep(journal)
    opened = OpenStudies()
    pullers = [Puller(pull, settings, journal, stop) for pull in settings.pulls]
    counter = next((p for p in pullers if p.pull.name == settings.count_from), None)
    work = Work(
        settings,
        journal,
        opened,
        stop,
        count=None if counter is None else counter.count,
        once=once,
        worker=worker,
    )
    deliveries = [Delivery(d, settings, journal, stop) for d in settings.destinations]
    parts = _Parts(work=work, deliveries=deliveries, pullers=pullers)
    journal.tell("start", cut_off=cut, **swept)
    try:
        work.start()  # a model that cannot be loaded ends the node before it listens
        if settings.address is not None and not once:
            parts.receiver = Receiver(settings, journal, opened)
        _start(parts, settings, journal, began, once=once)
        _watch(parts, settings, journal, audit, stop, once=once)
    finally:
        stop.set()
        _end(parts, journal)


def _start(
    parts: _Parts, settings: NodeSettings, journal: Journal, began: float, *, once: bool
) -> None:
    ready_s = round(time.monotonic() - began, 1)
    place = "" if parts.receiver is None else f"{settings.listen}"
    journal.listens(time.monotonic())  # a sender could not go on while models were loaded
    journal.tell("ready", listens=place, seconds=ready_s)
    for puller in parts.pullers:
        if once and puller.pull.every_s:
            puller.safe_round()
        elif puller.pull.every_s:
            puller.thread.start()
    for delivery in parts.deliveries:
        delivery.thread.start()
    parts.work.go.set()


def _watch(
    parts: _Parts,
    settings: NodeSettings,
    journal: Journal,
    audit: Audit,
    stop: threading.Event,
    *,
    once: bool,
) -> None:
    """Write the log and keep the folder in order until the end."""
    while not stop.wait(TICK_S):
        try:
            audit.write()
            if time.monotonic() - parts.kept_at >= KEEPING_S:
                parts.kept_at = time.monotonic()
                _keep(parts, settings, journal)
            if once and journal.is_idle(time.monotonic()):
                return
        except (sqlite3.OperationalError, OSError):  # a full disk, or a lock: later
            traceback.print_exc(file=sys.stderr)
            stop.wait(KEEPING_S / 6)


def _keep(parts: _Parts, settings: NodeSettings, journal: Journal) -> None:
    if parts.receiver is not None:
        parts.receiver.forget_gone()
    is_low = free_bytes(settings.folder) < settings.least_free
    if is_low and not parts.is_low:
        journal.tell("disk low", free=free_bytes(settings.folder))
    parts.is_low = is_low
    expire(journal, keep_days=settings.keep_days, keep_results_days=settings.keep_results_days)


def _end(parts: _Parts, journal: Journal) -> None:
    """Stop listening, let what is under way finish, leave the rest to the next start."""
    if parts.receiver is not None:
        parts.receiver.stop()
    if not parts.work.join(FINISH_S):
        parts.work.leave()
    for delivery in parts.deliveries:
        if delivery.thread.is_alive():
            delivery.thread.join(FINISH_S / 3)
    with contextlib.suppress(sqlite3.Error):
        journal.tell("stop")


def _probe(settings: NodeSettings) -> None:
    """Check that the place to listen is free, before models are loaded.

    Raises:
        NodeError: It is not.
    """
    assert settings.address is not None
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise NodeError(
            f"cannot listen on {settings.listen}: {error.strerror or error}; end what listens "
            "there, or change 'listen'"
        ) from error


@contextlib.contextmanager
def _private() -> Iterator[None]:
    """Files that are made are this user's alone, in the workers too."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
