"""Tables: the forms that are read, and what is refused with the rows named."""

import csv

import polars as pl
import pytest

from fourview.errors import EvaluationError
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import read_predictions, write_predictions
from scored_sets import scored_set


def breasts():
    manifest, table = scored_set(20)
    return manifest, table.filter(pl.col("unit") == "breast").select("exam_id", "side", "score")


def test_a_table_comes_back_as_it_was_written_with_its_metadata(tmp_path):
    _, table = scored_set(5)
    metadata = {"model_digest": "abc", "manifest_hash": "def"}
    write_predictions(table, tmp_path / "p.parquet", metadata)
    back, facts = read_predictions(tmp_path / "p.parquet")
    assert back.select(table.columns).equals(table)
    assert facts == metadata | {"format": "fourview"}
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_a_table_that_is_written_as_csv_is_text_and_has_the_same_scores(tmp_path):
    _, table = scored_set(5)
    write_predictions(table, tmp_path / "p.csv", {"model_digest": "abc"})
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == table["score"].to_list()
    back, facts = read_predictions(tmp_path / "p.csv")
    assert back.select(table.columns).equals(table, null_equal=True)
    assert facts == {"format": "fourview"}


def test_a_plain_csv_of_ids_and_scores_is_enough(tmp_path):
    manifest, table = breasts()
    table.write_csv(tmp_path / "p.csv")
    back, _ = read_predictions(tmp_path / "p.csv")
    assert back["unit"].unique().to_list() == ["breast"]
    assert back["class"].unique().to_list() == ["cancer"]
    one = evaluate(back, manifest, "screening-breast-v1", replicates=20)
    assert one.metrics == evaluate(table, manifest, "screening-breast-v1", replicates=20).metrics


def test_both_forms_of_the_meta_repository_are_read(tmp_path):
    manifest, table = breasts()
    wide = table.pivot("side", index="exam_id", values="score").sort("exam_id")
    positional = wide.select(left_malignant="L", right_malignant="R", left_benign=pl.lit(0.5))
    positional.with_row_index("").write_csv(tmp_path / "breast.csv")
    by_position, facts = read_predictions(tmp_path / "breast.csv")
    assert facts["format"] == "metarepo breast"
    got = evaluate(by_position, manifest, "metarepo-breast-v1", replicates=20)
    want = evaluate(wide.unpivot(["L", "R"], index="exam_id", variable_name="side",
                                 value_name="score"),
                    manifest, "metarepo-breast-v1", replicates=20)  # fmt: skip
    assert got.metrics == want.metrics
    with pytest.raises(EvaluationError, match="19 rows name no exam, and the manifest has 20"):
        evaluate(by_position.filter(pl.col("row") < 19), manifest, "metarepo-breast-v1")

    images = manifest.images.join(manifest.breasts, on=["exam_id", "side"]).join(
        table, on=["exam_id", "side"]
    )
    form = images.select(image_index="image_id", malignant_pred="score", malignant_label="cancer")
    form.write_csv(tmp_path / "image.csv")
    by_image, facts = read_predictions(tmp_path / "image.csv")
    assert facts["format"] == "metarepo image"
    got = evaluate(by_image, manifest, "metarepo-breast-v1", replicates=0)
    assert got.metrics[0].value == pytest.approx(want.metrics[0].value)
    other = by_image.with_columns(label=1 - pl.col("label"))
    with pytest.raises(EvaluationError, match="80 rows bring another label than the manifest"):
        evaluate(other, manifest, "metarepo-image-v1")


IS_FIRST = pl.int_range(pl.len()) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pl.concat([t, t[3:4]]), "2 rows are scores of the same breast: line 4"),
        (
            lambda t: t.with_columns(score=pl.when(IS_FIRST).then(None).otherwise("score")),
            "1 rows with a bad score: line 1",
        ),
        (
            lambda t: t.with_columns(
                score=pl.when(IS_FIRST).then(float("nan")).otherwise("score")
            ),
            "1 rows with a bad score: line 1",
        ),
        (
            lambda t: t.with_columns(side=pl.when(IS_FIRST).then(None).otherwise("side"),
                                     unit=pl.lit("breast")),
            "1 rows with a bad exam_id or side of unit breast: line 1",
        ),
        (lambda t: t.with_columns(unit=pl.lit("womb")), "40 rows with a bad unit"),
        (lambda t: t.with_columns(exam_id="x" + pl.col("exam_id")), "none of 40 units is in"),
        (
            lambda t: t.with_columns(patient_id=pl.lit("p007")),
            "38 rows name another patient_id than the manifest",
        ),
        (lambda t: t.with_columns(**{"class": pl.lit("A")}), "no usable row of unit breast"),
        (lambda t: t.clear(), "no usable row"),
        (lambda t: t.drop("score"), "no column 'score'"),
        (lambda t: t.with_columns(score=pl.lit("high")), "String values such as 'high'"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_and_its_rows_are_named(change, message):
    manifest, table = breasts()
    with pytest.raises(EvaluationError, match=message):
        evaluate(change(table), manifest, "screening-breast-v1")


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("name,age\nx,1\n")
    with pytest.raises(EvaluationError, match=r"columns name, age are no predictions"):
        read_predictions(tmp_path / "a.csv")
    (tmp_path / "a.parquet").write_bytes(b"not parquet")
    with pytest.raises(EvaluationError, match="is no CSV or Parquet table"):
        read_predictions(tmp_path / "a.parquet")


def test_a_bit_that_turned_in_a_predictions_file_is_found(tmp_path):
    _, table = scored_set(30)
    metadata = {"model_digest": "abc" * 20, "manifest_hash": "def" * 20, "terms": "research"}
    path = tmp_path / "p.parquet"
    write_predictions(table, path, metadata)
    whole, (want, facts) = path.read_bytes(), read_predictions(path)
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 2,)) + whole[at + 1 :])
        try:
            back, said = read_predictions(path)
        except EvaluationError as error:
            assert "\n" not in str(error)
            refused += 1
        else:  # a byte that holds neither a value nor a name
            assert back.equals(want)
            assert said == facts
    assert refused > 75


def test_the_order_of_a_files_rows_does_not_move_the_meta_repositorys_intervals():
    manifest, table = breasts()
    measured = [
        evaluate(rows, manifest, "metarepo-breast-v1", replicates=200).metrics
        for rows in (table, table.sample(fraction=1, shuffle=True, seed=4), table.reverse())
    ]
    assert measured[0] == measured[1] == measured[2]
