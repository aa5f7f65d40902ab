"""A table's hash is that of its content, wherever it lies."""

from datetime import date
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.errors import ManifestError
from fourview.manifest.content_hash import parts_digest, table_digest

ROWS = 21  # no multiple of eight: bits are packed across parts
TABLE = pl.DataFrame(
    {
        "text": [None if n % 5 == 0 else "ü" * (n % 4) for n in range(ROWS)],
        "whole": [None if n % 7 == 0 else n - 9 for n in range(ROWS)],
        "number": [None if n % 6 == 0 else n / 7 for n in range(ROWS - 1)] + [float("nan")],
        "truth": [None if n % 4 == 0 else n % 3 == 0 for n in range(ROWS)],
        "day": [None if n % 9 == 0 else date(2020, 1, n) for n in range(ROWS)],
        "texts": [None if n % 8 == 0 else ["a", None, "bc"][: n % 4] for n in range(ROWS)],
        "points": [None if n % 3 == 0 else [0.5] * (n % 5) for n in range(ROWS)],
        "lists": [None if n % 10 == 0 else [[n], [], None][: n % 4] for n in range(ROWS)],
        "nothing": [None] * ROWS,
    }
)  # fmt: skip


@given(st.lists(st.integers(0, ROWS), max_size=6))
@settings(max_examples=8, deadline=None)
def test_a_table_in_parts_has_the_hash_of_the_whole(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("parts")
    parts = []
    for number, (start, end) in enumerate(pairwise([0, *sorted(cuts), ROWS])):
        parts.append(folder / f"{number}.parquet")
        TABLE.slice(start, end - start).write_parquet(parts[-1])
    assert parts_digest(parts) == table_digest(TABLE)


def test_the_hash_is_the_one_of_every_machine_and_version():
    """A value written down once, before tables were hashed in parts."""
    assert table_digest(TABLE) == KNOWN_HASH


KNOWN_HASH = "1b0e1e423849b9d5d1d273ac21e6bc376696468cdff0afced4e8cd95615ba275"


@pytest.mark.parametrize("name", TABLE.columns)
def test_rows_in_another_order_have_another_hash(name):
    turned = TABLE.with_columns(TABLE[name].reverse())
    assert (table_digest(turned) == table_digest(TABLE)) == (name == "nothing")


def test_a_column_of_another_type_is_named():
    with pytest.raises(ManifestError, match="column 'blob' has type Binary"):
        table_digest(pl.DataFrame({"blob": [b"x"]}))
