"""What the pages print: their blocks, and the commands in them, run in a folder as a reader would.

Only sizes are changed, by patterns that a test names: fewer exams, fewer pixels, fewer epochs.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from fourview.checkpoint.convert import published_names
from fourview.cli.main import app, main
from fourview.evaluate.protocols import protocol_names
from fourview.preprocess.spec import spec_names
from fourview.report.dicom.options import KINDS
from fourview.report.table_published import published_tables
from fourview.sources.find import source_names
from fourview.study.find_recipe import recipe_names

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src").rglob("*.md"),
    )
    if path.exists()
)
STARTS = ("fourview", "make", "python", "pip", "uv", "docker", "head", "export", "cd")
WHILE_SERVED: Callable[[str, list[str]], None] | None = None  # what a test does in the room
CONTINUED = re.compile(r"\\\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: Its page, from the root of the checkout.
        line: Where it begins.
        language: What its fence says.
        text: What is between the fences.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        return self.text.strip().partition("\n")[0]

    def commands(self) -> list[str]:
        """The commands; of a block with prompts, the lines behind them, and no output."""
        prompts = any(line.startswith("$ ") for line in self.text.splitlines())
        commands: list[str] = []
        open_one = False
        for line in self.text.splitlines():
            begins = line.startswith("$ ") if prompts else line.split(" ")[0] in STARTS
            if open_one:
                commands[-1] += f"\n{line}"
            elif begins:
                commands.append(line.removeprefix("$ "))
            else:
                continue
            open_one = _is_open(commands[-1])
        return commands


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(page, text[: m.start()].count("\n") + 1, m[1], m[2])
        for m in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def words_of(command: str) -> list[str]:
    """The words of a command as a shell sees them, without a comment at its end."""
    return shlex.split(command.replace("\\\n", " "), comments=True)


def run(command: str, *, small: Mapping[str, str], capfd: pytest.CaptureFixture[str]) -> str:
    """Run a printed command in the current folder; it must end well. What it printed.

    ``fourview`` runs in this process, all else in a shell.

    Args:
        command: As it is printed.
        small: Patterns of sizes, and what stands in their place.
        capfd: Of the test.
    """
    command = command.replace("\\\n", " ")
    for pattern, instead in small.items():
        command = re.sub(pattern, instead, command)
    words = words_of(command)
    if words[:2] == ["fourview", "serve"]:
        return served(words)
    if words[0] != "fourview" or "$(" in command:
        done = subprocess.run(
            ["bash", "-euc", command],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout
    capfd.readouterr()
    AcceleratorState._reset_state()  # a command of a reader's is a process of its own
    with pytest.raises(SystemExit) as stop:
        main(words[1:])
    told = capfd.readouterr()
    assert stop.value.code == 0, f"{command}\n{told.out}{told.err}"
    return told.out


def served(words: list[str]) -> str:
    """Start the reading room, wait until it prints its URL, and end it as Ctrl-C does."""
    code = "from fourview.cli.main import main; main()"
    room = subprocess.Popen(
        [sys.executable, "-c", code, *words[1:]],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    url = room.stdout.readline().strip()
    if WHILE_SERVED is not None and url:
        WHILE_SERVED(url, words)
    room.send_signal(signal.SIGINT)
    rest, errors = room.communicate()
    assert "http" in url, url + rest + errors
    assert "Traceback" not in errors, errors
    return url + rest


def parse(words: list[str]) -> None:
    """Pass what the command line takes: commands, options, and values of their types."""
    app.parse_args(words, exit_on_error=False, print_error=False)


def known_names() -> dict[str, set[str]]:
    """The names that an option, or a command's first word, takes."""
    return {
        "train": set(recipe_names()),
        "--source": set(source_names()),
        "--spec": set(spec_names()),
        "--protocol": set(protocol_names()),
        "--as": {*published_names(), *KINDS, "default", "all"},
        "reproduce": set(published_tables()),
    }


def environment() -> dict[str, str]:
    """Of a shell in which ``python`` and ``fourview`` are those of the tests."""
    import fourview  # noqa: PLC0415 - after shapes are made to be checked

    source = Path(fourview.__file__).parents[1]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(source)}


def _is_open(command: str) -> bool:
    """Whether the command goes on in the next line."""
    if CONTINUED.search(command):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation that is not closed
        return True
    return False
