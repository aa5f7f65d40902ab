import pytest

from fourview.json_file import parse_json_object, read_json_object


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper than 32"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 10_000 + "}", "limit"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[1, 2]", "need an object"),
        ("null", "need an object"),
        ("", "Expecting value"),
        (b'{"a": "\xff"}', "UTF-8"),
        ("{'a': 1}", "Expecting property name"),
    ],
)
def test_what_is_no_small_plain_object_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        parse_json_object(text)


def test_an_object_is_read_and_a_large_file_is_not(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, {"b": null}]}')
    assert read_json_object(path) == {"a": [1, 2.5, {"b": None}]}
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_json_object(path, max_bytes=10)
