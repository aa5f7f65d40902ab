"""Results to their destinations: one thread each, one association or request per study, retries.

Settled: each object by its own status. Success (0x0000) and warnings are sent. 0xA7xx (no room) and
         no answer are tried again; all other statuses are the peer's refusal, and a delivery has
         failed at the third.
Waits:   min(2**n, 300) seconds before try n + 1, times 0.8 to 1.2; given up after ``give_up_s`` of
         waiting, counted in time that passed while the node ran.
Again:   an object that is sent twice has the same identifier, so a peer keeps one.
"""

import random
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourview.errors import FourviewError
from fourview.node.journal import Journal
from fourview.node.rows import Sending
from fourview.node.send_dimse import send_dimse
from fourview.node.send_web import send_web
from fourview.node.sent import Sent
from fourview.node.settings import Destination, NodeSettings

POLL_S = 0.25
AGAIN_S = 5.0
MOST_REFUSALS = 3
LONGEST_WAIT_S = 300.0
Send = Callable[[Sequence[Path]], Mapping[Path, Sent]]


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of a delivery: its state, and for ``waiting`` how long."""

    state: str
    wait_s: float = 0.0


def next_of(sent: Sent, *, attempts: int, waited_s: float, give_up_s: float, share: float) -> Next:
    """What becomes of a delivery after a try.

    Args:
        sent: What came of the try.
        attempts: Tries before this one.
        waited_s: How long was waited between them.
        give_up_s: How long may be waited in all.
        share: From 0 to 1, by chance, so that many do not try at one moment.
    """
    if sent.outcome == "sent":
        return Next("sent")
    if sent.outcome == "refused" and attempts + 1 >= MOST_REFUSALS:
        return Next("failed")
    wait_s = min(2.0 ** (attempts + 1), LONGEST_WAIT_S) * (0.8 + 0.4 * share)
    if waited_s >= give_up_s:
        return Next("failed")
    return Next("waiting", min(wait_s, max(0.0, give_up_s - waited_s)))


def sender_of(destination: Destination, settings: NodeSettings) -> Send:
    """How files are sent to a destination."""
    if destination.kind == "web":
        return lambda files: send_web(files, destination, settings)
    return lambda files: send_dimse(files, destination, settings)


class Delivery:
    """A thread that sends what waits for one destination, until ``stop``."""

    def __init__(
        self,
        destination: Destination,
        settings: NodeSettings,
        journal: Journal,
        stop: threading.Event,
    ) -> None:
        self.name = destination.name
        self.settings, self.journal, self.stop = settings, journal, stop
        self.send = sender_of(destination, settings)
        self.random = random.Random()
        self.thread = threading.Thread(target=self._run, name=f"send-{self.name}", daemon=True)

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                if not self._send_next():
                    self.stop.wait(POLL_S)
            except Exception:  # noqa: BLE001 (a thread's edge: the other results must go)
                traceback.print_exc(file=sys.stderr)
                self.stop.wait(AGAIN_S)

    def _send_next(self) -> bool:
        """Send what waits of one study; returns whether anything did."""
        batch = self.journal.take(self.name, time.monotonic())
        if not batch:
            return False
        files = {each: self.journal.folder / each.file for each in batch}
        try:
            answers = self.send(list(files.values()))
        except FourviewError as error:
            answers = {file: Sent("refused", "", str(error)) for file in files.values()}
        except BaseException:
            self.journal.unsend(batch)
            raise
        for each, file in files.items():
            self._settle(each, answers.get(file, Sent("unanswered", "", "not sent")))
        return True

    def _settle(self, each: Sending, sent: Sent) -> None:
        following = next_of(
            sent,
            attempts=each.attempts,
            waited_s=each.waited_s,
            give_up_s=self.settings.give_up_s,
            share=self.random.random(),
        )
        while True:
            try:
                self.journal.settle_delivery(
                    each,
                    following.state,
                    status=sent.status,
                    detail=sent.detail,
                    next_try=time.monotonic() + following.wait_s,
                    waited_s=following.wait_s,
                )
            except sqlite3.OperationalError:  # it is known to be sent: only the note is missing
                traceback.print_exc(file=sys.stderr)
                if self.stop.wait(AGAIN_S):
                    return
            else:
                return
