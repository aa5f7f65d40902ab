"""What commands print of the outside: one printable line each."""

import ast
from pathlib import Path

import pytest

import fourview
from fourview.cli.list_command import list_
from fourview.cli.say import say

COMMANDS = sorted((Path(fourview.__file__).parent / "cli").glob("*.py"))
PRINTABLE = ("jsonlib.dumps(", "as_json(", "printable(")  # JSON escapes what cannot be seen


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
def test_commands_print_nothing_that_may_hold_a_line_break_of_a_file(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            text = ast.unparse(node.args[0])
            is_fixed = not any(isinstance(inner, ast.Name) for inner in ast.walk(node.args[0]))
            assert is_fixed or any(word in text for word in PRINTABLE), f"{text}: use say"


def test_a_line_is_one_line(capsys):
    say("patient A\n0.1 recalled\x1b[2J")
    assert capsys.readouterr().out == "patient A 0.1 recalled\\x1b[2J\n"


def test_feeds_are_listed_with_a_line_on_each(capsys):
    list_("feeds")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "boxes", "captions", "exams", "images", "patches", "regions"
    ]  # fmt: skip
    assert all(len(line.split()) > 4 for line in lines)
