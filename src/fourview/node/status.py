"""What ``fourview node-status`` says of a node, whether it runs or not."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from fourview.node.journal import Journal
from fourview.node.settings import NodeSettings
from fourview.node.spool import free_bytes, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A node at one moment.

    Attributes:
        pid: Process number; None where it does not run.
        studies: How many are receiving, waiting, reading, done, ignored, failed.
        deliveries: How many are waiting, sending, sent, failed.
        queue: Studies that are not finished.
        oldest_s: Age of the oldest thing that is not finished, in seconds; None where all is.
        free_bytes: Room on the disk.
        last_trouble: Why a result is sent again; "" where none is.
        failures: The latest that failed: study, what, at (seconds since 1970), why.
        alarms: Sentences for whoever watches; empty where all is well.
    """

    pid: str | None
    studies: dict[str, int]
    deliveries: dict[str, int]
    queue: int
    oldest_s: float | None
    free_bytes: int
    last_trouble: str
    failures: list[dict[str, Any]]
    alarms: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain containers."""
        return asdict(self)


def status_of(settings: NodeSettings) -> Status:
    """The state of the node with these settings.

    Raises:
        NodeError: It has never run, or its journal is damaged.
    """
    journal = Journal(settings.folder, create=False)
    studies, deliveries = journal.states(), journal.deliveries()
    oldest_at, free = journal.oldest(), free_bytes(settings.folder)
    oldest_s = None if oldest_at is None else max(0.0, time.time() - oldest_at)
    alarms = []
    if studies.get("failed"):
        alarms.append(f"{studies['failed']} studies failed")
    if deliveries.get("failed"):
        alarms.append(f"{deliveries['failed']} results could not be sent")
    if oldest_s is not None and oldest_s > settings.alarm_s:
        alarms.append(f"something has waited for {oldest_s:.0f} s, alarm_s is {settings.alarm_s:g}")
    if free < settings.least_free:
        alarms.append(f"{free / 1e9:.1f} GB are free, least_free is {settings.least_free / 1e9:g}")
    return Status(
        pid=running(settings.folder),
        studies=studies,
        deliveries=deliveries,
        queue=sum(studies.get(state, 0) for state in ("receiving", "waiting", "reading")),
        oldest_s=oldest_s,
        free_bytes=free,
        last_trouble=journal.last_trouble(),
        failures=journal.failures(),
        alarms=alarms,
    )
