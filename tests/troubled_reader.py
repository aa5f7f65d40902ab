"""Readers for the tests of `prepare`, in a module that a fresh process can import."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fourview.entities import Image
from fourview.preprocess.spec import PixelSpec
from fourview.store.read_image import read_listed_image


def read_with_trouble(path: Path, row: Mapping[str, Any], spec: PixelSpec) -> Image:
    """Hangs, dies or raises where the file's name says so; else reads it."""
    if "hang" in path.name:
        time.sleep(1000)
    if "die" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "once" in path.name and not path.with_suffix(".seen").exists():
        path.with_suffix(".seen").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in path.name:
        raise RuntimeError("a defect\nof two lines")
    return read_listed_image(path, row, spec)
