"""Spreadsheets: the first sheet as text, and books that would cost gigabytes."""

import zipfile

import psutil
import pytest

from fourview.errors import ManifestError
from fourview.sources._tables import read_table

SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TYPES = """<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/></Types>"""
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
MOST_MB = 400  # that refusing a book may add; what is refused here took 4,900 and more


def relations(*targets):
    rows = (
        f'<Relationship Id="r{i}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for i, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{PACKAGE}">{"".join(rows)}</Relationships>'


def write_book(path, sheets, *, shared=""):
    """A workbook after ECMA-376, with nothing that is not needed; the rows of each sheet by name.

    The files of the sheets are numbered backwards: the first sheet is not the first file.
    """
    names = list(sheets)
    files = [f"worksheets/sheet{len(names) - i}.xml" for i in range(len(names))]
    listed = "".join(
        f'<sheet name="{name}" sheetId="{i + 1}" r:id="r{i}"/>' for i, name in enumerate(names)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", TYPES)
        book.writestr("_rels/.rels", relations(("officeDocument", "xl/workbook.xml")))
        head = f'<workbook {SPACE} xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>'
        book.writestr("xl/workbook.xml", head)
        targets = [("worksheet", file) for file in files]
        strings = [("sharedStrings", "sharedStrings.xml")] if shared else []
        book.writestr("xl/_rels/workbook.xml.rels", relations(*targets, *strings))
        if shared:
            book.writestr("xl/sharedStrings.xml", f"<sst {SPACE}>{shared}</sst>")
        for file, rows in zip(files, sheets.values(), strict=True):
            text = f"<worksheet {SPACE}><sheetData>{rows}</sheetData></worksheet>"
            book.writestr(f"xl/{file}", text)


def inline(reference, text):
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_a_spreadsheet_reads_as_the_same_table_as_text(tmp_path):
    shared = "<si><t>ID1</t></si><si><r><t>Left</t></r><r><t>Right</t></r></si>"
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>'
    rows += inline("C1", "Age") + "</row>"
    rows += '<row r="2"><c r="A2" t="str"><v>D1-0001</v></c><c r="C2"><v>44</v></c></row>'
    rows += '<row r="4"><c r="A4"><v>0012</v></c><c r="C4"><v>44.5</v></c></row>'
    write_book(tmp_path / "t.xlsx", {"data": rows}, shared=shared)
    table = read_table(tmp_path / "t.xlsx", ("ID1", "LeftRight", "Age"))
    assert table.rows() == [(2, "D1-0001", None, "44"), (3, "12", None, "44.5")]


def test_the_first_sheet_is_that_of_the_book_not_of_the_file_names(tmp_path):
    one = f'<row r="1">{inline("A1", "ID1")}</row><row r="2">{inline("A2", "p1")}</row>'
    other = f'<row r="1">{inline("A1", "notes")}</row>'
    write_book(tmp_path / "t.xlsx", {"data": one, "notes": other})
    assert read_table(tmp_path / "t.xlsx", ("ID1",)).rows() == [(2, "p1")]


def far_cell(path):
    write_book(path, {"data": f'<row r="1">{inline("A1", "ID1")}</row>'
                              f'<row r="1048576">{inline("XFD1048576", "x")}</row>'})  # fmt: skip


def many_cells(path):
    write_book(path, {"data": "<row>" + "<c/>" * 1000 + "</row>" + "<row/>" * 1_000_000})


def unpacks_a_thousandfold(path):
    write_book(path, {"data": f'<row r="1">{inline("A1", "ID1")}</row>'}, shared=" " * 70_000_000)


def lies_about_its_size(path):
    unpacks_a_thousandfold(path)
    data = path.read_bytes()
    path.write_bytes(data.replace((70_000_000).to_bytes(4, "little"), b"\x10\0\0\0"))


def many_columns(path):
    names = "".join("<c><v>1</v></c>" for _ in range(2001))
    write_book(path, {"data": f'<row r="1">{names}</row><row r="2">{inline("BXZ2", "x")}</row>'})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (far_cell, r"cells up to column 16,384 and row 1,048,576, need at most 2,000 columns"),
        (many_cells, r"sheet1.xml (has cells|unpacks from)"),
        (unpacks_a_thousandfold, "sharedStrings.xml unpacks from .* to more than"),
        (lies_about_its_size, "cannot be read as XLSX"),
        (many_columns, "cells up to column 2,002"),
        (lambda path: path.write_bytes(b"PK no zip"), "cannot be read as XLSX"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "cannot be read as XLSX"),
        (lambda path: write_book(path, {"data": ""}), "its first sheet 'data' is empty"),
    ],
)
def test_a_book_that_is_none_or_too_large_is_refused_in_little_memory(tmp_path, make, message):
    make(tmp_path / "t.xlsx")
    before = psutil.Process().memory_info().rss
    with pytest.raises(ManifestError, match=r"t\.xlsx: .*" + message) as caught:
        read_table(tmp_path / "t.xlsx", ("ID1",))
    assert psutil.Process().memory_info().rss - before < MOST_MB * 1e6
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("columns", [2_001, 50_000, 1_000_000])
def test_a_csv_of_very_many_columns_is_refused_at_once(tmp_path, columns):
    names = ",".join(f"c{i}" for i in range(columns))
    (tmp_path / "t.csv").write_text(f"{names}\n{',' * (columns - 1)}\n")
    with pytest.raises(ManifestError, match=r"t\.csv: its first line has .* at most 2,000 columns"):
        read_table(tmp_path / "t.csv", ("c1",))
