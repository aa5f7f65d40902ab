"""How long a program waits before it begins: seconds of processor of fresh processes.

The plain way of a program that computes is ``import torch``, which it cannot do without. Commands
that compute nothing have half a second, as people call them again and again.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fourview.phantom.write import write_phantom
from fourview.run_files import packaged_names

REPEATS = 3  # the least of them counts: other work only adds
HALF_A_SECOND = 0.5
LISTS = ("recipes", "families", "sources", "specs", "protocols", "tables")


def run() -> Iterator[dict[str, Any]]:
    """Imports, commands that compute nothing, and the reading of one exam."""
    torch = _seconds("-c", "import torch")
    yield _row(
        "import fourview.api, beside import torch",
        _seconds("-c", "import fourview.api"),
        torch,
        1 / 1.2,
    )
    command = ("-c", "from fourview.cli.main import main; main()")
    for words in (("--help",), *(("list", each) for each in LISTS)):
        ours = _seconds(*command, *words)
        yield _row(f"fourview {' '.join(words)}, beside 0.5 s", ours, HALF_A_SECOND, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        write_phantom(Path(folder, "exam"), num_exams=1, seed=3)
        exam = Path(folder, "exam", "dicom")
        for model in packaged_names():
            words = ("read", str(exam), "--model", model, "-o", str(Path(folder, model)))
            ours = _seconds(*command, *words)
            yield _row(f"read one exam by {model}, beside import torch", ours, torch, None)


def _row(name: str, ours: float, plain: float, floor: float | None) -> dict[str, Any]:
    return {"name": name, "ours": ours, "plain": plain, "ratio": plain / ours, "floor": floor}


def _seconds(*arguments: str) -> float:
    """The least processor time of a fresh process."""
    return min(_once(arguments) for _ in range(REPEATS))


def _once(arguments: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
