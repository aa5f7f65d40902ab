"""From DICOM to a page, as a person types it."""

import json
from pathlib import Path

import polars as pl
import pytest

from fourview.cli.main import BAD_DATA, USAGE, main
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
    """Three phantom exams, indexed, prepared and scored by the model of the package."""
    root = tmp_path_factory.mktemp("chain")
    steps = (
        ("phantom", root / "phantom", "--exams", 3, "--seed", 5, "--preset", "miniature",
         "--workers", 1),
        ("index", root / "phantom", "--source", "phantom", "-o", root / "manifest"),
        ("check", root / "manifest"),
        ("prepare", root / "manifest", "--spec", "mvccl-192x96", "-o", root / "store",
         "--workers", 1),
        ("predict", "--manifest", root / "manifest", "--store", root / "store",
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


def test_reading_dicom_gives_the_scores_of_the_store(made, capsys):
    """The same pixels and weights by both ways: headers found the slots, and order did not."""
    out = made / "read"
    assert fourview("read", made / "phantom" / "dicom", "-o", out, "--exact", "--json") == 0
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
