"""A hash of a table's content that is the same on every machine and in every version of polars.

A column is reduced to bytes in one way: its name, its kind (integer, number, text, truth, list),
where it is null, and its values in little-endian order with nulls as zero or the empty text. Types
of one kind are widened first, so Int8 and Int64 columns of equal values have equal hashes.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Shaped

from fourview.errors import ManifestError

CHUNK = 1 << 16  # texts joined at once: bounded memory for millions of ids


def text_digest(parts: Iterable[str]) -> str:
    """SHA-256 of the texts, in their order, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def table_digest(table: pl.DataFrame) -> str:
    """SHA-256 of a table; the order of rows counts, that of columns does not.

    Raises:
        ManifestError: A column has a type that is none of number, text, truth, date or list.
    """
    return text_digest(
        f"{name}:{_column_digest(table[name].rechunk())}" for name in sorted(table.columns)
    )


def _column_digest(values: pl.Series) -> str:
    digest = hashlib.sha256(len(values).to_bytes(8, "little"))
    _update(digest, values)
    return digest.hexdigest()


def _update(digest: Any, values: pl.Series) -> None:
    """Feed one column; lists feed their lengths and then their items as a column."""
    dtype = values.dtype
    digest.update(np.packbits(values.is_null().to_numpy()).tobytes())
    if dtype == pl.Null:
        digest.update(b"null")
    elif dtype == pl.Boolean:
        digest.update(b"truth")
        digest.update(np.packbits(values.fill_null(False).to_numpy()).tobytes())
    elif dtype.is_integer():
        digest.update(b"integer")
        _numbers(digest, values.fill_null(0).cast(pl.Int64).to_numpy(), "<i8")
    elif dtype.is_float():
        digest.update(b"number")
        numbers = values.fill_null(0.0).cast(pl.Float64).to_numpy() + 0.0  # -0.0 becomes 0.0
        _numbers(digest, np.where(np.isnan(numbers), np.nan, numbers), "<f8")
    elif dtype == pl.String or dtype.is_temporal() or dtype == pl.Categorical:
        digest.update(b"text")
        _texts(digest, values.cast(pl.String).fill_null(""))
    elif isinstance(dtype, pl.List):
        digest.update(b"list")
        _numbers(digest, values.list.len().fill_null(0).to_numpy(), "<i8")
        _update(digest, values.filter(values.list.len() > 0).explode())
    else:
        raise ManifestError(
            f"column '{values.name}' has type {dtype}; need numbers, texts or lists"
        )


def _numbers(digest: Any, values: Shaped[np.ndarray, " value"], dtype: str) -> None:
    digest.update(np.ascontiguousarray(values.astype(dtype, copy=False)).data)


def _texts(digest: Any, values: pl.Series) -> None:
    """Lengths in bytes, then all bytes joined: no two columns share them."""
    _numbers(digest, values.str.len_bytes().to_numpy(), "<i8")
    for start in range(0, len(values), CHUNK):
        digest.update(values.slice(start, CHUNK).str.join("").item().encode())
