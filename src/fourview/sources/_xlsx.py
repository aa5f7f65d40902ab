"""The first sheet of an XLSX file as text, by polars and fastexcel.

An XLSX is a zip of XML (ECMA-376 part 1), and a reader makes a full grid up to its last cell: one
cell far out, or XML that unpacks to a thousand times its size, takes gigabytes. So the parts are
first unpacked as a stream and their cells counted, in memory that does not grow with the file.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fastexcel
import polars as pl

from fourview.errors import ManifestError
from fourview.tables import MAX_COLUMNS

MAX_UNPACKED = 64 << 20  # bytes of all parts; the largest table of this kind here has under 1 MB
MAX_RATIO = 200  # unpacked to packed of one part; tables have 10 to 40
MAX_CELLS = 2_000_000  # of the grid, with those that are empty
MAX_PARTS = 1_000
FIRST_BYTES = 1 << 20  # of a part, that may unpack from nearly nothing
BLOCK = 1 << 20
_REFERENCE = re.compile(rb'\br\s*=\s*["\']([A-Za-z]{1,9})([0-9]{1,12})["\']')
_OPEN = re.compile(rb"<(?:\w+:)?(c|row)[\s/>]")
_LONGEST = 64  # bytes of what the expressions match, kept from one block for the next


def read_sheet(path: Path) -> pl.DataFrame:
    """The first sheet of the book; row 1 names the columns, all is text, empty cells are null.

    Raises:
        ManifestError: It is no XLSX file, has no row, or is larger than a table of a data set.
    """
    try:
        with zipfile.ZipFile(path) as book:
            _check_parts(book)
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as XLSX ({error}); save it as CSV") from None
    except RuntimeError as error:  # a password
        raise ManifestError(f"{path}: cannot be read as XLSX ({error}); save it as CSV") from None
    try:
        name = fastexcel.read_excel(path).sheet_names[0]
        table = pl.read_excel(
            path,
            sheet_name=name,
            engine="calamine",
            infer_schema_length=0,
            drop_empty_rows=False,
            drop_empty_cols=False,
            raise_if_empty=False,
        )
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, IndexError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{path}: cannot be read as XLSX ({reason}); save it as CSV") from None
    if not table.width:
        raise ManifestError(f"{path}: its first sheet '{name}' is empty")
    names = [
        f"column_{i + 1}" if column.startswith("__UNNAMED__") else column
        for i, column in enumerate(table.columns)
    ]
    return table.rename(dict(zip(table.columns, names, strict=True))).cast(pl.String)


def _check_parts(book: zipfile.ZipFile) -> None:
    """See that what will be parsed is small, without parsing it.

    Raises:
        ValueError: It is not.
    """
    parts = book.infolist()
    if len(parts) > MAX_PARTS:
        raise ValueError(f"{len(parts):,} parts, need at most {MAX_PARTS:,}")
    total = 0
    for part in parts:
        total += _unpacked(book, part)
        if total > MAX_UNPACKED:
            raise ValueError(f"unpacks to more than {MAX_UNPACKED:,} bytes")


def _blocks(book: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    with book.open(part) as file:
        while block := file.read(BLOCK):
            yield block


def _unpacked(book: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """The unpacked size of a part; what its header says of that is not believed."""
    name, packed = part.filename, part.compress_size
    size, cells, rows, last_row, last_col, rest = 0, 0, 0, 0, 0, b""
    is_sheet = name.lower().startswith("xl/worksheets/")
    for block in _blocks(book, part):
        size += len(block)
        if size > MAX_UNPACKED or size > FIRST_BYTES + MAX_RATIO * packed:
            raise ValueError(f"{name} unpacks from {packed:,} to more than {size:,} bytes")
        if not is_sheet:
            continue
        text = rest + block
        kinds = [match[1] for match in _OPEN.finditer(text)]
        cells, rows = cells + kinds.count(b"c"), rows + kinds.count(b"row")
        for letters, digits in _REFERENCE.findall(text):
            last_col = max(last_col, _column(letters))
            last_row = max(last_row, int(digits))
        rest = text[-_LONGEST:]
    width, height = max(last_col, 1), max(last_row, rows)
    if width > MAX_COLUMNS or max(width * height, cells) > MAX_CELLS:
        raise ValueError(
            f"{name} has cells up to column {width:,} and row {height:,}, need at most "
            f"{MAX_COLUMNS:,} columns and {MAX_CELLS:,} cells"
        )
    return size


def _column(letters: bytes) -> int:
    """1 for A, 28 for AB."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
