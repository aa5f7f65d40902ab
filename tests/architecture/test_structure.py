"""What the package promises of itself: where things are, which commands, what imports torch."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fourview
from fourview.cli.main import COMMANDS

ROOT = Path(fourview.__file__).parents[2]
SOURCE = Path(fourview.__file__).parent
LONGEST_FILE = 400  # lines; above it a part wants its own name

README = ROOT / "README.md"
needs_checkout = pytest.mark.skipif(not README.exists(), reason="needs a checkout, not a wheel")

COMMAND_LINE = {
    "demo": {"--out", "--exams", "--workers", "--json"},
    "phantom": {"--exams", "--seed", "--preset", "--rows", "--vendor", "--syntax", "--workers"},
    "index": {"--source", "--out", "--split", "--seed", "--workers", "--executor", "--json"},
    "check": {"--files", "--json"},
    "prepare": {"--spec", "--out", "--workers", "--executor", "--json"},
    "train": {"--manifest", "--store", "--out", "--resume", "--set", "--seed", "--json"},
    "crossval": {"--manifest", "--store", "--out", "--folds", "--protocol", "--set", "--json"},
    "study": {"--out", "--data", "--rows", "--seeds", "--plan", "--jobs", "--device", "--json"},
    "predict": {
        "--manifest",
        "--store",
        "--out",
        "--split",
        "--exact",
        "--executor",
        "--json",
    },
    "evaluate": {"--manifest", "--protocol", "--out", "--json"},
    "compare": {"--manifest", "--protocol", "--json"},
    "dissect": {"--manifest", "--store", "--split", "--protocol", "--metric", "--out", "--json"},
    "reproduce": {"--manifest", "--out", "--row", "--store", "--protocol", "--seed", "--json"},
    "read": {"--out", "--model", "--dicom", "--exact", "--json"},
    "dicom": {"--out", "--as", "--required-at", "--created", "--json"},
    "list": {"--json"},
    "node": {"--once"},
    "node-status": {"--json"},
    "node-retry": {"--failed"},
    "send": {"--to", "--config", "--json"},
    "serve": {"--manifest", "--predictions", "--host", "--port", "--open", "--cache"},
    "doctor": {"--json"},
}


def test_the_commands_are_those_that_people_have_learned():
    assert set(COMMANDS) >= set(COMMAND_LINE)


@pytest.mark.parametrize("command", sorted(COMMAND_LINE))
def test_the_options_of_a_command_stay(command, capsys):
    from fourview.cli.main import main  # noqa: PLC0415 - the command is imported when called

    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    shown = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert shown >= COMMAND_LINE[command]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_says_all_that_the_docstring_says_of_an_option(command, capsys, monkeypatch):
    from fourview.cli.main import app, main  # noqa: PLC0415 - the command is imported when called

    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    described = inspect.getdoc(app[command].default_command).split("Args:\n")[1].split("\n\n")[0]
    entries = re.split(r"\n(?=    \w)", "\n" + described.replace("``", ""))[1:]
    assert entries
    for entry in entries:
        assert " ".join(entry.split(":", 1)[1].split()) in shown


@pytest.mark.parametrize(
    "module",
    [
        "fourview.cli.main",
        "fourview.cli.index",
        "fourview.cli.check",
        "fourview.cli.evaluate",
        "fourview.sources.find",
        "fourview.report.exam_html",
        "fourview.cli.dicom",
        "fourview.phantom.write",
        "fourview.localise.findings",
        "fourview.cli.serve",
        "fourview.serve.app",
        "fourview.cli.node",
        "fourview.node.run",
    ],
)
def test_runs_without_importing_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_checkout
def test_the_find_it_table_names_what_is_there():
    table = README.read_text().split("## Where things are")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:src|tests|docs|benchmarks)/[^`*]*)`", table)
    assert len(paths) > 10
    missing = [p for p in paths if not (ROOT / p).exists()]
    assert not missing


def test_stages_hold_a_docstring_only():
    for stage in ("dicom", "phantom", "preprocess", "manifest", "jobs", "store", "sources",
                  "captions", "feeds", "nn", "losses", "models", "checkpoint", "train", "localise",
                  "predict", "evaluate", "report", "report/dicom", "recipes", "study", "serve",
                  "node", "cli"):  # fmt: skip
        text = (SOURCE / stage / "__init__.py").read_text()
        assert re.fullmatch(r'\s*""".*?"""\s*', text, re.DOTALL), stage


def test_files_are_short_enough_to_read():
    long = {
        str(p.relative_to(SOURCE)): n
        for p in SOURCE.rglob("*.py")
        if (n := p.read_text().count("\n")) > LONGEST_FILE
    }
    assert not long


def test_nothing_is_unpickled_but_by_the_reader_that_refuses_classes():
    allowed = {"sources/nyu.py", "checkpoint/unpickle.py"}  # the latter names its error only
    unpickle = {
        str(p.relative_to(SOURCE))
        for p in SOURCE.rglob("*.py")
        if re.search(r"^\s*(import pickle|from pickle)|weights_only=False", p.read_text(), re.M)
    }
    assert unpickle <= allowed
