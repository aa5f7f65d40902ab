"""Tables of text as people export them -> UTF-8, one separator: what every CSV reader here reads.

Takes:   UTF-8 with or without a byte-order mark, UTF-16 and UTF-32 with or without one (as Excel's
         "Unicode text" has it), else Windows-1252; commas, semicolons, tabs or bars between fields.
"""

import codecs
import csv
from pathlib import Path

import polars as pl

from fourview.errors import ManifestError
from fourview.tables import SEPARATORS, require_narrow

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text_table(path: Path, separator: str | None = None) -> pl.DataFrame:
    """Read a table of text; every column is text.

    Args:
        path: The table.
        separator: Between its fields; None finds it in the first line.

    Raises:
        ManifestError: There is no such file, it is empty, it is no table, or has too many columns.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such table; is the folder that of the data set?") from None
    except IsADirectoryError:
        raise ManifestError(f"{path}: is a folder, need a table") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    text = _decoded(path, data)
    if not text.strip():
        raise ManifestError(f"{path}: the table is empty; export it again")
    if text[:4].lower() == "sep=":  # what Excel writes for itself
        first, _, text = text.partition("\n")
        separator = separator or first.strip()[4:] or None
    require_narrow(text, path, ManifestError)
    own = separator_of(text)
    if separator is None or separator not in text.partition("\n")[0]:
        separator = own
    try:
        return pl.read_csv(text.encode(), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{path}: cannot be read as a table ({reason})") from None


def separator_of(text: str) -> str:
    """What stands between the fields of the first line: the most frequent outside of quotes."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    counts = {s: len(next(csv.reader([line], delimiter=s), [])) for s in SEPARATORS}
    return max(SEPARATORS, key=lambda s: counts[s])


def _decoded(path: Path, data: bytes) -> str:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _by(path, data, codec)
    if b"\0" in data[:4096]:  # UTF-16 without a mark: Latin letters have a zero in every other byte
        even, odd = data[:4096:2].count(0), data[1:4096:2].count(0)
        none = f"{path}: holds zeros, so it is no table of text; export it as CSV"
        if min(even, odd) * 4 > max(even, odd):
            raise ManifestError(none)
        try:
            return data.decode("utf-16-le" if odd > even else "utf-16-be")
        except UnicodeDecodeError:
            raise ManifestError(none) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _by(path: Path, data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path}: begins as {codec} and is not ({error.reason}); export it as UTF-8"
        ) from None
