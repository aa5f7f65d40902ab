"""Print lines that quote files: printable, and one line each."""

from fourview.text import printable


def say(text: str) -> None:
    """Print one line on standard output."""
    print(printable(text), flush=True)
