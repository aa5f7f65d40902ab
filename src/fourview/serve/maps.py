"""Networks at work for the room, in a process of their own: if that crashes, the room goes on.

Jobs:    ``predict`` (scores, regions, heatmaps of an exam by --model), ``say`` (where a sentence
         is, by a MaMA run) and ``agreement`` (where a GLAM run sees a CC patch in the MLO).
Torch:   is imported by ``model_worker``, in that process only.
"""

import importlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fourview.errors import FourviewError, ServeError
from fourview.jobs.schedule import Lost
from fourview.jobs.workers import run_jobs

TIMEOUT_S = 600.0  # of a prediction: a large network on a processor
SAY_S = 30.0  # how long a sentence may wait for its heatmaps
KEPT = 200  # answers in memory
Row = tuple[str, Mapping[str, Any] | None]  # path, and the manifest's row of it


class BusyError(ServeError):
    """The network is at work on something else; ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A job for the worker.

    Attributes:
        run: Run or checkpoint folder, or the name of a model of the package.
        files: Of the exam.
        sentence: What to look for.
        side: Whose breast, for agreement.
    """

    what: Literal["predict", "say", "agreement"]
    run: str
    files: tuple[Row, ...]
    sentence: str = ""
    side: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The same for the same question."""
        return (self.what, self.run, self.sentence, self.side, *(path for path, _ in self.files))


def answer(ask: Ask) -> dict[str, Any] | str:
    """What the worker process does with a job: plain containers, or a sentence why not."""
    worker = importlib.import_module("fourview.serve.model_worker")
    try:
        return dict(worker.answer(ask))
    except FourviewError as error:
        return str(error)


@dataclass(slots=True)
class _Waiting:
    ask: Ask
    future: "Future[dict[str, Any]]" = field(default_factory=Future)


class Networks:
    """The worker process and what it has answered.

    Args:
        model: What predicts exams; None for none.
        maps: Language-image run for sentences or agreement; None for none.
    """

    def __init__(self, model: str | None, maps: Path | None) -> None:
        self.model, self.maps = model, maps
        self._answers: OrderedDict[tuple[str, ...], dict[str, Any]] = OrderedDict()
        self._queue: queue.Queue[_Waiting] = queue.Queue()
        self._current: dict[tuple[str, ...], _Waiting] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def predict(self, files: tuple[Row, ...]) -> dict[str, Any]:
        """An exam's prediction as ``report.exam_json`` writes it.

        Raises:
            ServeError: There is no model, or it cannot read the exam.
        """
        if self.model is None:
            raise ServeError("no model reads here; start with --model RUN")
        return self._ask(Ask(what="predict", run=self.model, files=files), TIMEOUT_S)

    def say(self, files: tuple[Row, ...], sentence: str) -> dict[str, Any]:
        """Heatmaps of a sentence over all images; one sentence at a time.

        Raises:
            BusyError: Another sentence is looked for, or it took too long.
            ServeError: There is no run that looks for sentences.
        """
        if self.maps is None:
            raise ServeError("no network looks for sentences here; start with --maps RUN of mama")
        ask = Ask(what="say", run=str(self.maps), files=files, sentence=sentence)
        with self._lock:
            busy = [key for key in self._current if key[0] == "say" and key != ask.key]
        if busy and ask.key not in self._answers:
            raise BusyError("another sentence is being looked for; ask again in a moment")
        return self._ask(ask, SAY_S)

    def agreement(self, files: tuple[Row, ...], side: str) -> dict[str, Any]:
        """Agreement and attention of a breast's CC with its MLO.

        Raises:
            ServeError: There is no run that has them.
        """
        if self.maps is None:
            raise ServeError("no network compares views here; start with --maps RUN of glam")
        ask = Ask(what="agreement", run=str(self.maps), files=files, side=side)
        return self._ask(ask, TIMEOUT_S)

    def _ask(self, ask: Ask, timeout_s: float) -> dict[str, Any]:
        with self._lock:
            if ask.key in self._answers:
                self._answers.move_to_end(ask.key)
                return self._answers[ask.key]
            waiting = self._current.get(ask.key)
            if waiting is None:
                waiting = self._current[ask.key] = _Waiting(ask)
                self._queue.put(waiting)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        try:
            return waiting.future.result(timeout_s)
        except TimeoutError:
            raise BusyError(
                f"the network has not answered within {timeout_s:g} s; ask again, it goes on"
            ) from None

    def _work(self) -> None:
        """Give jobs to the process, one after the other, and hear its answers."""
        waiting: list[_Waiting] = []

        def jobs() -> Iterator[Ask]:
            while True:  # asked for only when the one worker is free
                waiting.append(self._queue.get())
                yield waiting[-1].ask

        try:
            for _, answered in run_jobs(answer, jobs(), workers=1, timeout_s=TIMEOUT_S):
                self._settle(waiting.pop(0), answered)
        except Exception as error:  # noqa: BLE001 (a thread's edge: whoever waits must be told)
            self._give_up(f"{type(error).__name__}: {error}".splitlines()[0])

    def _give_up(self, reason: str) -> None:
        """Tell everyone who waits; the next question starts anew."""
        with self._lock:
            waiting, self._current, self._thread = list(self._current.values()), {}, None
            self._queue = queue.Queue()
        for one in waiting:
            one.future.set_exception(ServeError(f"the network cannot work: {reason}"))

    def _settle(self, done: _Waiting, answer: dict[str, Any] | str | Lost) -> None:
        with self._lock:
            self._current.pop(done.ask.key, None)
            if isinstance(answer, dict):
                self._answers[done.ask.key] = answer
                while len(self._answers) > KEPT:
                    self._answers.popitem(last=False)
        if isinstance(answer, dict):
            done.future.set_result(answer)
        else:
            text = answer if isinstance(answer, str) else f"the network failed: {answer.detail}"
            done.future.set_exception(ServeError(text))
