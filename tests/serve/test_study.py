"""A reader study: order, blinding on the wire, what a kill leaves, and what the export gives."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from fourview.errors import ServeError
from fourview.serve.study import Done, Plan, aided_first, next_task, read_plan, tasks

EXAMS = {(f"p{i}", f"e{i}"): ("1" if i % 3 == 0 else "0") for i in range(31)}


def plan(**more):
    values = {
        "name": "n",
        "manifest": "m",
        "exams": "all",
        "predictions": "p",
        "design": "crossover",
        "readers": [{"name": "A", "code": "A"}, {"name": "B", "code": "B"}],
    }
    return Plan.model_validate(values | more)


def test_a_crossover_reads_every_exam_in_both_arms_half_of_each_stratum_aided_first():
    todo = {code: tasks(plan(), EXAMS, code) for code in "AB"}
    for rows in todo.values():
        assert Counter((t.exam, t.arm) for t in rows) == Counter(
            (exam, arm) for exam in EXAMS for arm in ("unaided", "aided")
        )
        assert {t.exam for t in rows[:31]} == set(EXAMS)  # nobody sees one twice in a period
    first = {c: {t.exam: t.arm for t in rows[:31]} for c, rows in todo.items()}
    for exam, arm in first["A"].items():
        assert {arm, first["B"][exam]} == {"unaided", "aided"}  # swapped for the second reader
    for stratum in "01":
        arms = Counter(first["A"][exam] for exam, of in EXAMS.items() if of == stratum)
        assert abs(arms["aided"] - arms["unaided"]) <= 1


def test_the_order_depends_on_seed_and_reader_alone():
    shuffled = dict(sorted(EXAMS.items(), key=lambda item: item[0][1][::-1]))
    assert tasks(plan(), EXAMS, "A") == tasks(plan(), shuffled, "A")
    assert tasks(plan(), EXAMS, "A") != tasks(plan(seed=1), EXAMS, "A")
    order = [[t.exam for t in tasks(plan(), EXAMS, c)[:31]] for c in "AB"]
    assert order[0] != order[1]
    assert aided_first(0, EXAMS, 0) | aided_first(0, EXAMS, 1) == set(EXAMS)


def test_an_exam_is_not_offered_again_before_the_washout():
    todo = tasks(plan(washout_days=28), EXAMS, "A")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    done = [Done(t.exam, t.arm, start) for t in todo[:31]]
    waiting = next_task(plan(), todo, done, start + timedelta(days=27, hours=23))
    assert waiting.task is None and waiting.waits_until == start + timedelta(days=28)
    offered = next_task(plan(), todo, done, start + timedelta(days=28))
    assert offered.task == todo[31] and (offered.number, offered.total) == (32, 62)


def test_a_sequential_exam_is_read_twice_in_a_row():
    rows = tasks(plan(design="sequential"), EXAMS, "B")
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert (first.exam, first.arm, second.arm) == (second.exam, "unaided", "aided")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"design": "parallel"}, "reader A has arm None"),
        ({"readers": [{"name": "A", "code": "A"}] * 2}, "reader code 'A' is there twice"),
        ({"arms": [{"name": "x"}]}, "two arms"),
        ({"predictions": None}, "name predictions or results"),
        ({"washout": 3}, "Extra inputs"),
        ({"readers": [{"name": "A", "code": "A/../B"}]}, "code"),
    ],
)
def test_a_plan_that_cannot_be_read_says_what(change, words):
    with pytest.raises(ValueError, match=words):
        plan(**change)


def test_a_broken_toml_is_one_line(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("name = ")
    with pytest.raises(ServeError, match="is no TOML"):
        read_plan(path)
