"""A newcomer's first day: the wheel into a fresh environment, then the tour to a tuned model.

Every command is printed in docs/install.md or docs/tour.md; sizes alone are smaller. The fresh
environment has Fourview from its wheel; packages that it needs (torch, 6 GB with CUDA) come from
the environment of the tests, by a .pth file, and are not installed anew.
"""

import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import polars as pl
import pytest

import printed

SMALL = {r"--exams \d+": "--exams 12", r"--rows \d+": "--rows 192"} | {
    r"(fourview train .*)": r"\1 --set batch=4 --set epochs=2"
}
NO_CHECKOUT = not (printed.ROOT / "pyproject.toml").exists()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NO_CHECKOUT, reason="needs a checkout, not a wheel"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=printed.ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


class Day:
    """A shell in one folder; what was printed is kept, and no command may end badly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = ""
        path = os.pathsep.join([str(folder / "fourview-env" / "bin"), os.environ["PATH"]])
        unset = ("PYTHONPATH", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment = kept | {"PATH": path, "OMP_NUM_THREADS": "1"}

    def run(self, command: str) -> str:
        command = command.replace("\\\n", " ")
        for pattern, instead in SMALL.items():
            command = re.sub(pattern, instead, command)
        child = subprocess.Popen(
            ["bash", "-euc", f"exec {command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = ""
        if command.startswith("fourview serve"):
            first = child.stdout.readline()
            child.send_signal(signal.SIGINT)
        out, errors = child.communicate()
        told = first + out + errors
        assert child.returncode == 0, f"{command}\n{told}"
        assert "Traceback" not in told, f"{command}\n{told}"
        self.said += told
        return told


def commands(page: str, *, beginning: tuple[str, ...]) -> list[str]:
    printed_ones = [c for block in printed.blocks(page) for c in block.commands()]
    return [c for c in printed_ones if c.startswith(beginning)]


def test_a_day_from_the_wheel_to_the_page_of_a_tuned_model(wheel, tmp_path, real_exams):
    assert real_exams.exists()  # one step reads them
    day = Day(tmp_path)
    blocks = printed.blocks("docs/install.md")
    block = next(b for b in blocks if b.text.startswith("python3 -m venv"))
    make, install = block.text.strip().splitlines()
    day.run(make.replace("python3", sys.executable))
    site = next((tmp_path / "fourview-env" / "lib").glob("python*/site-packages"))
    (site / "heavy.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    assert install.endswith(" install .")
    day.run(f"{install[:-1]}--no-deps --no-index {wheel}")
    where = day.run("python -c 'import fourview; print(fourview.__file__)'")
    assert str(tmp_path) in where  # the wheel's, and not the checkout's

    day.run("fourview doctor")
    for command in commands("docs/tour.md", beginning=("fourview",)):
        day.run(command)
    program = next(b for b in printed.blocks("docs/tour.md") if b.language == "python")
    (tmp_path / "program.py").write_text(program.text)
    day.run("python program.py")

    assert "began with all 57 tensors of mvccl:small" in day.said
    scores = pl.read_parquet(tmp_path / "tour" / "test.parquet")
    assert scores.filter(pl.col("unit") == "breast")["score"].is_between(0, 1).all()
    for page in ("result", "report", "report_of_the_package", "report_from_python"):
        text = (tmp_path / "tour" / page / "report.html").read_text(encoding="utf-8")
        assert ("esearch use only" in text and "data:image/" in text) or page == "result", page
