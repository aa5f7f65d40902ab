"""The journal: what survives, what is refused, what is deleted when."""

import sqlite3
import time

import pytest

from fourview.errors import NodeError
from fourview.node.journal import Journal
from fourview.node.rows import Made, file_of, input_key
from node_examples import arrival


def made(sop="9.1", kind="cad-sr", exam="e"):
    return Made(sop=sop, kind=kind, exam=exam, file=f"out/{sop}.dcm", sop_class="c", series="s")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def read_once(journal, key="k1", sops=("9.1",), study="1"):
    journal.begin(study, key)
    assert journal.finish(
        study, key, "done", made=[made(sop) for sop in sops], destinations=["a", "b"]
    )


def test_the_same_input_is_never_read_twice(journal):
    journal.add(arrival(), now=0)
    assert journal.begin("1", "k1") is not None
    assert journal.finish("1", "k1", "done", made=[made()], destinations=["a"])
    journal.add(arrival(), now=5)
    assert journal.state_of("1") == "waiting"
    assert journal.begin("1", "k1") is None
    assert journal.state_of("1") == "done"


def test_a_reading_that_was_cut_off_keeps_the_time_that_its_objects_bear(journal):
    journal.add(arrival(), now=0)
    first = journal.begin("1", "k1")
    assert journal.start(now=100.0) == 1
    assert journal.begin("1", "k1") == first


def test_a_study_that_was_cut_off_goes_behind_the_others(journal):
    journal.add(arrival(), now=0)
    journal.add(arrival("2.1", "2"), now=1)
    journal.begin("1", "k1")
    journal.start(now=100.0)
    assert [row["study"] for row in journal.candidates(200.0, 1.0)] == ["2", "1"]


def test_after_a_start_every_unfinished_study_waits_its_quiet_time_again(journal):
    journal.add(arrival(is_open=True), now=0)
    journal.start(now=100.0)
    assert journal.candidates(100.5, 1.0) == []
    assert [row["study"] for row in journal.candidates(101.0, 1.0)] == ["1"]
    journal.listens(now=150.0)  # after the models were loaded
    assert journal.candidates(150.5, 1.0) == []
    journal.listens(now=120.0)
    assert [row["study"] for row in journal.candidates(151.0, 1.0)] == ["1"]


def test_an_image_that_comes_while_its_study_is_read_makes_it_wait_again(journal):
    journal.add(arrival(), now=0)
    journal.begin("1", "k1")
    journal.add(arrival("1.2"), now=1)
    assert journal.finish("1", "k1", "done", made=[made()], destinations=["a"])
    assert journal.state_of("1") == "waiting"
    assert journal.deliveries() == {"waiting": 1}
    read_once(journal, "k2", ("9.2",))
    rows = journal.db.execute("SELECT sop, supersedes FROM result ORDER BY sop").fetchall()
    assert [tuple(row) for row in rows] == [("9.1", None), ("9.2", "9.1")]


def test_a_study_that_was_dropped_while_it_was_read_leaves_nothing(journal):
    journal.add(arrival(), now=0)
    journal.begin("1", "k1")
    journal.drop("1")
    assert not journal.finish("1", "k1", "done", made=[made()], destinations=["a"])
    for table in ("study", "instance", "job", "result", "delivery"):
        assert journal.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_results_of_a_study_go_together_and_what_was_sending_goes_again(journal):
    journal.add(arrival(), now=0)
    read_once(journal, sops=("9.1", "9.2"))
    assert {each.sop for each in journal.take("a", now=0)} == {"9.1", "9.2"}
    assert journal.take("a", now=0) == []
    assert len(journal.take("b", now=0)) == 2
    journal.start(now=0)
    assert len(journal.take("a", now=0)) == 2


def test_pixels_are_forgotten_only_when_all_results_are_sent(journal):
    journal.add(arrival(), now=0)
    read_once(journal)
    later = time.time() + 10
    assert journal.forget_pixels(later) == []
    for name in ("a", "b"):
        (each,) = journal.take(name, now=0)
        journal.settle_delivery(each, "sent", status="0000", detail="")
    assert journal.forget_pixels(time.time() - 100) == []
    assert journal.forget_pixels(later) == [file_of("1", "1.1")]
    assert journal.instance("1.1")["file"] is None
    assert journal.forget_results(later) == ["out/9.1.dcm"]


def test_results_of_a_reading_are_forgotten_together(journal):
    journal.add(arrival(), now=0)
    read_once(journal, sops=("9.1", "9.2"))
    later = time.time() + 10
    for name in ("a", "b"):
        for each in journal.take(name, now=0):
            state = "failed" if (name, each.sop) == ("b", "9.2") else "sent"
            journal.settle_delivery(each, state, status="", detail="")
    assert journal.forget_results(later) == []
    assert journal.retry(None) == 1
    (each,) = journal.take("b", now=0)
    journal.settle_delivery(each, "sent", status="0000", detail="")
    assert len(journal.forget_results(later)) == 2


def test_retry_puts_back_what_failed_and_nothing_else(journal):
    for number in ("1", "2"):
        journal.add(arrival(f"{number}.1", number), now=0)
    journal.begin("1", "k")
    journal.finish("1", "k", "failed", note="why")
    read_once(journal, "k2", study="2")
    (each,) = journal.take("a", now=0)
    journal.settle_delivery(each, "failed", status="C000", detail="no")
    assert len(journal.failures()) == 2
    assert journal.retry(None) == 2
    assert journal.states() == {"waiting": 1, "done": 1}
    assert journal.begin("1", "k") is not None  # though it failed before
    with pytest.raises(NodeError, match="no study '3' here"):
        journal.retry("3")


def test_the_key_depends_on_every_byte_that_counts_and_on_no_order(journal):
    journal.add(arrival(), now=0)
    journal.add(arrival("1.2", sha="bb"), now=0)
    rows = journal.images_of("1")
    key = input_key(rows, ("model", "cad-sr"))
    assert input_key(rows[::-1], ("model", "cad-sr")) == key
    assert input_key(rows[:1], ("model", "cad-sr")) != key
    assert input_key(rows, ("other", "cad-sr")) != key
    journal.add(arrival(sha="cc"), now=0)
    assert input_key(journal.images_of("1"), ("model", "cad-sr")) != key
    assert journal.instance("1.1")["changed"] == 1


def test_a_damaged_journal_is_refused_with_what_to_do(tmp_path):
    journal = Journal(tmp_path)
    for number in range(200):
        journal.add(arrival(f"1.{number}"), now=0)
    journal.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "queue.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(NodeError, match=r"damaged .*move .* away"):
        Journal(tmp_path)


def test_a_file_that_is_no_database_and_one_of_a_newer_version_are_refused(tmp_path):
    (tmp_path / "queue.sqlite").write_bytes(b"no database at all, but some text" * 40)
    with pytest.raises(NodeError, match="damaged"):
        Journal(tmp_path)
    (tmp_path / "queue.sqlite").unlink()
    journal = Journal(tmp_path)
    journal.db.execute("UPDATE meta SET value = '7' WHERE key = 'version'")
    with pytest.raises(NodeError, match="has version 7"):
        Journal(tmp_path)
    with pytest.raises(NodeError, match="not there"):
        Journal(tmp_path / "elsewhere", create=False)


def test_a_transaction_that_fails_leaves_nothing(journal):
    journal.add(arrival(), now=0)
    journal.begin("1", "k")
    journal.db.execute(
        "CREATE TRIGGER no BEFORE INSERT ON delivery BEGIN SELECT RAISE(FAIL, 'no'); END"
    )
    with pytest.raises(sqlite3.IntegrityError):
        journal.finish("1", "k", "done", made=[made()], destinations=["a"])
    assert journal.states() == {"reading": 1}
    assert journal.result_files() == set()
