"""From DICOM to a page, as a person types it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from fourview.cli.main import BAD_DATA, INTERRUPTED, USAGE, main
from fourview.entities import SLOTS
from fourview.evaluate.table import read_predictions
from fourview.report.exam_json import exam_from_json


def fourview(*words: object) -> int:
    """Run a command in this process and give its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    code = stop.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Three phantom exams, indexed, prepared and scored by the small model of the package."""
    root = tmp_path_factory.mktemp("chain")
    steps = (
        ("phantom", root / "phantom", "--exams", 3, "--seed", 5, "--preset", "miniature",
         "--workers", 1),
        ("index", root / "phantom", "--source", "phantom", "-o", root / "manifest"),
        ("check", root / "manifest"),
        ("prepare", root / "manifest", "--spec", "mvccl-192x96", "-o", root / "store",
         "--workers", 1),
        ("predict", "mvccl-small", "--manifest", root / "manifest", "--store", root / "store",
         "-o", root / "predictions.parquet", "--exact"),
        ("evaluate", root / "predictions.parquet", "--manifest", root / "manifest",
         "--protocol", "screening-breast-v1", "-o", root / "result", "--replicates", 50),
    )  # fmt: skip
    for step in steps:
        assert fourview(*step) == 0, step
    return root


def test_every_breast_gets_a_score_that_knows_its_model(made):
    predictions, about = read_predictions(made / "predictions.parquet")
    breasts = predictions.filter(pl.col("unit") == "breast")
    assert len(breasts) == 6
    assert breasts["score"].is_between(0, 1).all()
    assert about["pixel_spec"].startswith("mvccl-192x96 ")
    assert len(about["model_digest"]) == 64
    assert (made / "result" / "report.html").exists()


def test_a_manifest_of_a_relative_root_is_read_from_any_folder(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    assert fourview("index", "phantom", "--source", "phantom", "-o", tmp_path / "manifest") == 0
    monkeypatch.chdir(tmp_path)
    assert fourview("check", "manifest") == 0  # looks for every image's file


def test_a_folder_without_a_readable_file_is_a_manifest_of_what_was_left_out(tmp_path, capsys):
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "a.txt").write_text("no DICOM")
    out = tmp_path / "manifest"
    assert fourview("index", tmp_path / "junk", "--source", "dicom", "-o", out) == 0
    assert "left out: 1 not_dicom" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--split", "bogus"), "--split bogus: the manifest has no such part; there are: none"),
        (("-o", "."), "is a folder; -o needs a file"),
    ],
)
def test_predict_refuses_what_would_give_no_scores(made, words, says, tmp_path, capsys):
    inputs = ("--manifest", made / "manifest", "--store", made / "store", "--exact")
    out = () if "-o" in words else ("-o", tmp_path / "scores.parquet")
    assert fourview("predict", "mvccl-small", *inputs, *out, *words) == BAD_DATA
    assert says in capsys.readouterr().err


def test_predict_says_which_images_have_no_pixels(made, tmp_path, capsys):
    made_later = ("phantom", tmp_path / "phantom", "--exams", 1, "--seed", 6, "--preset",
                  "miniature", "--workers", 1)  # fmt: skip
    assert fourview(*made_later) == 0
    index = ("index", tmp_path / "phantom", "--source", "phantom", "-o", tmp_path / "manifest")
    assert fourview(*index) == 0
    inputs = ("--manifest", tmp_path / "manifest", "--store", made / "store", "--exact")
    assert (
        fourview("predict", "mvccl-small", *inputs, "-o", tmp_path / "scores.parquet") == BAD_DATA
    )
    assert "the store has none of the 4 images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--set", "batch=-4"), BAD_DATA, "--set batch=-4: batch is -4, need 1 or more"),
        (("--set", "epochs=0"), BAD_DATA, "epochs is 0, need 1 or more"),
        (("--set", "optimizer.lr=-3"), BAD_DATA, "lr is -3.0, need 0 or more"),
        (("--save-every", 0), USAGE, "--save-every"),
        (("--workers", -1), USAGE, "--workers"),
    ],
)
def test_numbers_that_are_too_small_train_nothing(made, words, code, says, tmp_path, capsys):
    inputs = ("--manifest", made / "manifest", "--store", made / "store", "-o", tmp_path / "run")
    assert fourview("train", "mvccl:small", *inputs, *words) == code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_where_a_folder_is_needed_is_one_line(made, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("in the way")
    spec = ("--spec", "mvccl-192x96", "--workers", 1)
    assert fourview("prepare", made / "manifest", *spec, "-o", file) == BAD_DATA
    assert fourview("read", made / "phantom" / "dicom", "-o", file / "out", "--exact") == BAD_DATA
    errors = capsys.readouterr().err
    assert errors.count("a file where a folder is needed") == 2
    assert "Traceback" not in errors


def test_a_file_that_was_mended_is_prepared_when_asked_for(made, tmp_path, capsys):
    whole = made / "phantom"
    broken = tmp_path / "phantom"
    shutil.copytree(whole, broken)
    manifest, store = tmp_path / "manifest", tmp_path / "store"
    assert fourview("index", broken, "--source", "phantom", "-o", manifest) == 0
    file = min(path for path in (broken / "dicom").rglob("*") if path.is_file())
    content = file.read_bytes()
    file.write_bytes(b"")
    prepare = ("prepare", manifest, "--spec", "mvccl-192x96", "-o", store, "--workers", 1)
    assert fourview(*prepare) == 0
    assert "--retry-failed" in capsys.readouterr().out
    file.write_bytes(content)
    assert fourview(*prepare, "--retry-failed") == 0
    assert "12 images in" in capsys.readouterr().out


def test_reading_dicom_gives_the_scores_of_the_store(made, capsys):
    """The same pixels and weights by both ways: headers found the slots, and order did not."""
    out = made / "read"
    words = ("--model", "mvccl-small", "-o", out, "--exact", "--json")
    assert fourview("read", made / "phantom" / "dicom", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    read = {
        (said.exam_id, breast.side): breast.score
        for line in lines
        for said in [exam_from_json(json.loads(line))]
        for breast in said.breasts
    }
    stored, _ = read_predictions(made / "predictions.parquet")
    wanted = {
        (row["exam_id"], row["side"]): row["score"]
        for row in stored.filter(pl.col("unit") == "breast").iter_rows(named=True)
    }
    assert read.keys() == wanted.keys()
    for key, score in wanted.items():
        assert read[key] == pytest.approx(score, abs=1e-4)  # the store rounds to 16 bits
    assert (out / "index.html").exists()
    assert len(list(out.glob("exam-*/report.html"))) == 3


def test_the_real_exams_are_hung_in_four_slots(real_exams, tmp_path, capsys):
    cases = sorted({path.parent for path in real_exams.rglob("*.dcm")})
    assert fourview("read", *cases, "-o", tmp_path, "--exact", "--json") == 0
    exams = [exam_from_json(json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert len(exams) == 2
    for said in exams:
        assert sorted(image.view.name for image in said.images) == sorted(SLOTS)
        assert [b.side for b in said.breasts] == ["R", "L"]
        assert all(b.score is not None for b in said.breasts)
        assert not said.left_out


def test_a_label_of_one_class_is_refused_and_another_trains(cdd_cesm, tmp_path, capsys):
    few = tmp_path / "cdd_cesm"
    (few / "images").mkdir(parents=True)
    (few / "masks").mkdir()
    table = "Radiology-manual-annotations.csv"
    (few / table).write_bytes((cdd_cesm / table).read_bytes())
    for path in sorted((cdd_cesm / "images").iterdir())[:40]:
        (few / "images" / path.name).write_bytes(path.read_bytes())
        mask = cdd_cesm / "masks" / path.name
        (few / "masks" / path.name).write_bytes(mask.read_bytes())
    manifest, store = tmp_path / "manifest", tmp_path / "store"
    assert (
        fourview("index", few, "--source", "cdd_cesm", "-o", manifest, "--split", "0.6,0.2,0.2")
        == 0
    )
    assert fourview("prepare", manifest, "--spec", "mvccl-192x96", "-o", store, "--workers", 1) == 0
    train = ("train", "mvccl:small", "--manifest", manifest, "--store", store, "--set", "batch=4")
    assert fourview(*train, "-o", tmp_path / "cancer") == BAD_DATA
    assert "label 'cancer' cannot be trained on" in capsys.readouterr().err
    density = ("--set", "model.task=density", "--set", "epochs=1", "-o", tmp_path / "density")
    assert fourview(*train, *density) == 0
    scores, _ = read_predictions(tmp_path / "density" / "predictions.parquet")
    assert set(scores["class"]) == {"A", "B", "C", "D"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("read", "nowhere", "-o", "out"), BAD_DATA, "nowhere"),
        (("index", ".", "--source", "embd", "-o", "m"), BAD_DATA, "did you mean 'embed'"),
        (("prepare", "m", "--spec", "mvcl", "-o", "s"), BAD_DATA, "m"),
        (("train", "mvccl:small", "--manifest", "m"), USAGE, "--store"),
        (("trian",), USAGE, "trian"),
    ],
)
def test_a_mistake_gives_one_line_and_its_exit_code(
    words, code, says, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert fourview(*words) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert says in error


def test_an_interrupted_command_says_how_it_goes_on(tmp_path):
    command = ("phantom", tmp_path / "made", "--exams", 500, "--preset", "miniature",
               "--workers", 1)  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-c", "from fourview.cli.main import main; main()", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
    )
    while child.poll() is None and not any((tmp_path / "made").rglob("*.dcm")):
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == INTERRUPTED
    assert "error: interrupted; the same command goes on" in errors
