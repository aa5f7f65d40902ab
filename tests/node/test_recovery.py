"""``kill -9`` at seven kinds of moment: nothing acknowledged is lost, nothing goes out twice.

Once, with real objects, in ``make test``; ten times at each moment in ``make test-slow``.
"""

from contextlib import ExitStack

import pytest

from fourview.node.journal import Journal
from node_examples import Archive, ForkedNode, Node, store, study_uid, wait_for, write_study

INSIDE = (
    "before the image is noted",
    "after the image is noted",
    "before the results are noted",
    "after the results are noted",
    "in sending",
)
OUTSIDE = ("in quiet time", "in reading")
OBJECTS = 6
QUIET_S = {"before the image is noted": 4, "after the image is noted": 4, "in quiet time": 2}


def kill_at(node: Node, moment: str, files: list, number: int) -> list:
    """Send a study to a node that dies at the moment; the files that were not answered."""
    if moment in INSIDE:
        (node.folder / "armed").write_text(moment)
    statuses = store(node.port, files)
    if moment in OUTSIDE:
        state = "reading" if moment == "in reading" else "waiting"
        wait_for(lambda: Journal(node.spool).state_of(study_uid(number)) == state, state)
        node.kill()
    wait_for(lambda: not node.is_alive(), f"the node to die {moment}")
    statuses += [None] * (len(files) - len(statuses))
    return [file for file, status in zip(files, statuses, strict=True) if status != 0]


def check(node: Node, archive: Archive, number: int, *, answered: int, objects: int) -> None:
    """One set of results of the study, of one reading; no image that was answered is missing."""
    study = study_uid(number)
    kept = [d for d in archive.kept.values() if d.StudyInstanceUID == study]
    assert len({d.SOPInstanceUID for d in kept}) == len(kept) == objects
    journal = Journal(node.spool)
    images = journal.images_of(study)
    assert len(images) >= answered
    assert all((node.spool / row["file"]).is_file() for row in images)
    jobs = journal.db.execute("SELECT outcome FROM job WHERE study = ?", (study,)).fetchall()
    assert [tuple(job) for job in jobs] == [("done",)]


def rounds(tmp_path, moment: str, times: int, kind=Node, objects: int = OBJECTS) -> None:
    with Archive().listening() as archive, ExitStack() as ending:
        node = kind(tmp_path, archives=[archive], quiet_s=QUIET_S.get(moment, 1))
        ending.callback(node.close)
        started = {"KILL_AT": str(tmp_path / "armed"), "QUICK_READ_S": "1"}
        node.start(**started)
        for number in range(1, times + 1):
            files = write_study(tmp_path / f"study-{number}", number)
            again = kill_at(node, moment, files, number)
            node.start(**started)
            # What was not answered is sent again, as a sender does; what was is not.
            if again:
                assert store(node.port, again) == [0] * len(again)
            wait_for(lambda n=number: node.is_quiet(n), f"study {number}")
            check(node, archive, number, answered=len(files) - len(again), objects=objects)


def test_a_kill_before_the_results_are_noted_loses_and_doubles_nothing(tmp_path):
    rounds(tmp_path, "before the results are noted", 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*INSIDE, *OUTSIDE])
def test_ten_kills_at_each_moment_lose_and_double_nothing(tmp_path, moment):
    rounds(tmp_path, moment, 10, ForkedNode, objects=2)


@pytest.mark.slow
def test_a_new_journal_takes_up_the_images_that_are_there(tmp_path):
    with Archive().listening() as archive:
        node = Node(tmp_path, archives=[archive], quiet_s=2)
        with node.running():
            assert store(node.port, write_study(tmp_path / "study", 1)) == [0] * 4
        (node.spool / "queue.sqlite").write_bytes(b"damaged" * 100)
        for name in ("queue.sqlite-wal", "queue.sqlite-shm"):
            (node.spool / name).unlink(missing_ok=True)
        node.start(wait=False)
        assert node.process.wait(60) == 1
        assert "move" in (tmp_path / "log.txt").read_text()
        (node.spool / "queue.sqlite").rename(tmp_path / "damaged.sqlite")
        with node.running():
            wait_for(lambda: node.is_quiet(1), "the study")
            start = [e for e in node.events() if e["event"] == "start"][-1]
            assert start["taken_up"] == 4
    assert len(archive.kept) == OBJECTS
