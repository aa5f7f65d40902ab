"""Numbers that papers print for a protocol, for the column beside ours. Not a target.

``published.csv`` holds them as fractions. Columns of two papers are never mixed: they differ for
the same model, so every number names its table.
"""

from functools import cache
from pathlib import Path

import polars as pl

from fourview.entities import PublishedNumber

_SCHEMA = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def published_numbers(protocol: str) -> tuple[PublishedNumber, ...]:
    """What papers report under this protocol; empty where none does."""
    whole = protocol.replace("-sample-", "-")  # papers print one number, of their sample
    return tuple(n for n in _all() if n.protocol == whole)


@cache
def _all() -> tuple[PublishedNumber, ...]:
    table = pl.read_csv(Path(__file__).with_name("published.csv"), schema_overrides=_SCHEMA)
    table = table.with_columns(pl.col("setting").fill_null(""))
    return tuple(PublishedNumber(**row) for row in table.iter_rows(named=True))
