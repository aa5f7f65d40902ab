"""A table that brings its own labels needs no manifest, where they suffice."""

import json

import polars as pl
import pytest

from fourview.cli.main import BAD_DATA, main
from fourview.evaluate.run import evaluate
from scored_sets import scored_set


def run(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


@pytest.fixture
def labelled(tmp_path):
    manifest, table = scored_set(30)
    breasts = table.filter(pl.col("unit") == "breast").select("exam_id", "side", "score")
    images = manifest.images.join(manifest.breasts, on=["exam_id", "side"]).join(
        breasts, on=["exam_id", "side"]
    )
    form = images.select(image_index="image_id", malignant_pred="score", malignant_label="cancer")
    form.write_csv(tmp_path / "image.csv")
    own = breasts.join(manifest.breasts, on=["exam_id", "side"])
    own.select("exam_id", "side", "score", label="cancer").write_csv(tmp_path / "breast.csv")
    return tmp_path, manifest, form, breasts


def test_the_meta_repositorys_file_alone_gives_the_numbers_of_its_manifest(labelled, capsys):
    folder, manifest, form, _ = labelled
    options = ("--protocol", "metarepo-image-v1", "--replicates", 50, "--json")
    assert run("evaluate", folder / "image.csv", *options) == 0
    got = json.loads(capsys.readouterr().out)
    scores = form.select(image_id="image_index", score="malignant_pred")
    want = evaluate(scores, manifest, "metarepo-image-v1", replicates=50)
    assert [(m["name"], m["value"], m["low"], m["high"]) for m in got["metrics"]] == [
        (m.name, m.value, m.low, m.high) for m in want.metrics
    ]
    assert got["num_units"] == 120
    assert "labels are the table's own; nothing else is known of its images" in got["notes"]
    assert "120 rows name no patient: each is taken for another one's" in got["notes"]


def test_breasts_with_a_column_label_are_measured_too(labelled, capsys):
    folder, manifest, _, breasts = labelled
    options = ("--protocol", "screening-breast-v1", "--replicates", 0, "--json")
    assert run("evaluate", folder / "breast.csv", *options) == 0
    got = json.loads(capsys.readouterr().out)["metrics"][0]
    want = evaluate(breasts, manifest, "screening-breast-v1", replicates=0).metrics[0]
    assert (got["name"], got["value"]) == (want.name, want.value)


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("image.csv", ("metarepo-breast-v1",), "the table has labels of unit image, the protocol"),
        ("image.csv", ("embed-density-v1",), "needs --manifest: its labels (density) are no yes"),
        ("plain.csv", ("metarepo-image-v1",), "or a table with a column 'label'"),
        ("odd.csv", ("metarepo-image-v1",), "1 rows have a label that is neither 0 nor 1"),
        ("image.csv", ("metarepo-image-v1", "--split", "test"), "--split: is read only with"),
    ],
)
def test_what_a_table_does_not_say_needs_a_manifest(name, words, says, labelled, capsys):
    folder, _, form, _ = labelled
    form.drop("malignant_label").write_csv(folder / "plain.csv")
    odd = pl.when(pl.int_range(pl.len()) == 3).then(2).otherwise("malignant_label")
    form.with_columns(malignant_label=odd).write_csv(folder / "odd.csv")
    assert run("evaluate", folder / name, "--protocol", *words) == BAD_DATA
    assert says in capsys.readouterr().err
