"""One small set of phantoms with a trained run, shared by the tests of all pages."""

import contextlib
import fcntl
from pathlib import Path

import pytest

from fourview.cli.main import main

SMALL_RUN = ("--set", "epochs=1", "--set", "batch=4", "--set", "schedule.name=constant")


def fourview(*words: object) -> None:
    """Run a command in this process; it must end well."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 0, words


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """phantom, manifest, store, run, scores of each part; made once for all processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base if base.name.startswith("pytest-") else base.parent  # of xdist's processes
    folder = shared / "printed_pages"
    with (shared / "printed_pages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir()
            with contextlib.chdir(folder):
                _make()
            (folder / "done").touch()
    return folder


def _make() -> None:
    inputs = ("--manifest", "manifest", "--store", "store")
    size = ("--exams", 12, "--seed", 1, "--preset", "miniature", "--rows", 192)
    fourview("phantom", "phantom", *size, "--workers", 1)
    fourview("index", "phantom", "--source", "phantom", "-o", "manifest", "--split", "0.4,0.3,0.3")
    fourview("prepare", "manifest", "--spec", "mvccl-192x96", "-o", "store", "--workers", 1)
    fourview("train", "mvccl:small", *inputs, "-o", "run", "--start", "mvccl-small", *SMALL_RUN)
    for split in ("validation", "test"):
        fourview("predict", "run", *inputs, "--split", split, "-o", f"{split}.parquet", "--exact")
