"""Run one function over many jobs in processes that may crash or hang without stopping the run.

How:     each worker has a pipe and at most one job. The parent waits on all pipes at once; a
         worker that takes too long is killed, one that dies is replaced, and its job is reported.
Why:     a decoder can loop for ever or take its process down with a damaged file, which the pools
         of the standard library answer by hanging or by giving up all jobs.
Ends:    a worker whose parent is gone reads the end of its pipe and leaves.
"""

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Literal, TypeVar

from fourview.errors import FourviewError
from fourview.outside import use_module, used_modules

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

START_TIMEOUT_S = 600.0  # importing torch from a slow disk, or on a machine that is overloaded
MAX_LOST_STARTS = 3  # workers that die before their first job: the program cannot start any


@dataclass(frozen=True, slots=True)
class Lost:
    """A job without a result.

    Attributes:
        reason: timeout, killed (the worker died twice on this job), or defect (it raised).
        detail: One sentence.
    """

    reason: Literal["timeout", "killed", "defect"]
    detail: str


@dataclass(slots=True)
class _Worker(Generic[JobT]):
    process: BaseProcess
    pipe: Connection
    job: JobT | None = None
    ready: bool = False
    since: float = 0.0


def run_jobs(
    function: Callable[[JobT], ResultT],
    jobs: Iterable[JobT],
    *,
    workers: int,
    timeout_s: float,
) -> Iterator[tuple[JobT, ResultT | Lost]]:
    """Yield each job with its result, in the order in which they finish.

    Args:
        function: Importable by name, so that a fresh process finds it.
        jobs: Picklable; read as workers become free.
        workers: Processes, at least 1.
        timeout_s: A job that takes longer is reported as lost and its worker is killed.

    Raises:
        FourviewError: Workers die before they begin, so none can ever do a job.
    """
    run: _Run[JobT, ResultT] = _Run(function, iter(jobs), timeout_s)
    try:
        yield from run.results(workers)
    finally:
        run.stop()


class _Run(Generic[JobT, ResultT]):
    """The state of one ``run_jobs``."""

    def __init__(
        self, function: Callable[[JobT], ResultT], jobs: Iterator[JobT], timeout_s: float
    ) -> None:
        self.function = function
        self.jobs = jobs
        self.timeout_s = timeout_s
        # Workers are forked from a server that only imports: no thread, lock or file of ours is
        # inherited, and what the function needs is imported once.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([getattr(function, "func", function).__module__])
        self.workers: list[_Worker[JobT]] = []
        self.again: list[JobT] = []  # jobs to give before the next of `jobs`
        self.died_once: list[JobT] = []
        self.lost_starts = 0
        self.exhausted = False

    def results(self, count: int) -> Iterator[tuple[JobT, ResultT | Lost]]:
        self.again = list(itertools.islice(self.jobs, max(1, count)))[::-1]
        self.workers = [self._start() for _ in self.again]
        self.exhausted = not self.workers  # nothing to do
        while True:
            for worker in self.workers:
                if worker.ready and worker.job is None:
                    self._give(worker)
            if self.exhausted and not self.again and all(w.job is None for w in self.workers):
                return
            pipes = [w.pipe for w in self.workers if w.job is not None or not w.ready]
            answered = wait(pipes, timeout=1.0) if pipes else []
            for place, worker in enumerate(self.workers):
                if worker.pipe in answered:
                    yield from self._hear(place, worker)
                elif worker.job is not None or not worker.ready:
                    yield from self._check_time(place, worker)

    def stop(self) -> None:
        for worker in self.workers:
            worker.pipe.close()  # an idle worker leaves by itself
            worker.process.kill()
            worker.process.join()

    def _start(self) -> "_Worker[JobT]":
        ours, theirs = self.context.Pipe()
        arguments = (self.function, theirs, used_modules())
        process = self.context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, since=time.monotonic())

    def _give(self, worker: "_Worker[JobT]") -> None:
        job = self.again.pop() if self.again else next(self.jobs, None)
        if job is None:
            self.exhausted = True
            return
        worker.job, worker.since = job, time.monotonic()
        try:
            worker.pipe.send(job)
        except (BrokenPipeError, ConnectionResetError):
            return  # it is gone: its pipe is readable now, and `_hear` deals with it

    def _hear(self, place: int, worker: "_Worker[JobT]") -> Iterator[tuple[JobT, ResultT | Lost]]:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            yield from self._died(place, worker)
            return
        if not worker.ready:
            worker.ready = True
            return
        job, worker.job = worker.job, None
        assert job is not None
        yield job, message

    def _check_time(
        self, place: int, worker: "_Worker[JobT]"
    ) -> Iterator[tuple[JobT, ResultT | Lost]]:
        limit = self.timeout_s if worker.ready else START_TIMEOUT_S
        if time.monotonic() - worker.since <= limit:
            return
        worker.process.kill()
        if worker.job is None:
            yield from self._died(place, worker)
            return
        job = worker.job
        self._replace(place, worker)
        yield job, Lost("timeout", f"took longer than {self.timeout_s:g} s; its worker was killed")

    def _died(self, place: int, worker: "_Worker[JobT]") -> Iterator[tuple[JobT, ResultT | Lost]]:
        job = worker.job
        self._replace(place, worker)
        if job is None:
            self.lost_starts += 1
            if self.lost_starts > MAX_LOST_STARTS:
                raise FourviewError(
                    f"{self.lost_starts} worker processes died before they began; in a script, "
                    "call this under `if __name__ == '__main__':`"
                )
        elif job in self.died_once:
            code = worker.process.exitcode
            yield job, Lost("killed", f"its worker process died twice, the last time with {code}")
        else:  # perhaps the memory ran out because of another job: once more
            self.died_once.append(job)
            self.again.append(job)

    def _replace(self, place: int, worker: "_Worker[JobT]") -> None:
        worker.pipe.close()
        worker.process.join()
        self.workers[place] = self._start()


def _work(function: Callable[[Any], Any], pipe: Connection, modules: tuple[str, ...]) -> None:
    """What a worker process does until its pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    for name in modules:
        use_module(name)
    try:
        pipe.send("ready")
        while True:
            job = pipe.recv()
            pipe.send(guarded(function, job))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def guarded(function: Callable[[Any], Any], job: Any) -> Any:
    """What the function gives, or ``Lost`` with the reason where it raises."""
    try:
        return function(job)
    except MemoryError:
        return Lost("defect", "not enough memory")
    except Exception as error:  # noqa: BLE001  (a process's edge: one job must not end the run)
        return Lost("defect", f"{type(error).__name__}: {error}".splitlines()[0])
