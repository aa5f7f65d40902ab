import pytest

from fourview.errors import DicomError, StoreError
from fourview.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
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
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("sign", ["a", "\x1b", "\udc80"])
def test_a_long_text_keeps_its_beginning_and_its_end(sign):
    shown = printable("where: " + sign * 1_000_000 + "; what to do")
    assert len(shown) <= 2000
    assert shown.startswith("where: ")
    assert shown.endswith("; what to do")


def test_every_error_is_one_short_line():
    for kind in (DicomError, StoreError):
        error = kind("a\nb" + "\x1b" * 10_000)
        assert "\n" not in str(error)
        assert "\x1b" not in str(error)
        assert len(str(error)) <= 2000
        assert str(kind(str(error))) == str(error)
