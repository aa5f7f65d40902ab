"""Where jobs run: in processes of this machine, or on a Ray cluster; the same results either way.

local:   ``jobs.workers``: one process per core, each with one job at a time.
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
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from fourview.errors import FourviewError
from fourview.jobs.schedule import Answered, Died, Lost, Schedule, guarded
from fourview.jobs.workers import run_jobs
from fourview.outside import use_module, used_modules
from fourview.suggest import no_such

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")

NAMES = ("local", "ray")
START_TIMEOUT_S = 900.0  # until the first actor has a CPU: a cluster may have to start a machine
CONNECT_TIMEOUT_S = 10.0
STARTS = 4  # tries to start a cluster here: Ray gives its own node 30 s, which a busy machine needs
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
        actors = _Actors(ray, function)
        run: Schedule[_Actor, JobT, ResultT] = Schedule(actors, iter(jobs), timeout_s)
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


@dataclass(eq=False, slots=True)
class _Actor:
    """An actor, and the reference to what it will answer."""

    handle: Any
    doing: Any


class _Doer:
    """What lives in an actor's process."""

    def __init__(self, function: Callable[[Any], Any], modules: tuple[str, ...]) -> None:
        for name in modules:
            use_module(name)
        self.function = function

    def start(self) -> None:
        """Answer, so that the other end knows that this one is there."""

    def do(self, job: Any) -> Any:
        return guarded(self.function, job)


class _Actors:
    """Workers that are actors of a Ray cluster."""

    most_deaths = 3  # a node may be taken away for no fault of the job's

    def __init__(self, ray: Any, function: Callable[[Any], Any]) -> None:
        self.ray = ray
        self.function = ray.put(function)  # sent to each node once
        # ``Schedule`` replaces an actor that died: Ray restarts none.
        self.actor_class = ray.remote(num_cpus=1, max_restarts=0)(_Doer)

    def start(self) -> _Actor:
        handle = self.actor_class.remote(self.function, used_modules())
        return _Actor(handle, handle.start.remote())

    def tell(self, handle: _Actor, job: Any) -> None:
        handle.doing = handle.handle.do.remote(job)

    def ready(self, handles: Sequence[_Actor], block: bool) -> Sequence[_Actor]:
        doing = [handle.doing for handle in handles]
        done, _ = self.ray.wait(doing, timeout=POLL_S if block else 0)
        return [handle for handle in handles if handle.doing in done]

    def hear(self, handle: _Actor) -> Answered | Died:
        errors = self.ray.exceptions
        try:
            return Answered(self.ray.get(handle.doing))
        except errors.RayTaskError as error:  # such as an answer that cannot be pickled
            return Answered(Lost("defect", str(error.cause).splitlines()[0]))
        except errors.RayError as error:
            return Died(_last_line(error), error)

    def end(self, handle: _Actor) -> None:
        self.ray.kill(handle.handle)

    def late_start(self, waited_s: float, any_started: bool) -> bool:
        """Never where one has started: an actor may wait for a CPU of a busy cluster for hours."""
        if not any_started and waited_s > START_TIMEOUT_S:
            raise FourviewError(
                f"the Ray cluster started no worker in {START_TIMEOUT_S:g} s; see with "
                "`ray status` whether it has a free CPU"
            )
        return False

    def cannot_start(self, count: int, last: Died) -> FourviewError:
        return FourviewError(
            f"{count} Ray workers died before they began ({last.why}); is Fourview installed on"
            " every node?"
        )


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anyone
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise FourviewError(
            "the executor ray needs Ray, which is not installed; install fourview[cluster]"
        ) from error


def _connect(ray: Any, workers: int) -> bool:
    """Join a cluster or start one; True where it is ours to stop."""
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    own = {"num_cpus": max(1, workers), "include_dashboard": False, "object_store_memory": STORE}
    try:
        if address:
            _require_answer(address)
            ray.init(address=address, **quiet)
        else:
            start_cluster(ray, **quiet, **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise FourviewError(
            f"RAY_ADDRESS '{address or 'local'}': no Ray cluster there ({_last_line(error)}); "
            "start one, or leave RAY_ADDRESS unset for one on this machine"
        ) from error
    return True


def start_cluster(ray: Any, **settings: Any) -> None:
    """Start a Ray cluster on this machine, however long its processes take to come up.

    Args:
        ray: The module.
        settings: Further arguments of ``ray.init``.

    Raises:
        RuntimeError: It did not start, however often it was tried.
    """
    for tries_left in reversed(range(STARTS)):
        try:
            ray.init(address="local", **settings)
        except Exception as error:  # Ray raises a bare Exception where its node is too slow
            ray.shutdown()
            if tries_left == 0 or "timed out" not in str(error):
                raise RuntimeError(_last_line(error)) from error
        else:
            return


def _require_answer(address: str) -> None:
    """Fail within seconds where nobody listens; Ray itself tries for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _last_line(error: Exception) -> str:
    """The last line of a message: Ray puts a traceback before it."""
    return next((line.strip() for line in str(error).splitlines()[::-1] if line.strip()), "")
