"""A reader study: order, blinding on the wire, what a kill leaves, and what the export gives."""

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fourview.cli.main import main
from fourview.errors import FourviewError, ServeError
from fourview.evaluate.run import evaluate
from fourview.evaluate.several_runs import measure_runs
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import read_manifest
from fourview.serve.answers import Answers, Login, check_answers
from fourview.serve.app import Threads
from fourview.serve.readings import Journal, Reading
from fourview.serve.study import Done, Plan, Questions, aided_first, next_task, read_plan, tasks
from fourview.serve.study_export import export_study
from fourview.serve.study_room import RefusedError, StudyRoom
from fourview.serve.study_routes import study_routes
from room_examples import served
from study_examples import ScriptedReader, ServedStudy, make_study

TRUTH_WORDS = ("EXAM", "PATIENT", "FILE", "IMAGE", "TRUTH", "SOURCENAME", "200101", "unaided")
SCORE_WORDS = ("0.137", "score", "11.125", "31.25", "cancer", "malignant", "NAME", "R2")
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


def test_only_whole_answers_to_what_was_asked_are_taken():
    asked = Questions(recall=True, birads=True, suspicion=True, marks=1)
    whole = {
        "recall": {"R": True, "L": False},
        "birads": {"R": 4, "L": 1},
        "suspicion": {"R": 0, "L": 100},
        "marks": [],
    }
    check_answers(Answers.model_validate(whole), asked, "RL")
    one_breast = {name: {"L": v["L"]} for name, v in whole.items() if v} | {"marks": []}
    check_answers(Answers.model_validate(one_breast), asked, "L")
    for change, words in (
        ({"recall": None}, "recall is not answered"),
        ({"suspicion": {"R": 3}}, "suspicion of breast L"),
        ({"birads": {"R": 0, "L": 1}}, "from 1 to 5"),
        ({"density": "A"}, "density is not asked"),
        ({"marks": [{"image": "k", "box": [0, 0, 1, 1], "suspicion": 5}] * 2}, "at most 1"),
    ):
        with pytest.raises(FourviewError, match=words):
            check_answers(Answers.model_validate(whole | change), asked, "RL")


def reading(submission="s1", **more):
    values = {
        "submission": submission,
        "reader": "R1",
        "arm": "unaided",
        "exam": ("p", "e"),
        "answers": {"suspicion": {"R": 10.0}},
        "duration_ms": 5.0,
        "paused_ms": 0.0,
        "screen": {},
    }
    return Reading(**(values | more))


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


def rule(number, side, arm):
    """What the scripted reader R1 says: higher for the breast with cancer, but once."""
    suspicion = {"R": 80 - number, "L": 20 + number}[side]
    return 15.0 if (number, side, arm) == (2, "R", "unaided") else float(suspicion)


def read_all(server, todo):
    """Read everything as R1, kill the server after the 3rd and the 8th sheet; what was heard."""
    reader, unaided = ScriptedReader(server.start(), "R1"), []
    for sent, task in enumerate(todo, start=1):
        told = reader.next()
        assert told["number"] == sent
        exam, number = told["exam"], int(task.exam[1].removeprefix("EXAM"))
        assert bool(exam["show"]) == (task.arm == "aided")
        for listed in exam["images"]:
            reader.pixels(listed["key"])
        mark = {"image": exam["images"][0]["key"], "box": [11, 12, 20, 21], "suspicion": 70}
        answers = {
            "recall": {s: rule(number, s, task.arm) > 50 for s in "RL"},
            "suspicion": {s: rule(number, s, task.arm) for s in "RL"},
            "marks": [mark],
        }
        sheet = f"{task.arm}-{number:06d}"
        assert reader.send(exam, answers, sheet) == (200, {"taken": True})
        if task.arm == "unaided":
            unaided += reader.heard
        reader.heard = []
        if sent in (3, 8):
            server.kill()
            reader = ScriptedReader(server.start(), "R1")
            again = reader.send(exam, answers, sheet)  # as if nobody had heard the answer
            assert again == (200, {"taken": False})
    assert reader.next()["exam"] is None
    return b"".join(unaided)


def auc_by_hand(arm):
    """The share of pairs, a breast with cancer and one without, that the rule orders rightly."""
    healthy = [(m, s) for m in range(6) for s in "RL" if not (s == "R" and m % 2 == 0)]
    pairs = [(rule(n, "R", arm), rule(*other, arm)) for n in (0, 2, 4) for other in healthy]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def test_a_reader_killed_twice_exports_what_the_script_knows(tmp_path, capsys):
    study_plan = make_study(tmp_path / "study")
    out, tables = tmp_path / "readings", tmp_path / "tables"
    room = StudyRoom(study_plan, tmp_path / "other", cache_bytes=1 << 20)
    server = ServedStudy(study_plan, out)
    try:
        heard = read_all(server, tasks(room.plan, room.exams, "R1"))
    finally:
        server.kill()
    for word in (*TRUTH_WORDS, *SCORE_WORDS):
        assert word.encode() not in heard, word
    with pytest.raises(SystemExit) as stop:
        main(["study-export", str(out), "-o", str(tables)])
    assert stop.value.code == 0 and "predictions-R1-aided.parquet" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "study" / "manifest")
    for arm in ("unaided", "aided"):
        table, about = read_predictions(tables / f"predictions-R1-{arm}.parquet")
        assert about["pixel_spec"] == "human" and about["arm"] == arm
        result = evaluate(table, manifest, "screening-breast-v1", replicates=50, split=None)
        values = {m.name: m.value for m in result.metrics}
        assert values["auroc"] == pytest.approx(auc_by_hand(arm))
        assert values["froc_sensitivity_at_1_fp"] == 1.0  # a mark on every finding
    assert auc_by_hand("unaided") < auc_by_hand("aided")
    readings = pl.read_parquet(tables / "readings.parquet")
    assert len(readings) == 24 and readings["birads"].null_count() == 24
    assert readings["heatmap_ms"].unique().to_list() == [1000.0]
    assert "Obuchowski" in (tables / "note.txt").read_text()


@pytest.fixture
def study(tmp_path):
    room = StudyRoom(make_study(tmp_path / "study"), tmp_path / "out", cache_bytes=1 << 20)
    with served(study_routes(room, Threads())) as url:
        yield room, url


ANSWERS = {"recall": {"R": True, "L": True}, "suspicion": {"R": 1, "L": 2}, "marks": []}


def test_the_second_window_of_a_reader_is_refused(study):
    room, url = study
    first = ScriptedReader(url, "R1")
    assert first.status == 200
    second = ScriptedReader(url, "R1")
    assert second.status == 409 and "another window" in second.told["error"]
    assert ScriptedReader(url, "R2").status == 200
    first.client.request("POST", "/api/study/logout", **first.headers)
    assert ScriptedReader(url, "R1").status == 200
    wrong = ScriptedReader(url, "R2", pin="9999")
    assert wrong.status == 409 and wrong.told["error"] == "the code or the PIN is wrong"
    stranger = ScriptedReader(url, "R9")
    assert stranger.told == wrong.told  # no hint which of the two it was
    assert len(room.sessions) == 2


def test_keys_differ_between_readers_and_arms_and_only_open_exams_are_sent(study):
    room, url = study
    one, two = ScriptedReader(url, "R1"), ScriptedReader(url, "R2")
    first, other = one.next()["exam"], two.next()["exam"]
    assert not {i["key"] for i in first["images"]} & {i["key"] for i in other["images"]}
    key = first["images"][0]["key"]
    one.pixels(key)
    assert one.send(first, ANSWERS)[0] == 200
    one.next()
    status, _, _ = one.client.request("GET", f"/api/images/{key}/pixels?level=2", **one.headers)
    assert status == 404  # it was read: it is not shown again
    for path in ("/api/exams", "/api/curve", "/api/annotations.csv", f"/api/exams/{key}"):
        assert one.client.request("GET", path, **one.headers)[0] == 404
    assert len(room.journal.readings()) == 1


def test_answers_without_a_session_or_with_gaps_are_not_taken(study):
    room, url = study
    reader = ScriptedReader(url, "R1")
    exam = reader.next()["exam"]
    status, told = reader.send(exam, ANSWERS | {"suspicion": {"R": 1}})
    assert status == 422 and "breast L" in told["error"]
    reader.headers = {"X-Reader": "guess"}
    assert reader.send(exam, ANSWERS)[0] == 409
    assert room.journal.readings() == []


def test_a_sequential_reader_sees_the_first_answers_locked_in(tmp_path):
    study_plan = make_study(tmp_path / "study", design="sequential")
    room = StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)
    with served(study_routes(room, Threads())) as url:
        reader = ScriptedReader(url, "R1")
        first = reader.next()["exam"]
        assert first["before"] is None and "shown" not in first
        mark = {"image": first["images"][0]["key"], "box": [1, 2, 9, 9], "suspicion": 40}
        reader.send(first, ANSWERS | {"marks": [mark]})
        second = reader.next()["exam"]
        assert second["show"] and second["shown"]["scores"]["R"] > 0
        assert second["before"]["suspicion"] == {"R": 1, "L": 2}
        assert second["before"]["marks"][0]["image"] == second["images"][0]["key"]
        assert second["key"] != first["key"]
        reader.send(second, ANSWERS)
    assert [r["arm"] for r in room.journal.readings()] == ["unaided", "aided"]


def test_a_study_that_was_begun_otherwise_is_refused(tmp_path):
    study_plan = make_study(tmp_path / "study")
    StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)
    study_plan.write_text(study_plan.read_text().replace("seed = 5", "seed = 6"))
    with pytest.raises(ServeError, match="begun with another plan"):
        StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)


def test_wrong_pins_are_slowed_down(tmp_path):
    room = StudyRoom(make_study(tmp_path / "study"), tmp_path / "out", cache_bytes=1 << 20)
    room.journal.check_pin("R1", "1234")
    told = []
    for _ in range(6):
        with pytest.raises(RefusedError) as error:
            room.login(Login(code="R1", pin="0000"))
        told.append(str(error.value))
    assert "too many tries" in told[-1] and "too many" not in told[0]


def test_readers_are_measured_as_models_are(tmp_path):
    study_plan = make_study(tmp_path / "study")
    room = StudyRoom(study_plan, tmp_path / "out", cache_bytes=1 << 20)
    for code, good in (("R1", True), ("R2", False)):
        for task in tasks(room.plan, room.exams, code):
            number = int(task.exam[1].removeprefix("EXAM"))
            high = 90.0 if good or task.arm == "aided" else 40.0 + number
            values = {"R": high if number % 2 == 0 else 10.0, "L": 50.0}
            room.journal.add(
                reading(
                    f"{code}-{task.arm}-{number}",
                    reader=code,
                    arm=task.arm,
                    exam=task.exam,
                    answers={"suspicion": values, "recall": {"R": True, "L": False}, "marks": []},
                )
            )
    export_study(tmp_path / "out", tmp_path / "tables")
    tables = {
        arm: [
            read_predictions(tmp_path / "tables" / f"predictions-{code}-{arm}.parquet")[0]
            for code in ("R1", "R2")
        ]
        for arm in ("unaided", "aided")
    }
    ways = measure_runs(
        tables,
        read_manifest(tmp_path / "study" / "manifest"),
        "screening-breast-v1",
        "auroc",
        reference="unaided",
        replicates=20,
    )
    found = {way.way: way for way in ways}
    assert found["aided"].metric.value == 1.0 and found["unaided"].per_run[0] == 1.0
    assert found["unaided"].per_run[1] < 1.0
    export_study(tmp_path / "out", tmp_path / "by_recall", source="recall")
    recall = read_predictions(tmp_path / "by_recall" / "predictions-R1-aided.parquet")[0]
    assert set(recall["score"]) == {0.0, 1.0}
    with pytest.raises(ServeError, match="did not ask"):
        export_study(tmp_path / "out", tmp_path / "by_birads", source="birads")
    assert json.loads((tmp_path / "out" / "study.json").read_text())["plan"]["seed"] == 5
