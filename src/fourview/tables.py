"""How wide a table from outside may be; a wider one is refused before it uses up the memory.

polars needs minutes for 50,000 columns and does not come back from a million, and no table of a
data set has more than some hundred.
"""

from pathlib import Path

from fourview.errors import FourviewError

MAX_COLUMNS = 2_000
MAX_HEADER = 1 << 20  # characters of the first line
SEPARATORS = (",", ";", "\t", "|")


def require_narrow(text: str, path: Path, error: type[FourviewError]) -> None:
    """Check that a table's first line is short and names no more than 2,000 columns.

    Args:
        text: The table.
        path: Where it is from, for the message.
        error: What is raised.

    Raises:
        FourviewError: As ``error``.
    """
    line = text[: MAX_HEADER + 1].partition("\n")[0]
    # The separator is not known yet, so the one that gives most columns counts.
    columns = max(line.count(separator) for separator in SEPARATORS) + 1
    if columns > MAX_COLUMNS or len(line) > MAX_HEADER:
        has = (
            f"more than {MAX_HEADER:,} characters"
            if len(line) > MAX_HEADER
            else f"{columns:,} names"
        )
        raise error(
            f"{path}: its first line has {has}, need at most {MAX_COLUMNS:,} columns; keep those "
            "that are needed"
        )
