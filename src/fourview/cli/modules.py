"""The option ``--module``: families, recipes, sources, ... of one's own."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.outside import use_module

Modules = Annotated[tuple[str, ...], Parameter(name="--module")]


def use_modules(names: tuple[str, ...]) -> None:
    """Use modules of the current folder or of what is installed; see ``fourview.outside``."""
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.append(here)  # last: a file here must not hide a module of somebody else
    for name in names:
        use_module(name)
