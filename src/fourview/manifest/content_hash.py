"""A hash of a table's content that is the same on every machine and in every version of polars.

A column is reduced to bytes in one way: its name, its kind (integer, number, text, truth, list),
where it is null, and its values in little-endian order with nulls as zero or the empty text. Types
of one kind are widened first, so Int8 and Int64 columns of equal values have equal hashes.

A table in memory and one that lies in parts on disk have the same hash: a column is always fed
chunk by chunk, a pass each for its nulls, its lengths and its values.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Shaped

from fourview.errors import ManifestError
from fourview.fingerprint import digest_of_texts

CHUNK = 1 << 16  # texts joined at once: bounded memory for millions of ids

Chunks = Callable[[], Iterable[pl.Series]]  # a column from its start, as often as it is called


def table_digest(table: pl.DataFrame) -> str:
    """SHA-256 of a table; the order of rows counts, that of columns does not.

    Raises:
        ManifestError: A column has a type that is none of number, text, truth, date or list.
    """
    return _digest(table.schema, len(table), lambda name: [table[name]])


def parts_digest(parts: Sequence[Path]) -> str:
    """The ``table_digest`` of a table that lies in Parquet files, with one of them in memory.

    Args:
        parts: The files in the order of their rows, at least one; all have the same columns.

    Raises:
        ManifestError: As ``table_digest``.
    """
    schema = pl.read_parquet_schema(parts[0])
    length = sum(pl.scan_parquet(part).select(pl.len()).collect().item() for part in parts)
    return _digest(
        schema, length, lambda name: (pl.read_parquet(p, columns=[name])[name] for p in parts)
    )


def _digest(
    schema: Mapping[str, Any], length: int, column: Callable[[str], Iterable[pl.Series]]
) -> str:
    parts = []
    for name in sorted(schema):
        digest = hashlib.sha256(length.to_bytes(8, "little"))
        _update(digest, name, schema[name], partial(column, name))
        parts.append(f"{name}:{digest.hexdigest()}")
    return digest_of_texts(parts)


def _update(digest: Any, name: str, dtype: Any, chunks: Chunks) -> None:
    """Feed one column; lists feed their lengths and then their items as a column."""
    _bits(digest, (values.is_null() for values in chunks()))
    if dtype == pl.Null:
        digest.update(b"null")
    elif dtype == pl.Boolean:
        digest.update(b"truth")
        _bits(digest, (values.fill_null(False) for values in chunks()))
    elif dtype.is_integer():
        digest.update(b"integer")
        for values in chunks():
            _numbers(digest, values.fill_null(0).cast(pl.Int64).to_numpy(), "<i8")
    elif dtype.is_float():
        digest.update(b"number")
        for values in chunks():
            numbers = values.fill_null(0.0).cast(pl.Float64).to_numpy() + 0.0  # -0.0 becomes 0.0
            _numbers(digest, np.where(np.isnan(numbers), np.nan, numbers), "<f8")
    elif dtype == pl.String or dtype.is_temporal() or dtype == pl.Categorical:
        digest.update(b"text")
        _texts(digest, chunks)
    elif isinstance(dtype, pl.List):
        digest.update(b"list")
        for values in chunks():
            _numbers(digest, values.list.len().fill_null(0).to_numpy(), "<i8")
        _update(digest, name, dtype.inner, lambda: map(_items, chunks()))
    else:
        raise ManifestError(f"column '{name}' has type {dtype}; need numbers, texts or lists")


def _items(values: pl.Series) -> pl.Series:
    """The items of a column of lists."""
    return values.filter(values.list.len() > 0).explode()


def _bits(digest: Any, chunks: Iterable[pl.Series]) -> None:
    """Truth values, eight per byte; bits that fill no byte are put before the next chunk's."""
    rest = np.zeros(0, dtype=np.bool_)
    for values in chunks:
        bits = np.concatenate([rest, values.to_numpy()])
        whole = len(bits) // 8 * 8
        digest.update(np.packbits(bits[:whole]).tobytes())
        rest = bits[whole:]
    digest.update(np.packbits(rest).tobytes())


def _numbers(digest: Any, values: Shaped[np.ndarray, " value"], dtype: str) -> None:
    digest.update(np.ascontiguousarray(values.astype(dtype, copy=False)).data)


def _texts(digest: Any, chunks: Chunks) -> None:
    """Lengths in bytes, then all bytes joined: no two columns share them."""
    for values in map(_text, chunks()):
        _numbers(digest, values.str.len_bytes().to_numpy(), "<i8")
    for values in map(_text, chunks()):
        for start in range(0, len(values), CHUNK):
            digest.update(values.slice(start, CHUNK).str.join("").item().encode())


def _text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).fill_null("")
