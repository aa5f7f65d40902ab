"""``kill -9`` at seven kinds of moment: nothing acknowledged is lost, nothing goes out twice.

Once each here in ``make test`` for the moments inside of transactions, ten times each for all in
``make test-slow``.
"""

import time

import pytest

from fourview.node.journal import Journal
from node_examples import Archive, Node, store, study_uid, wait_for, write_study

INSIDE = (
    "before the image is noted",
    "after the image is noted",
    "before the results are noted",
    "after the results are noted",
    "in sending",
)
OUTSIDE = ("in quiet time", "in reading")
OBJECTS = 6


def kill_at(node: Node, moment: str, files: list, number: int) -> list:
    """Start the node, send a study, let it die at the moment; the files that were answered."""
    if moment in INSIDE:
        node.start(KILL_AT=moment)
        statuses = store(node.port, files)
        wait_for(lambda: node.process.poll() is not None, f"the node to die {moment}")
    else:
        node.start(QUICK_READ_S="5")
        statuses = store(node.port, files)
        state = "reading" if moment == "in reading" else "waiting"
        wait_for(lambda: Journal(node.spool).state_of(study_uid(number)) == state, state)
        node.kill()
    return [file for file, status in zip(files, [*statuses, *[None] * 4], strict=False)
            if status == 0]  # fmt: skip


def check(node: Node, archive: Archive, number: int, answered: int) -> None:
    """One set of results of the study, of one reading; no image that was answered is missing."""
    study = study_uid(number)
    kept = [d for d in archive.kept.values() if d.StudyInstanceUID == study]
    assert len({d.SOPInstanceUID for d in kept}) == len(kept) == OBJECTS
    journal = Journal(node.spool)
    images = journal.images_of(study)
    assert len(images) >= answered
    assert all((node.spool / row["file"]).is_file() for row in images)
    jobs = journal.db.execute("SELECT outcome FROM job WHERE study = ?", (study,)).fetchall()
    assert [tuple(job) for job in jobs] == [("done",)]


def rounds(tmp_path, moment: str, times: int) -> None:
    with Archive().listening() as archive:
        node = Node(tmp_path, archives=[archive])
        for number in range(1, times + 1):
            files = write_study(tmp_path / f"study-{number}", number)
            answered = kill_at(node, moment, files, number)
            with node.running():
                # What was not answered is sent again, as a sender does; what was is not.
                again = [file for file in files if file not in answered]
                if again:
                    assert store(node.port, again) == [0] * len(again)
                wait_for(lambda n=number: node.is_quiet(n), f"study {number}")
            check(node, archive, number, len(answered))


@pytest.mark.parametrize("moment", INSIDE[1:4])
def test_a_kill_inside_of_the_work_loses_and_doubles_nothing(tmp_path, moment):
    rounds(tmp_path, moment, 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*INSIDE, *OUTSIDE])
def test_ten_kills_at_each_moment_lose_and_double_nothing(tmp_path, moment):
    rounds(tmp_path, moment, 10)


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
        time.sleep(0)
    assert len(archive.kept) == OBJECTS
