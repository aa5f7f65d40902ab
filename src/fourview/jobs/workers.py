"""Run one function over many jobs in processes that may crash or hang without stopping the run.

How:     each worker has a pipe; the parent waits on all pipes at once. See ``schedule``.
Why:     a decoder can loop for ever or take its process down with a damaged file, which the pools
         of the standard library answer by hanging or by giving up all jobs.
Ends:    a worker whose parent is gone reads the end of its pipe and leaves.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from fourview.errors import FourviewError
from fourview.jobs.schedule import Answered, Died, Lost, Schedule, guarded
from fourview.outside import use_module, used_modules

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

START_TIMEOUT_S = 600.0  # importing torch from a slow disk, or on a machine that is overloaded


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
        jobs: Picklable, none of them None; read as workers become free.
        workers: Processes, at least 1.
        timeout_s: A job that takes longer is reported as lost and its worker is killed.

    Raises:
        FourviewError: Workers die before they begin, so none can ever do a job.
    """
    run: Schedule[_Process, JobT, ResultT] = Schedule(_Processes(function), iter(jobs), timeout_s)
    try:
        yield from run.results(workers)
    finally:
        run.stop()


@dataclass(frozen=True, slots=True)
class _Process:
    process: BaseProcess
    pipe: Connection


class _Processes:
    """Workers that are processes of this machine."""

    most_deaths = 2

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        # Workers are forked from a server that only imports: no thread, lock or file of ours is
        # inherited, and what the function needs is imported once.
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([getattr(function, "func", function).__module__])

    def start(self) -> _Process:
        ours, theirs = self.context.Pipe()
        arguments = (self.function, theirs, used_modules())
        process = self.context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return _Process(process, ours)

    def tell(self, handle: _Process, job: Any) -> None:
        try:
            handle.pipe.send(job)
        except (BrokenPipeError, ConnectionResetError):
            return  # it is gone: its pipe is readable now, and `hear` finds the end

    def ready(self, handles: Sequence[_Process], block: bool) -> Sequence[_Process]:
        pipes = wait([handle.pipe for handle in handles], timeout=1.0 if block else 0.0)
        return [handle for handle in handles if handle.pipe in pipes]

    def hear(self, handle: _Process) -> Answered | Died:
        try:
            return Answered(handle.pipe.recv())
        except (EOFError, ConnectionResetError):
            handle.process.join()
            return Died(f"exit code {handle.process.exitcode}")

    def end(self, handle: _Process) -> None:
        handle.pipe.close()
        handle.process.kill()
        handle.process.join()

    def late_start(self, waited_s: float, any_started: bool) -> bool:  # noqa: ARG002 - of Workers
        return waited_s > START_TIMEOUT_S

    def cannot_start(self, count: int, last: Died) -> FourviewError:
        return FourviewError(
            f"{count} worker processes died before they began ({last.why}); in a script, call this"
            " under `if __name__ == '__main__':`"
        )


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
