"""The journal of readings, and the readers' pins."""

import sqlite3

import pytest

from fourview.errors import ServeError
from fourview.serve.readings import Journal
from study_examples import reading


def test_the_journal_is_only_added_to(tmp_path):
    journal = Journal(tmp_path)
    assert journal.add(reading()) and not journal.add(reading())  # the same sheet again
    assert journal.add(reading("s2", answers={"suspicion": {"R": 20.0}}))
    assert [r["answers"]["suspicion"]["R"] for r in journal.readings()] == [20.0]
    journal.check_pin("R1", "1234")
    base = sqlite3.connect(journal.path, isolation_level=None)
    assert base.execute("SELECT id, replaces FROM reading").fetchall() == [(1, None), (2, 1)]
    for act in ("UPDATE reading SET arm = 'x'", "DELETE FROM reading", "DELETE FROM pin"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            base.execute(act)
    base.close()


def test_a_pin_is_the_first_one_given_and_is_not_kept_as_it_is(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(ServeError, match="4 to 64"):
        journal.check_pin("R1", "1")
    assert journal.check_pin("R1", "24680") and journal.check_pin("R1", "24680")
    assert not journal.check_pin("R1", "13579")
    assert b"24680" not in journal.path.read_bytes()
