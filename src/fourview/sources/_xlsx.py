"""The first sheet of an XLSX file as text: enough for the small tables data sets come with.

Source: ECMA-376 part 1: an XLSX is a zip of XML; cells hold a number, an index into the shared
texts (t="s"), or their own text (t="inlineStr" or "str").
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl

from fourview.errors import ManifestError

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
MAX_BYTES = 200_000_000  # of one part, unpacked; the largest table of this kind here is under 1 MB


def read_sheet(path: Path) -> pl.DataFrame:
    """The first sheet; row 1 names the columns, every value is text, empty cells are null.

    Raises:
        ManifestError: It is no XLSX file.
    """
    try:
        with zipfile.ZipFile(path) as book:
            shared = _shared_texts(book)
            sheets = sorted(
                n for n in book.namelist() if re.fullmatch(r"xl/worksheets/\w+\.xml", n)
            )
            rows = list(_rows(ET.fromstring(_part(book, sheets[0])), shared))
    except (OSError, zipfile.BadZipFile, ET.ParseError, IndexError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as XLSX ({error}); save it as CSV") from None
    if not rows:
        raise ManifestError(f"{path}: its first sheet is empty")
    width = max(max(row, default=-1) for row in rows) + 1
    names = [rows[0].get(i) or f"column_{i + 1}" for i in range(width)]
    data = {name: [row.get(i) for row in rows[1:]] for i, name in enumerate(names)}
    return pl.DataFrame(data, schema=dict.fromkeys(names, pl.String))


def _part(book: zipfile.ZipFile, name: str) -> bytes:
    if book.getinfo(name).file_size > MAX_BYTES:
        raise ValueError(f"{name} is larger than {MAX_BYTES} bytes")
    return book.read(name)


def _shared_texts(book: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    tree = ET.fromstring(_part(book, "xl/sharedStrings.xml"))
    return ["".join(t.text or "" for t in item.iter(f"{SPACE}t")) for item in tree]


def _rows(sheet: ET.Element, shared: list[str]) -> Iterator[dict[int, str]]:
    for row in sheet.iter(f"{SPACE}row"):
        yield {
            _column(cell.get("r", "A")): text
            for cell in row.iter(f"{SPACE}c")
            if (text := _text(cell, shared)) is not None
        }


def _column(reference: str) -> int:
    """0 for A12, 27 for AB3."""
    number = 0
    for letter in reference:
        if not letter.isalpha():
            break
        number = number * 26 + ord(letter.upper()) - ord("A") + 1
    return number - 1


def _text(cell: ET.Element, shared: list[str]) -> str | None:
    if cell.get("t") == "inlineStr":
        return "".join(t.text or "" for t in cell.iter(f"{SPACE}t"))
    value = cell.find(f"{SPACE}v")
    if value is None or value.text is None:
        return None
    return shared[int(value.text)] if cell.get("t") == "s" else value.text
