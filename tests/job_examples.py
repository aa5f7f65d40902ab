"""Jobs for the tests of executors, in a module that a fresh process can import."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def square_in(folder: Path, job: int) -> int:
    """The square; says first which process is at which job, and takes a moment."""
    (folder / f"{job}.{os.getpid()}").touch()
    time.sleep(0.05)
    return job * job


def troubled(folder: Path, job: str) -> str:
    """Hangs, dies, dies once or raises where the job says so; else its capitals."""
    if job == "hang":
        time.sleep(1000)
    if job == "die" or (job == "once" and not (folder / "seen").exists()):
        (folder / "seen").touch()
        os.kill(os.getpid(), 9)
    if job == "raise":
        raise RuntimeError("a defect\nof two lines")
    return job.upper()


def killed_once(folder: Path, function: Callable[[Any], Any], job: Any) -> Any:
    """What the function gives; the first process that comes here is killed at its work."""
    try:
        (folder / "killed").touch(exist_ok=False)
        os.kill(os.getpid(), 9)
    except FileExistsError:
        pass
    return function(job)
