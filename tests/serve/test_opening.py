"""What a user may name, and what is refused in one line before anything listens."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from exam_examples import exam_prediction
from fourview.cli.main import main
from fourview.entities import ExamPrediction
from fourview.errors import EvaluationError, ExamError, ServeError
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import write_manifest
from fourview.report.exam_json import exam_to_json
from fourview.serve.opening import What, open_room
from fourview.serve.run import Place, serve
from fourview.sources.find import find_source
from printed import environment
from scored_sets import scored_set


@pytest.fixture(scope="module")
def manifest(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("manifest") / "manifest"
    write_manifest(find_source("phantom")(phantom), folder)
    return folder


def test_a_manifest_and_its_files_show_the_same_exam(manifest, phantom):
    one = open_room(What(manifest=manifest), cache_gb=0.1)
    other = open_room(What(exams=[phantom / "dicom"]), cache_gb=0.1)
    which = one.worklist.frame.row(1, named=True)
    exams = [room.listed((which["patient_id"], which["exam_id"])) for room in (one, other)]
    first, second = ([image.image_id for image in exam.images] for exam in exams)
    assert first == second
    assert [i.view.name for i in exams[0].images] == ["R-CC", "L-CC", "R-MLO", "L-MLO"]
    told = one.exam_json(one.exam_key((which["patient_id"], which["exam_id"])))
    assert told["labels"]["R"]["cancer"] in (0, 1) and told["truth"]


def test_priors_are_earlier_exams_of_the_same_patient(phantom, manifest):
    room = open_room(What(manifest=manifest), cache_gb=0.1)
    tables = room.cohort.manifest
    dates = ["20200101", "20210101", "20220101"]
    exams = tables.exams["exam_id"].to_list()
    by_exam = dict(zip(exams, dates, strict=True))
    images = tables.images.with_columns(
        patient_id=pl.lit("same"), study_date=pl.col("exam_id").replace_strict(by_exam)
    )
    changed = replace(
        tables,
        images=images,
        exams=tables.exams.with_columns(patient_id=pl.lit("same")),
        breasts=tables.breasts.with_columns(patient_id=pl.lit("same")),
        findings=tables.findings.clear(),
    )
    from fourview.serve.cohort import ManifestCohort  # noqa: PLC0415 (only here)
    from fourview.serve.room import Room  # noqa: PLC0415

    one = Room.of(ManifestCohort(changed), cache_bytes=1 << 20)
    told = [one.exam_json(one.exam_key(("same", exam)))["priors"] for exam in exams]
    assert [[prior["date"] for prior in priors] for priors in told] == [
        [],
        ["20200101"],
        ["20210101", "20200101"],
    ]
    assert len(told[1][0]["images"]) == 4 and phantom


def test_predictions_of_another_manifest_are_refused(manifest, tmp_path):
    _, table = scored_set(3)
    path = tmp_path / "scores.parquet"
    write_predictions(table, path, {"manifest_hash": "ab" * 32})
    with pytest.raises(ServeError, match="another manifest than this one"):
        open_room(What(manifest=manifest, predictions=[path]), cache_gb=0.1)
    room = open_room(What(manifest=manifest, predictions=[path], anyway=True), cache_gb=0.1)
    assert any("another manifest" in note for note in room.notes)


def test_results_of_read_are_found_by_their_ids(phantom, tmp_path):
    room = open_room(What(exams=[phantom / "dicom"]), cache_gb=0.1)
    which = room.worklist.frame.row(0, named=True)
    prediction: ExamPrediction = replace(
        exam_prediction(), patient_id=which["patient_id"], exam_id=which["exam_id"]
    )
    (tmp_path / "deep" / "exam-1").mkdir(parents=True)
    (tmp_path / "deep" / "exam-1" / "result.json").write_text(json.dumps(exam_to_json(prediction)))
    (tmp_path / "result.json").write_text('{"schema": "something else"}')
    (tmp_path / "cut").mkdir()
    whole = json.dumps(exam_to_json(replace(prediction, exam_id="another")))
    (tmp_path / "cut" / "result.json").write_text(whole[: len(whole) // 2])
    shown = open_room(What(exams=[phantom / "dicom"], results=[tmp_path]), cache_gb=0.1)
    assert any("1 results cannot be read, such as" in note for note in shown.notes)
    assert shown.worklist.frame["score_0_R"].to_list() == [0.8734567890123456, None, None]
    told = shown.exam_json(shown.exam_key((which["patient_id"], which["exam_id"])))
    assert told["predictions"][0]["breasts"][1]["score"] is None


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ({}, ServeError, "nothing is named"),
        ({"exams": ["a"], "manifest": "b"}, ServeError, "more than one"),
        ({"exams": ["."], "predictions": ["p"]}, ServeError, "needs the --manifest"),
        ({"exams": ["."], "protocol": "none"}, EvaluationError, "no protocol 'none'"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, what, error, words, phantom):
    paths = {"a": phantom / "dicom", ".": phantom / "dicom", "b": tmp_path, "p": tmp_path / "p"}
    named = {
        name: value
        if name == "protocol"
        else ([paths[v] for v in value] if isinstance(value, list) else paths[value])
        for name, value in what.items()
    }
    with pytest.raises(error, match=words):
        open_room(What(**named), cache_gb=0.1)


def test_a_folder_without_mammograms_says_why(tmp_path):
    (tmp_path / "notes.txt").write_text("no DICOM")
    with pytest.raises(ExamError, match=r"no mammogram to show .*notes\.txt"):
        open_room(What(exams=[tmp_path]), cache_gb=0.1)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"host": "0.0.0.0"}, "give --certificate, --key and --token-file"),
        ({"port": 99999}, "cannot listen"),
        ({"certificate": "here"}, "belong together"),
    ],
)
def test_a_place_that_others_reach_needs_its_files(tmp_path, place, words):
    if "certificate" in place:
        place = {"certificate": tmp_path / "c.pem"}
    with pytest.raises(ServeError, match=words):
        serve([], Place(**place), opened=lambda _: None)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_whole_by_a_signal_that_comes_with_the_url(kind):
    """The server itself listens to signals only some milliseconds later. In a process of its own:
    a browser's tests leave a running loop in this one.
    """
    code = (
        "import os; from fourview.serve.run import Place, serve\n"
        "def opened(url):\n"
        f"    print(url, flush=True); os.kill(os.getpid(), {int(kind)})\n"
        "serve([], Place(), opened=opened); print('ended')"
    )
    room = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    url, ended = room.stdout.split()
    assert url.startswith("http://127.0.0.1:") and ended == "ended"
    assert (room.returncode, room.stderr) == (0, "")


def test_mistakes_are_one_line_and_exit_with_3(capsys, tmp_path):
    for arguments in (
        ["serve"],
        ["serve", str(tmp_path), "--out", "x"],
        ["serve", "--study", str(tmp_path / "study.toml")],
        ["serve", "--study", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out")],
        ["study-export", str(tmp_path), "-o", str(tmp_path / "out")],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 3
        assert capsys.readouterr().err.count("\n") == 1
