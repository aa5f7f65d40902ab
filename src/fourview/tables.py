"""CSV files of others, read as text, and refused before they cost a machine its memory.

A header is looked at first: polars needs minutes for 50,000 columns and does not come back from a
million, and no table of a data set has more than some hundred.
"""

from pathlib import Path

import polars as pl

from fourview.errors import FourviewError

MAX_COLUMNS = 2_000
MAX_HEADER = 1 << 20  # bytes of the first line


def read_csv(path: Path, error: type[FourviewError], *, separator: str = ",") -> pl.DataFrame:
    """A CSV as text, with the names of its first line.

    Args:
        path: UTF-8, with or without a byte-order mark.
        error: What is raised.
        separator: Between the fields.

    Raises:
        FourviewError: As ``error``: it is missing, no table, or has too many columns.
    """
    try:
        require_narrow(path, error, separator=separator)
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as problem:
        reason = str(problem).splitlines()[0]
        raise error(f"{path}: cannot be read as a table ({reason})") from None


def require_narrow(path: Path, error: type[FourviewError], *, separator: str = ",") -> None:
    """Pass a CSV whose first line is short and names no more than 2,000 columns.

    Raises:
        FourviewError: As ``error``.
    """
    with path.open("rb") as file:
        line = file.readline(MAX_HEADER + 1)
    columns = line.count(separator.encode()) + 1
    if columns > MAX_COLUMNS or len(line) > MAX_HEADER:
        told = f"more than {MAX_HEADER:,} bytes" if len(line) > MAX_HEADER else f"{columns:,} names"
        raise error(
            f"{path}: its first line has {told}, need at most {MAX_COLUMNS:,} columns; keep those "
            "that are needed"
        )
