"""Keys on the wire: the same for the same thing in one session, and nobody can guess one."""

import pytest

from fourview.errors import ServeError
from fourview.serve.keys import Keys


def test_a_key_names_one_thing_of_one_kind():
    keys = Keys(b"secret")
    one = keys.of("exam", "p1", "e1")
    assert keys.of("exam", "p1", "e1") == one == Keys(b"secret").of("exam", "p1", "e1")
    assert (
        len(
            {
                one,
                keys.of("exam", "p1", "e2"),
                keys.of("exam", "p1e", "1"),
                keys.of("image", "p1", "e1"),
            }
        )
        == 4
    )
    assert keys.names(one, "exam") == ("p1", "e1")
    assert "p1" not in one and one != "e1"


def test_another_session_knows_it_not():
    one = Keys(b"secret").of("exam", "p1")
    other = Keys(b"other")
    assert other.of("exam", "p1") != one
    for key, kind in ((one, "exam"), (other.of("exam", "p1"), "image"), ("", "exam")):
        with pytest.raises(ServeError, match=f"no {kind} with that key"):
            other.names(key, kind)
