"""A disk that is full or read-only ends a command with one line and 3."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fourview
from fourview.cli.main import main

RUN = "from fourview.cli.main import main; main()"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_results_that_go_to_a_full_disk_are_told():
    source = str(Path(fourview.__file__).parents[1])
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-c", RUN, "list", "specs"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
    assert done.returncode == 3
    assert done.stderr.startswith("error: no space left on the disk")
    assert len(done.stderr.splitlines()) == 1


def test_a_read_only_disk_is_named(small_disk, capsys):
    disk, _ = small_disk
    assert shutil.which("mount")
    remount = ["mount", "-o", "remount,ro", str(disk)]
    subprocess.run(remount, check=True, capture_output=True)
    with pytest.raises(SystemExit) as end:
        main(["phantom", str(disk / "p"), "--exams", "1"])
    assert end.value.code == 3
    said = capsys.readouterr().err
    assert said.startswith(f"error: {disk}/p")
    assert "read-only file system; name a folder that can be written" in said
    assert len(said.splitlines()) == 1
