"""How wide a table of others may be: what is wider is refused before it costs a machine its memory.

polars needs minutes for 50,000 columns and does not come back from a million, and no table of a
data set has more than some hundred.
"""

from pathlib import Path

from fourview.errors import FourviewError

MAX_COLUMNS = 2_000
MAX_HEADER = 1 << 20  # letters of the first line
SEPARATORS = (",", ";", "\t", "|")


def require_narrow(text: str, path: Path, error: type[FourviewError]) -> None:
    """Pass a table of text whose first line is short and names no more than 2,000 columns.

    Args:
        text: The table.
        path: Where it is from, for the message.
        error: What is raised.

    Raises:
        FourviewError: As ``error``.
    """
    line = text[: MAX_HEADER + 1].partition("\n")[0]
    columns = max(line.count(separator) for separator in SEPARATORS) + 1
    if columns > MAX_COLUMNS or len(line) > MAX_HEADER:
        told = f"more than {MAX_HEADER:,} bytes" if len(line) > MAX_HEADER else f"{columns:,} names"
        raise error(
            f"{path}: its first line has {told}, need at most {MAX_COLUMNS:,} columns; keep those "
            "that are needed"
        )
