"""Read studies: those due go from the journal to a worker, its results back into the journal.

The worker is a process with one job at a time (``jobs.workers``): a file that takes it down or
keeps it busy for too long costs one study. It writes to a draft folder; that takes its place, is on
the disk, and is noted with its deliveries in the transaction that makes the study done.
"""

import os
import shutil
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from fourview.errors import DiskFullError, NodeError
from fourview.jobs.schedule import Lost
from fourview.jobs.workers import run_jobs
from fourview.node.due import DueRule, Known, could_be_due, due, slots_missing
from fourview.node.job import WORKER, Answer, Job, Reading
from fourview.node.journal import Journal
from fourview.node.receive import OpenStudies
from fourview.node.rows import Made, input_key, place_of
from fourview.node.settings import NodeSettings
from fourview.node.spool import OUT, PART, sync
from fourview.report.dicom.identity import ENCODER

POLL_S = 0.25
AGAIN_S = 5.0  # after a full disk or a locked journal
Count = Callable[[str], int | None]  # study -> images that a server counts; None: no answer


class Work:
    """Threads that each keep one worker process busy.

    Args:
        settings: Of the node.
        journal: Where studies wait.
        opened: Studies that are still arriving.
        stop: Set when the node ends.
        count: Asks a server how many images a study has; None where none is to be asked.
        once: End when nothing waits any more.
        worker: Module of the worker.
    """

    def __init__(
        self,
        settings: NodeSettings,
        journal: Journal,
        opened: OpenStudies,
        stop: threading.Event,
        *,
        count: Count | None = None,
        once: bool = False,
        worker: str = WORKER,
    ) -> None:
        self.settings, self.journal, self.opened, self.stop = settings, journal, opened, stop
        self.count, self.once, self.worker = count, once, worker
        self.rule = DueRule(
            quiet_s=settings.quiet_s, early_s=settings.early_s, longest_s=settings.longest_s
        )
        self.digests: tuple[str, ...] = ()
        self.trouble = ""  # why no worker can start
        self.ready = threading.Event()  # the first worker has answered, or cannot
        self.go = threading.Event()  # readings may begin
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, int | None]] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"work-{number}", daemon=True)
            for number in range(settings.workers)
        ]

    def start(self) -> None:
        """Start the workers and check that they can load the models.

        Raises:
            NodeError: They cannot.
        """
        for thread in self._threads:
            thread.start()
        while not self.ready.wait(POLL_S) and not self.stop.is_set():
            pass
        if self.trouble:
            raise NodeError(self.trouble)

    def join(self, timeout_s: float) -> bool:
        """Wait for readings to end; returns whether they did."""
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def leave(self) -> None:
        """Readings that were not finished are taken up at the next start."""
        for study in list(self._running):
            self.journal.put_back(study)

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                self._read_all()
            except Exception as error:  # noqa: BLE001 (a thread's edge: the node must go on)
                if not self.ready.is_set():
                    self.trouble = str(error).splitlines()[0]
                    self.ready.set()
                    return
                traceback.print_exc(file=sys.stderr)
                self.stop.wait(AGAIN_S)
            else:
                return

    def _read_all(self) -> None:
        """Give jobs to one worker, one after the other, until there are no more."""
        loop = run_jobs(
            Reading(self.worker), self._jobs(), workers=1, timeout_s=self.settings.read_s
        )
        for job, answer in loop:
            if job.study:
                self._settle_safely(job, answer)
            elif isinstance(answer, Lost) or answer.outcome != "ready":
                self.trouble = f"the models cannot be loaded: {answer.detail}"
                self.ready.set()
                return
            else:
                self.digests = answer.digests
                self.ready.set()

    def _jobs(self) -> Iterator[Job]:
        """A job that loads the models, then due studies; asked for when the worker is free."""
        yield Job(models=self.settings.models)
        while not self.go.wait(POLL_S):
            if self.stop.is_set():
                return
        while not self.stop.is_set():
            try:
                job = self._next()
            except (sqlite3.OperationalError, OSError):  # locked, or a full disk
                traceback.print_exc(file=sys.stderr)
                self.stop.wait(AGAIN_S)
                continue
            if job is not None:
                yield job
            elif self.once and self.journal.is_idle(time.monotonic()):
                return
            else:
                self.stop.wait(POLL_S)

    def _next(self) -> Job | None:
        """Begin the reading of the study that waits longest among those that are due."""
        now = time.monotonic()
        with self._lock:
            for row in self.journal.candidates(now, self.rule.soonest_s):
                study = row["study"]
                if study in self._running:
                    continue
                slots = frozenset(row["slots"].split(",")) - {""}
                known = Known(
                    quiet_since=row["quiet_since"],
                    images=row["images"],
                    slots=slots,
                    is_open=study in self.opened,
                    settled=bool(row["settled"]),
                )
                if not could_be_due(known, now, self.rule):
                    continue
                counted = self._counted(study, now) if not known.settled else None
                verdict = due(_counting(known, counted), now, self.rule)
                job = self._begin(study, slots, verdict.note) if verdict.now else None
                if job is not None:
                    self._running.add(study)
                    return job
        return None

    def _counted(self, study: str, now: float) -> int | None:
        """What a server counts, asked at most every 30 s."""
        if self.count is None:
            return None
        asked_at, answer = self._asked.get(study, (-60.0, None))  # -60: not asked yet
        if now - asked_at >= 30.0:
            answer = self.count(study)
            self._asked[study] = (now, answer)
        return answer

    def _begin(self, study: str, slots: frozenset[str], note: str) -> Job | None:
        self._asked.pop(study, None)
        images = self.journal.images_of(study)
        gone = sum(row["file"] is None for row in images)
        if gone:
            reason = (
                f"{gone} of {len(images)} images were deleted after {self.settings.keep_days:g} "
                "days; send the whole study again"
            )
            self.journal.fail(study, "deleted", reason)
            return None
        key = input_key(images, (*self.digests, *self.settings.objects, ENCODER))
        created_at = self.journal.begin(study, key)
        if created_at is None:
            return None
        missing = slots_missing(slots)
        parts = [note, f"not here: {', '.join(missing)}" if missing else ""]
        earlier: dict[str, dict[str, tuple[str, str, str]]] = {}
        for row in self.journal.latest_reports(study):
            reports = earlier.setdefault(row["exam"], {})
            reports[row["kind"]] = (row["sop_class"], row["sop"], row["series"])
        return Job(
            study=study,
            key=key,
            files=tuple(str(self.journal.folder / row["file"]) for row in images),
            folder=str(self.journal.folder / PART / f"read-{os.getpid()}-{key[:24]}"),
            created_at=created_at,
            objects=self.settings.objects,
            models=self.settings.models,
            earlier=earlier,
            note="; ".join(part for part in parts if part),
        )

    def _settle_safely(self, job: Job, answer: Answer | Lost) -> None:
        """Settle, again and again where the disk is full or the journal locked."""
        while True:
            try:
                self._settle(job, answer)
                break
            except (sqlite3.OperationalError, OSError, DiskFullError):
                traceback.print_exc(file=sys.stderr)
                if self.stop.wait(AGAIN_S):
                    return
        with self._lock:
            self._running.discard(job.study)

    def _settle(self, job: Job, answer: Answer | Lost) -> None:
        """Note what came of a job: files to their place first, then the rows."""
        draft = Path(job.folder)
        if isinstance(answer, Lost):
            note = f"{answer.detail}; fourview node-retry reads it again"
            self.journal.finish(
                job.study, job.key, "failed", note=note, facts={"reason": str(answer.reason)}
            )
            shutil.rmtree(draft, ignore_errors=True)
            return
        made: tuple[Made, ...] = ()
        place = Path(OUT) / place_of(job.study) / job.key[:16]
        if answer.outcome == "done":
            _put(draft, self.journal.folder / place)
            made = tuple(_below(each, place) for each in answer.made)
        note = "; ".join(part for part in (job.note, answer.detail) if part)
        facts: dict[str, int | str]
        facts = {"exams": answer.exams} if answer.outcome == "done" else {"reason": answer.cause}
        kept = self.journal.finish(
            job.study,
            job.key,
            answer.outcome,
            note=note,
            made=made,
            destinations=[each.name for each in self.settings.destinations],
            facts=facts,
        )
        shutil.rmtree(draft, ignore_errors=True)
        if not kept:
            shutil.rmtree(self.journal.folder / place, ignore_errors=True)


def model_problem(settings: NodeSettings) -> str:
    """What is wrong with the models' names, without loading them; "" where nothing is."""
    for model in settings.models:
        if not Path(model).is_dir():
            return f"models: {model}: no such folder; need a run or checkpoint of Fourview"
    return ""


def _counting(known: Known, counted: int | None) -> Known:
    return Known(
        quiet_since=known.quiet_since,
        images=known.images,
        slots=known.slots,
        is_open=known.is_open,
        settled=known.settled,
        expected=counted,
    )


def _below(made: Made, place: Path) -> Made:
    return Made(
        sop=made.sop,
        kind=made.kind,
        exam=made.exam,
        file=(place / made.file).as_posix(),
        sop_class=made.sop_class,
        series=made.series,
    )


def _put(draft: Path, place: Path) -> None:
    """Move a draft to its place and make sure that it is on the disk; may be called again."""
    if draft.exists():
        if place.exists():
            shutil.rmtree(place)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.replace(place)
    for path in (p for p in place.rglob("*") if p.is_file()):
        sync(path)
    for folder in (*(p for p in place.rglob("*") if p.is_dir()), place, place.parent):
        sync(folder)
