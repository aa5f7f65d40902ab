"""The guide to adding a model is run as it is printed, from a folder of somebody's own."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from factory import exam_batch
from fourview import outside
from fourview.checkpoint.card import load_checkpoint
from fourview.cli.main import main
from fourview.errors import CheckpointError
from fourview.models.find import find_family, own_names

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "adding_a_model.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Somebody's own folder with brightest.py, as the current one; nothing is used yet."""
    (tmp_path / "brightest.py").write_text("\n\n".join(blocks("python")[:4]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outside, "_used", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("brightest", None)


def run(command, capsys):
    """What a command of the guide prints; it must end well."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(command)[1:])
    told = capsys.readouterr()
    assert stop.value.code == 0, told.err
    return told.out


def test_the_printed_commands_run_and_the_checkpoint_names_its_module(folder, capsys, monkeypatch):
    commands = blocks("sh")[0].splitlines()
    assert {c.split()[1] for c in commands} >= {"list", "prepare", "train", "predict", "read"}
    told = [run(command, capsys) for command in commands]
    assert "made up [from brightest]" in told[0]
    assert (folder / "report" / "report.html").exists()

    best = folder / "run" / "checkpoints" / "best"
    assert json.loads((best / "model.json").read_text())["modules"] == ["brightest"]
    monkeypatch.setattr(outside, "_used", [])
    printed = blocks("text")[0].strip().removeprefix("error: ")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(best)
    assert str(caught.value).removeprefix(f"{folder}/") == printed
    exec(compile(blocks("python")[4], "program.py", "exec"), {})
    assert load_checkpoint(best)[2].name == "brightest"


def test_the_printed_family_learns(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    outside.use_module("brightest")
    guide = find_family("brightest")
    torch.manual_seed(0)
    stage = guide.stages["train"]
    objective = stage.objective(guide.build(guide.tiny_config), stage.settings()).train()
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    batch = exam_batch("0123", "02", size=guide.tiny_size)
    losses = []
    for _ in range(20):
        terms = objective(batch)
        losses.append(float(terms.total.detach()))
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_the_printed_entry_points_are_found_without_a_module_option(folder, monkeypatch):
    about = folder / "brightest-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brightest\nVersion: 1.0\n")
    listed = re.sub(r'project\.entry-points\."(.*)"', r"\1", blocks("toml")[0]).replace('"', "")
    (about / "entry_points.txt").write_text(listed)
    monkeypatch.syspath_prepend(str(folder))
    outside._points.cache_clear()
    try:
        assert find_family("mvccl").name == "mvccl"
        assert "brightest" not in sys.modules  # until somebody asks for what is none of ours
        assert find_family("brightest").paper == "made up"
    finally:
        outside._points.cache_clear()


def test_the_printed_family_keeps_the_contract(folder):
    command = next(line for line in blocks("text")[1].splitlines() if "pytest" in line)
    setting, *arguments = shlex.split(command)
    assert setting.startswith("PYTHONPATH=")
    assert arguments[0] == "pytest"
    path = os.pathsep.join((str(folder), str(Path(outside.__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted is not None
    assert int(counted.group(1)) >= 8  # all tests of a family that reads


def test_families_of_the_package_are_those_of_its_folders():
    assert "brightest" not in own_names()
    assert "mvccl" in own_names()
