"""One scheduler for workers that may crash or hang: who has which job, what is tried once more.

How:     each worker has at most one job. One that takes too long is ended, one that dies is
         replaced, and its job is given again, or reported as lost where that has happened often.
Who:     ``workers`` and ``executor`` say how a worker is started, told, heard and ended, in
         processes of this machine and as actors of a Ray cluster.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from fourview.errors import FourviewError

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
HandleT = TypeVar("HandleT")

MAX_LOST_STARTS = 3  # workers that die before their first job: the program cannot start any


@dataclass(frozen=True, slots=True)
class Lost:
    """A job without a result.

    Attributes:
        reason: timeout, killed (its workers died of it, each time), or defect (it raised).
        detail: One sentence.
    """

    reason: Literal["timeout", "killed", "defect"]
    detail: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What a worker gave: that it is there, or its job's result."""

    value: Any


@dataclass(frozen=True, slots=True)
class Died:
    """A worker is gone: why, as far as is known, and the error behind it, if there is one."""

    why: str
    cause: Exception | None = None


@runtime_checkable
class Workers(Protocol[HandleT]):
    """How workers of one kind are started, told, heard and ended.

    Attributes:
        most_deaths: Workers that may die of one job before it is reported.
    """

    most_deaths: int

    def start(self) -> HandleT:
        """Begin a worker; it answers once before its first job."""
        ...

    def tell(self, handle: HandleT, job: Any) -> None:
        """Give it a job; a worker that is gone by now is heard of later."""
        ...

    def ready(self, handles: Sequence[HandleT], block: bool) -> Sequence[HandleT]:
        """The workers that answered or died; with ``block``, waits a moment for the first."""
        ...

    def hear(self, handle: HandleT) -> Answered | Died:
        """What a worker that is ready says."""
        ...

    def end(self, handle: HandleT) -> None:
        """Kill it, whether it lives or not."""
        ...

    def late_start(self, waited_s: float, any_started: bool) -> bool:
        """Whether a worker that has not answered for so long is given up.

        Raises:
            FourviewError: No worker will ever start.
        """
        ...

    def cannot_start(self, count: int, last: Died) -> FourviewError:
        """What to say where so many workers died before they began."""
        ...


@dataclass(slots=True)
class _Worker(Generic[HandleT, JobT]):
    """A worker: starting (not ready, no job), idle (ready, no job), or at work (both)."""

    handle: HandleT
    since: float
    job: JobT | None = None
    ready: bool = False

    @property
    def is_idle(self) -> bool:
        return self.ready and self.job is None


class Schedule(Generic[HandleT, JobT, ResultT]):
    """The state of one run of jobs.

    Args:
        kind: How workers are started and spoken to.
        jobs: None of them None; read as workers become free.
        timeout_s: A job that takes longer is reported as lost and its worker is ended.
    """

    def __init__(self, kind: Workers[HandleT], jobs: Iterator[JobT], timeout_s: float) -> None:
        self.kind = kind
        self.jobs = jobs
        self.timeout_s = timeout_s
        self.workers: list[_Worker[HandleT, JobT]] = []
        self.again: list[JobT] = []  # jobs to give before the next of `jobs`
        self.deaths: list[JobT] = []  # a job for each worker that died of it
        self.lost_starts = 0
        self.any_started = False
        self.exhausted = False

    def results(self, count: int) -> Iterator[tuple[JobT, ResultT | Lost]]:
        """Each job with what came of it, in the order in which they finish.

        Raises:
            FourviewError: Workers die before they begin, so none can ever do a job.
        """
        self.again = list(itertools.islice(self.jobs, max(1, count)))[::-1]
        self.workers = [self._start() for _ in self.again]
        self.exhausted = not self.workers  # nothing to do
        while True:
            for worker in self.workers:
                if worker.is_idle:
                    self._give(worker)
            if self.exhausted and not self.again and all(w.job is None for w in self.workers):
                return
            busy = [worker.handle for worker in self.workers if not worker.is_idle]
            ready = self.kind.ready(busy, block=True) if busy else ()
            for place, worker in enumerate(self.workers):
                if any(worker.handle is handle for handle in ready):
                    yield from self._hear(place, worker)
                elif not worker.is_idle:
                    yield from self._check_time(place, worker)

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            self.kind.end(worker.handle)

    def _start(self) -> _Worker[HandleT, JobT]:
        return _Worker(self.kind.start(), time.monotonic())

    def _give(self, worker: _Worker[HandleT, JobT]) -> None:
        job = self.again.pop() if self.again else next(self.jobs, None)
        if job is None:
            self.exhausted = True
            return
        worker.job, worker.since = job, time.monotonic()
        self.kind.tell(worker.handle, job)

    def _hear(
        self, place: int, worker: _Worker[HandleT, JobT]
    ) -> Iterator[tuple[JobT, ResultT | Lost]]:
        message = self.kind.hear(worker.handle)
        if isinstance(message, Died):
            yield from self._died(place, worker, message)
            return
        self.any_started = worker.ready = True
        job, worker.job = worker.job, None
        if job is not None:
            yield job, message.value

    def _check_time(
        self, place: int, worker: _Worker[HandleT, JobT]
    ) -> Iterator[tuple[JobT, Lost]]:
        waited_s = time.monotonic() - worker.since
        if worker.job is None:
            if self.kind.late_start(waited_s, self.any_started):
                late = Died(f"did not begin in {waited_s:.0f} s")
                yield from self._died(place, worker, late)
            return
        if waited_s <= self.timeout_s or self.kind.ready([worker.handle], block=False):
            return  # in time, or it answered while the caller was busy
        job = worker.job
        self._replace(place, worker)
        yield job, Lost("timeout", f"took longer than {self.timeout_s:g} s; its worker was killed")

    def _died(
        self, place: int, worker: _Worker[HandleT, JobT], death: Died
    ) -> Iterator[tuple[JobT, Lost]]:
        self._replace(place, worker)
        if worker.job is None:
            self.lost_starts += 1
            if self.lost_starts > MAX_LOST_STARTS:
                raise self.kind.cannot_start(self.lost_starts, death) from death.cause
            return
        self.deaths.append(worker.job)
        if self.deaths.count(worker.job) < self.kind.most_deaths:
            self.again.append(worker.job)  # perhaps the memory ran out because of another job
            return
        detail = f"{self.kind.most_deaths} worker processes died of it, the last: {death.why}"
        yield worker.job, Lost("killed", detail)

    def _replace(self, place: int, worker: _Worker[HandleT, JobT]) -> None:
        self.kind.end(worker.handle)
        self.workers[place] = self._start()


def guarded(function: Callable[[Any], Any], job: Any) -> Any:
    """What the function gives, or ``Lost`` with the reason where it raises."""
    try:
        return function(job)
    except MemoryError:
        return Lost("defect", "not enough memory")
    except Exception as error:  # noqa: BLE001  (a process's edge: one job must not end the run)
        return Lost("defect", f"{type(error).__name__}: {error}".splitlines()[0])
