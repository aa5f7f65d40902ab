"""Write docs/notebooks/*.ipynb anew from the scripts beside them.

Run:     python docs/make_notebooks.py; a script has cells that begin with ``# %%`` (code) or
         ``# %% [markdown]`` (text, each line after ``# ``), as editors know them.
Test:    tests/docs/test_notebooks.py runs each, and fails where a notebook is not its script's.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).with_name("notebooks")
MARK, TEXT = "# %%", "# %% [markdown]"


def cells_of(script: str) -> list[dict[str, Any]]:
    """The cells of a script, without outputs."""
    cells: list[dict[str, Any]] = []
    for number, part in enumerate(script.split(f"\n{MARK}")[1:]):
        first, _, body = part.partition("\n")
        is_text = first.strip() == "[markdown]"
        lines = body.strip("\n").split("\n")
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        source = [f"{line}\n" for line in lines[:-1]] + lines[-1:]
        cell: dict[str, Any] = {"id": f"cell-{number:02d}", "metadata": {}, "source": source}
        if is_text:
            cells.append({"cell_type": "markdown", **cell})
        else:
            cells.append({"cell_type": "code", "execution_count": None, "outputs": [], **cell})
    return cells


def notebook(script: str) -> str:
    """The text of the notebook of a script."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    data = {
        "cells": cells_of(script),
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every notebook."""
    for script in sorted(HERE.glob("*.py")):
        script.with_suffix(".ipynb").write_text(notebook(script.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
