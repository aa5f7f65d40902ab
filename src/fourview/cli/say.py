"""Print lines for people, which may quote a file: printable, and one line each."""

from typing import Any

from fourview.text import printable


def say(text: str, *, to: Any = None) -> None:
    """Print one line on standard output, or on the text stream ``to``."""
    print(printable(text), file=to, flush=True)
