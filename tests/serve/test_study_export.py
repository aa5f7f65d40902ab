"""What a reader study exports, and how readers are measured."""

import json

import polars as pl
import pytest

from fourview.cli.main import main
from fourview.errors import ServeError
from fourview.evaluate.run import evaluate
from fourview.evaluate.several_runs import measure_runs
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import read_manifest
from fourview.serve.study import tasks
from fourview.serve.study_export import export_study
from fourview.serve.study_room import StudyRoom
from study_examples import ScriptedReader, ServedStudy, make_study, reading

TRUTH_WORDS = ("EXAM", "PATIENT", "FILE", "IMAGE", "TRUTH", "SOURCENAME", "200101", "unaided")


SCORE_WORDS = ("0.137", "score", "11.125", "31.25", "cancer", "malignant", "NAME", "R2")


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
    by_way = {way.way: way for way in ways}
    assert by_way["aided"].metric.value == 1.0 and by_way["unaided"].per_run[0] == 1.0
    assert by_way["unaided"].per_run[1] < 1.0
    export_study(tmp_path / "out", tmp_path / "by_recall", source="recall")
    recall = read_predictions(tmp_path / "by_recall" / "predictions-R1-aided.parquet")[0]
    assert set(recall["score"]) == {0.0, 1.0}
    with pytest.raises(ServeError, match="did not ask"):
        export_study(tmp_path / "out", tmp_path / "by_birads", source="birads")
    assert json.loads((tmp_path / "out" / "study.json").read_text())["plan"]["seed"] == 5
