"""Tables of text in the codings and with the separators that people have."""

import codecs

import pytest

from fourview.errors import ManifestError
from fourview.manifest.table_text import read_text_table, separator_of

TEXT = "id;name\n1;Größe\n2;b\n"
ROWS = [("1", "Größe"), ("2", "b")]


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("cp1252"),
        ("sep=;\n" + TEXT).encode(),
        TEXT.replace("\n", "\r\n").encode(),
    ],
)
def test_every_coding_gives_the_same_table(tmp_path, data):
    (tmp_path / "t.csv").write_bytes(data)
    table = read_text_table(tmp_path / "t.csv")
    assert table.columns == ["id", "name"] and table.rows() == ROWS


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_most_frequent_outside_of_quotes(separator):
    assert separator_of(separator.join(("a", '"b,;\t|"', "c"))) == separator


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the table is empty"),
        (b" \n\n", "the table is empty"),
        (b"a,b\n\0\0\0\0", "holds zeros"),
        (codecs.BOM_UTF8 + b"\xff\xfe\xfa", "begins as utf-8-sig and is not"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, data, words):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ManifestError, match=words):
        read_text_table(tmp_path / "t.csv")


def test_a_folder_and_nothing_are_no_tables(tmp_path):
    with pytest.raises(ManifestError, match="is a folder"):
        read_text_table(tmp_path)
    with pytest.raises(ManifestError, match="no such table"):
        read_text_table(tmp_path / "none.csv")
