"""What the node asks of its worker process, and what the worker answers; quick to import.

The worker's own module, with torch, is imported in the worker only, while its process starts.
"""

import importlib
from dataclasses import dataclass, field
from typing import Any

from fourview.node.rows import Made

WORKER = "fourview.node.worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is asked to do; with no ``files`` only to load the models.

    Attributes:
        study: Study Instance UID.
        key: See ``rows.input_key``.
        files: Of its images.
        folder: Draft to write to; the worker makes it.
        created_at: Time that the objects bear, seconds since 1970.
        objects: Kinds to write.
        models: Runs; none for the model of the package.
        earlier: Reports to replace, by exam and kind: class, instance and series.
        note: What the report should say.
    """

    study: str = ""
    key: str = ""
    files: tuple[str, ...] = ()
    folder: str = ""
    created_at: float = 0.0
    objects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    earlier: dict[str, dict[str, tuple[str, str, str]]] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker says of a job.

    Attributes:
        outcome: ready (models are loaded), done, ignored, failed.
        detail: Why, in one sentence.
        cause: One word for the audit log.
        digests: Of the models.
        exams: How many the study holds.
        made: Objects with paths below the draft folder.
    """

    outcome: str
    detail: str = ""
    cause: str = ""
    digests: tuple[str, ...] = ()
    exams: int = 0
    made: tuple[Made, ...] = ()


class Reading:
    """The function of a worker process: it imports its module as the process starts, not before.

    Args:
        module: Has ``answer(job)``; it is what needs torch.
    """

    def __init__(self, module: str) -> None:
        self.module = module

    def __call__(self, job: Job) -> Answer:
        """Do a job."""
        answer: Answer = importlib.import_module(self.module).answer(job)
        return answer

    def __reduce__(self) -> tuple[Any, ...]:
        return _reading, (self.module,)


def _reading(module: str) -> Reading:
    """Import in the worker as it starts: that time does not count as time of a job."""
    importlib.import_module(module)
    return Reading(module)
