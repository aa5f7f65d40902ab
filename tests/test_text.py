import pytest

from fourview.errors import DicomError, StoreError
from fourview.text import printable, shown


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain, with ünïcode 乳房", "plain, with ünïcode 乳房"),
        ("one\nerror: forged", "one error: forged"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\u202etxt.exe", "a\\u202etxt.exe"),
        ("full\u3000width", "full\u3000width"),
        ("lost \udc80", "lost \\udc80"),
        ("nul\0", "nul\\x00"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text, want):
    assert printable(text) == want
    assert printable(want) == want


@pytest.mark.parametrize("sign", ["a", "\x1b", "\udc80"])
def test_a_long_text_keeps_its_beginning_and_its_end(sign):
    got = printable("where: " + sign * 1_000_000 + "; what to do")
    assert len(got) <= 2000
    assert got.startswith("where: ")
    assert got.endswith("; what to do")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1.2.840\0", "1.2.840"),  # as DICOM pads a UID
        ("  two \n words ", "two words"),
        ("red\x1b[31m", "red\\x1b[31m"),
        (7, "7"),
    ],
)
def test_a_value_in_a_sentence_has_no_padding(text, want):
    assert shown(text) == want
    assert len(shown(str(text) * 1_000_000)) <= 40


def test_every_error_is_one_short_line():
    for kind in (DicomError, StoreError):
        error = kind("a\nb" + "\x1b" * 10_000)
        assert "\n" not in str(error)
        assert "\x1b" not in str(error)
        assert len(str(error)) <= 2000
        assert str(kind(str(error))) == str(error)
