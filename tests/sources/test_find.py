"""Sources are found by their file name, and every one says where it stands on terms and labels."""

import zipfile

import pytest

from fourview.errors import ManifestError
from fourview.sources._tables import read_table
from fourview.sources.find import find_source, source_names, sources

PUBLISHED = [
    "cbis_ddsm",
    "cdd_cesm",
    "cmmd",
    "csv",
    "embed",
    "inbreast",
    "mias",
    "nyu",
    "rsna",
    "vindr",
]


def test_every_published_set_is_found():
    assert set(PUBLISHED) <= set(source_names())
    assert not any(name.startswith("_") or name == "find" for name in source_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_empty_folder_is_refused_with_what_is_missing(name, tmp_path):
    with pytest.raises(ManifestError, match=str(tmp_path)):
        find_source(name)(tmp_path)


def test_all_sources_can_be_loaded():
    assert list(sources()) == list(source_names())


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ManifestError, match=r"no source 'vinder'; did you mean 'vindr'\?"):
        find_source("vinder")


def test_a_spreadsheet_reads_as_the_same_table_as_text(tmp_path):
    """Written by hand after ECMA-376: shared and inline texts, numbers, and a gap."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    shared = f"<sst {space}><si><t>ID1</t></si><si><r><t>Left</t></r><r><t>Right</t></r></si></sst>"
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c>'
    rows += '<c r="C1" t="inlineStr"><is><t>Age</t></is></c></row>'
    rows += '<row r="2"><c r="A2" t="str"><v>D1-0001</v></c><c r="C2"><v>44</v></c></row>'
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as book:
        book.writestr("xl/sharedStrings.xml", shared)
        sheet = f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    table = read_table(tmp_path / "t.xlsx", ("ID1", "LeftRight", "Age"))
    assert table.rows() == [(2, "D1-0001", None, "44")]


def test_what_is_no_spreadsheet_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK no zip")
    with pytest.raises(ManifestError, match=r"t.xlsx: cannot be read as XLSX"):
        read_table(tmp_path / "t.xlsx", ("ID1",))
