"""Print lines for people, which may quote a file: printable, and one line each."""

from typing import TextIO

from fourview.text import printable


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line on standard output, or on ``to``."""
    print(printable(text), file=to, flush=True)
