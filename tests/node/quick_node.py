"""``fourview node`` with a worker that needs no torch: python quick_node.py node.toml [--once].

KILL_AT is a file that names a moment at which the process kills itself; CLOCK a file with
seconds that are added to the wall clock.
"""

import os
import signal
import sys
import time
from pathlib import Path

from fourview.errors import FourviewError
from fourview.node.journal import Journal
from fourview.node.run import run_node
from fourview.node.settings import read_settings

MOMENTS = {  # a method of the journal, and whether the moment is after it
    "before the image is noted": ("add", False),
    "after the image is noted": ("add", True),
    "before the results are noted": ("finish", False),
    "after the results are noted": ("finish", True),
    "in sending": ("settle_delivery", False),
}


def die_at(armed: Path) -> None:
    """Kill this process at the moment that the file names when it comes; the file goes first."""
    for name in {name for name, _ in MOMENTS.values()}:
        setattr(Journal, name, _dying(getattr(Journal, name), name, armed))


def _dying(method, name: str, armed: Path):
    def dying(self, *args, **kwargs):
        told = MOMENTS.get(armed.read_text(), ("", False)) if armed.exists() else ("", False)
        if told == (name, False):
            _die(armed)
        value = method(self, *args, **kwargs)
        if told == (name, True):
            _die(armed)
        return value

    return dying


def _die(armed: Path) -> None:
    armed.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def follow_clock(path: Path) -> None:
    real = time.time
    time.time = lambda: real() + float(path.read_text() or 0)


if __name__ == "__main__":
    if os.environ.get("KILL_AT"):
        die_at(Path(os.environ["KILL_AT"]))
    if os.environ.get("CLOCK"):
        follow_clock(Path(os.environ["CLOCK"]))
    try:
        run_node(read_settings(Path(sys.argv[1])), once="--once" in sys.argv, worker="quick_reader")
    except FourviewError as error:
        sys.exit(f"error: {error}")
