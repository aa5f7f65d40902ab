"""Where jobs run: in processes of this machine, or on a Ray cluster; the same results either way.

local:   ``jobs.workers``: a process a core, each with one job at a time.
ray:     actors of one CPU each, on the cluster that RAY_ADDRESS names, else on one that is started
         here and stopped at the end. Folders that jobs read and write must be on a disk that all
         nodes see. Needs the extra ``fourview[cluster]``; nothing is imported without it.
Failure: a job that takes too long, or that its worker dies of again and again, is reported as
         ``Lost`` and all others go on. A job whose worker died is given to another one, so it may
         run twice: jobs write whole files by a rename.
Why actors: a task that waits for a CPU of a busy cluster cannot be told from one that hangs. An
         actor that has answered once is known to start a job when it is given.
"""

import importlib
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from fourview.errors import FourviewError
from fourview.jobs.workers import MAX_LOST_STARTS, Lost, guarded, run_jobs
from fourview.suggest import no_such

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

NAMES = ("local", "ray")
MOST_DEATHS = 3  # of workers with one job: a node may be taken away for no fault of the job's
START_TIMEOUT_S = 900.0  # until the first actor has a CPU: a cluster may have to start a machine
CONNECT_TIMEOUT_S = 10.0
POLL_S = 1.0
STORE = 256 << 20  # bytes of Ray's object store where the cluster is ours: answers are small


@runtime_checkable
class Executor(Protocol):
    """Runs one function over many jobs."""

    def run(
        self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT], *, timeout_s: float
    ) -> Iterator[tuple[JobT, ResultT | Lost]]:
        """Yield each job with its result, in the order in which they finish.

        Args:
            function: Importable by name, so that a fresh process finds it.
            jobs: Picklable, none of them None; read as workers become free.
            timeout_s: A job that takes longer is lost and its worker is ended.

        Raises:
            FourviewError: No worker can be started.
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Processes of this machine.

    Attributes:
        workers: How many, at least 1.
    """

    workers: int = 1

    def run(
        self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT], *, timeout_s: float
    ) -> Iterator[tuple[JobT, ResultT | Lost]]:
        """See ``Executor.run``."""
        return run_jobs(function, jobs, workers=self.workers, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Actors on a Ray cluster.

    Attributes:
        workers: How many actors, each with one CPU; at least 1.
    """

    workers: int = 1

    def run(
        self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT], *, timeout_s: float
    ) -> Iterator[tuple[JobT, ResultT | Lost]]:
        """See ``Executor.run``.

        Raises:
            FourviewError: Ray is not installed, there is no such cluster, or it runs no actor.
        """
        ray = _import_ray()
        is_ours = _connect(ray, self.workers)
        run: _RayRun[JobT, ResultT] = _RayRun(ray, function, iter(jobs), timeout_s)
        try:
            yield from run.results(self.workers)
        finally:
            run.stop()
            if is_ours:
                ray.shutdown()


def find_executor(name: str, workers: int) -> Executor:
    """The executor ``name`` with so many workers.

    Raises:
        FourviewError: There is none of that name; the message has the nearest.
    """
    if name == "local":
        return LocalExecutor(workers)
    if name == "ray":
        return RayExecutor(workers)
    raise FourviewError(no_such("executor", name, NAMES))


@dataclass(slots=True)
class _Actor(Generic[JobT]):
    """An actor: starting (it does, and has no job), working (it has both), or idle (neither)."""

    handle: Any
    doing: Any  # reference to what it will answer
    since: float
    job: JobT | None = None


class _Doer:
    """What lives in an actor's process."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def start(self) -> None:
        """Answer, so that the other end knows that this one is there."""

    def do(self, job: Any) -> Any:
        return guarded(self.function, job)


class _RayRun(Generic[JobT, ResultT]):
    """The state of one ``RayExecutor.run``."""

    def __init__(
        self,
        ray: Any,
        function: Callable[[JobT], ResultT],
        jobs: Iterator[JobT],
        timeout_s: float,
    ) -> None:
        self.ray = ray
        self.function = ray.put(function)  # sent to each node once
        self.actor_class = ray.remote(num_cpus=1, max_restarts=0)(_Doer)
        self.jobs = jobs
        self.timeout_s = timeout_s
        self.actors: list[_Actor[JobT]] = []
        self.again: list[JobT] = []  # jobs to give before the next of `jobs`
        self.deaths: list[JobT] = []  # a job for each worker that died of it
        self.began = time.monotonic()
        self.any_started = False
        self.lost_starts = 0
        self.exhausted = False

    def results(self, count: int) -> Iterator[tuple[JobT, ResultT | Lost]]:
        self.again = list(itertools.islice(self.jobs, max(1, count)))[::-1]
        self.actors = [self._start() for _ in self.again]
        self.exhausted = not self.actors  # nothing to do
        while True:
            for actor in self.actors:
                if actor.doing is None:
                    self._give(actor)
            is_working = any(actor.job is not None for actor in self.actors)
            if self.exhausted and not self.again and not is_working:
                return
            doing = [actor.doing for actor in self.actors if actor.doing is not None]
            ready, _ = self.ray.wait(doing, timeout=POLL_S)
            for place, actor in enumerate(self.actors):
                if actor.doing in ready:
                    yield from self._hear(place, actor)
                else:
                    yield from self._check_time(place, actor)

    def stop(self) -> None:
        for actor in self.actors:
            self.ray.kill(actor.handle)

    def _start(self) -> _Actor[JobT]:
        handle = self.actor_class.remote(self.function)
        return _Actor(handle, handle.start.remote(), time.monotonic())

    def _give(self, actor: _Actor[JobT]) -> None:
        job = self.again.pop() if self.again else next(self.jobs, None)
        if job is None:
            self.exhausted = True
            return
        actor.job, actor.doing, actor.since = job, actor.handle.do.remote(job), time.monotonic()

    def _hear(self, place: int, actor: _Actor[JobT]) -> Iterator[tuple[JobT, ResultT | Lost]]:
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(actor.doing)
        except errors.RayTaskError as error:  # such as an answer that cannot be pickled
            answer = Lost("defect", str(error.cause).splitlines()[0])
        except errors.RayError as error:
            yield from self._died(place, actor, error)
            return
        job, actor.job, actor.doing = actor.job, None, None
        self.any_started = True
        if job is not None:
            yield job, answer

    def _check_time(self, place: int, actor: _Actor[JobT]) -> Iterator[tuple[JobT, Lost]]:
        now = time.monotonic()
        if not self.any_started and now - self.began > START_TIMEOUT_S:
            raise FourviewError(
                f"the Ray cluster started no worker in {START_TIMEOUT_S:g} s; see with "
                "`ray status` whether it has a free CPU"
            )
        if actor.job is None or now - actor.since <= self.timeout_s:
            return
        if self.ray.wait([actor.doing], timeout=0)[0]:
            return  # it answered while the caller was busy
        self.ray.kill(actor.handle)
        self.actors[place] = self._start()
        detail = f"took longer than {self.timeout_s:g} s; its worker was killed"
        yield actor.job, Lost("timeout", detail)

    def _died(
        self, place: int, actor: _Actor[JobT], error: Exception
    ) -> Iterator[tuple[JobT, Lost]]:
        self.actors[place] = self._start()
        if actor.job is None:
            self.lost_starts += 1
            if self.lost_starts > MAX_LOST_STARTS:
                raise FourviewError(
                    f"{self.lost_starts} Ray workers died before they began "
                    f"({_last_line(error)}); "
                    "is Fourview installed on every node?"
                ) from error
            return
        self.deaths.append(actor.job)
        if self.deaths.count(actor.job) < MOST_DEATHS:
            self.again.append(actor.job)
        else:
            yield actor.job, Lost("killed", f"{MOST_DEATHS} worker processes died of it")


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anyone
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise FourviewError(
            "the executor ray needs Ray, which is not installed; install fourview[cluster]"
        ) from error


def _connect(ray: Any, workers: int) -> bool:
    """Join a cluster or start one; whether it is ours to stop."""
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    own = {"num_cpus": max(1, workers), "include_dashboard": False, "object_store_memory": STORE}
    try:
        if address:
            _require_answer(address)
        ray.init(address=address or "local", **quiet, **({} if address else own))
    except (OSError, ValueError, RuntimeError) as error:
        raise FourviewError(
            f"RAY_ADDRESS '{address or 'local'}': no Ray cluster there ({_last_line(error)}); "
            "start one, or leave RAY_ADDRESS unset for one on this machine"
        ) from error
    return True


def _require_answer(address: str) -> None:
    """Fail within seconds where nobody listens; Ray itself tries for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _last_line(error: Exception) -> str:
    """Where Ray writes a traceback into its message, the last line says what it was."""
    return next((line.strip() for line in str(error).splitlines()[::-1] if line.strip()), "")
