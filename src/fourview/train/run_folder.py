"""A run's log and what it ran on; ``fourview.run_files`` has the names of all that a run holds."""

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from fourview import __version__
from fourview.disk import write_text
from fourview.run_files import LOG

PACKAGES = ("torch", "torchvision", "timm", "accelerate", "numpy", "pydicom", "imagecodecs", "zarr")


class RunLog:
    """Appends JSON lines; on resume, what came after the saved position is cut off first.

    Args:
        path: The file.
        keep_steps: Steps of the run that are done, as the saved position has it.
        keep_epochs: Epochs likewise.
        writes: Whether this process is the one that writes; for others this does nothing.
    """

    def __init__(
        self, path: Path, *, keep_steps: int, keep_epochs: int, writes: bool = True
    ) -> None:
        self.path, self._file = path, None
        self._steps: list[dict[str, Any]] = []
        if not writes:
            return
        kept = [
            line
            for line in _lines(path)
            if (line["kind"] == "step" and line["total_steps"] <= keep_steps)
            or (line["kind"] == "epoch" and line["epoch"] < keep_epochs)
        ]
        self._steps = [line for line in kept if line["kind"] == "step"]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a", buffering=1)

    def write(self, kind: str, **values: Any) -> None:
        """Append one line."""
        if self._file is None:
            return
        line = {"kind": kind, **values}
        if kind == "step":
            self._steps.append(line)
        self._file.write(json.dumps(line) + "\n")

    def means(self, epoch: int) -> dict[str, Any]:
        """Means of loss and parts and the seconds of an epoch's steps, also before a stop."""
        steps = [line for line in self._steps if line["epoch"] == epoch]
        self._steps = [line for line in self._steps if line["epoch"] > epoch]
        names = dict.fromkeys(name for line in steps for name in line["parts"])
        return {
            "loss": _mean(line["loss"] for line in steps),
            "parts": {name: _mean(s["parts"].get(name) for s in steps) for name in names},
            "seconds": sum(line.get("seconds", 0.0) for line in steps),
        }

    def close(self) -> None:
        """No more lines."""
        if self._file is not None:
            self._file.close()


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def read_log(run: Path) -> list[dict[str, Any]]:
    """All lines of a run's log."""
    return _lines(run / LOG)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:  # the line that a killed run was writing
            continue
    return lines


def environment(device: torch.device, processes: int) -> dict[str, Any]:
    """What a run ran on."""
    return {
        "fourview": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
