"""An option that nothing would read is refused, not dropped."""

import inspect
from typing import Annotated

import pytest
from cyclopts import Parameter

from fourview.cli.unused import option_of, refuse_unused
from fourview.errors import FourviewError


def command(
    *,
    sheet_images: int = 8,
    out: Annotated[str, Parameter(name=["-o", "--out"])] = "",
    list_: bool = False,
) -> None:
    """Does nothing."""


def test_defaults_are_not_given_and_others_are_named():
    refuse_unused(command, needs="--sheet", sheet_images=8, out="", list_=False)
    with pytest.raises(FourviewError, match="--sheet-images: is read only with --sheet; leave"):
        refuse_unused(command, needs="--sheet", sheet_images=9)


def test_options_have_the_names_of_the_command_line():
    parameters = inspect.signature(command).parameters.values()
    assert [option_of(p) for p in parameters] == ["--sheet-images", "--out", "--list"]
