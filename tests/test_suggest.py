"""What is said where a name is none of those there are."""

from pathlib import Path

import pytest

import fourview
from fourview.suggest import did_you_mean, nearest, no_such


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("vinder", ("rsna", "vindr"), "vindr"),
        ("GMIC", ("glam", "gmic"), "gmic"),  # small letters or large ones
        ("gmic", ("GLAM", "GMIC single"), "GMIC single"),
        ("lrate", ("lr", "epochs"), "lr"),
        ("rsna", ("rsna-cancer-v1",), None),  # 8 of 18 letters in common
        ("x", (), None),
    ],
)
def test_the_nearest_name(name, names, near):
    assert nearest(name, names) == near
    assert did_you_mean(name, names) == ("" if near is None else f"did you mean '{near}'? ")


def test_the_message_has_the_name_the_nearest_and_all():
    text = no_such("source", "vinder", ["rsna", "vindr"])
    assert text == "no source 'vinder'; did you mean 'vindr'? there are: rsna, vindr"
    assert no_such("row", "a", ()) == "no row 'a'; there are: none"


def test_only_this_module_compares_names():
    """One wording for all: whoever needs a hint takes it from here."""
    package = Path(fourview.__file__).parent
    hints = ("difflib", "did you mean")
    users = {p.name for p in package.rglob("*.py") if any(h in p.read_text() for h in hints)}
    assert users == {"suggest.py"}
