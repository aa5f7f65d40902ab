"""The commands, called as the command line calls them."""

import json

import polars as pl
import pytest

from fourview.cli.compare import compare
from fourview.cli.evaluate import evaluate
from fourview.errors import EvaluationError
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import write_manifest
from scored_sets import scored_set


@pytest.fixture
def files(tmp_path):
    manifest, table = scored_set(40)
    digest = write_manifest(manifest, tmp_path / "manifest")
    write_predictions(table, tmp_path / "a.parquet", {"manifest_hash": digest, "terms": "none"})
    other = table.with_columns(pl.col("score") ** 2 * 0.9)
    write_predictions(other, tmp_path / "b.parquet", {"manifest_hash": "another"})
    return tmp_path


def measure(files, name, **options):
    evaluate(
        files / name,
        manifest=files / "manifest",
        protocol="screening-breast-v1",
        replicates=30,
        **options,
    )


def test_evaluate_writes_every_form_of_a_result(files, capsys):
    measure(files, "a.parquet", out=files / "out", json=True)
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((files / "out/result.json").read_text())
    assert printed == written
    metrics = pl.read_csv(files / "out/metrics.csv")
    assert metrics["value"][0] == pytest.approx(written["metrics"][0]["value"])
    assert (files / "out/unmatched.csv").exists()
    page = (files / "out/report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") >= 5
    assert written["provenance"]["terms"] == "none"


def test_thresholds_of_another_table_are_taken_and_those_of_this_one_refused(files, capsys):
    measure(files, "a.parquet", out=files / "out")
    chosen = files / "out/operating_points.json"
    measure(files, "b.parquet", thresholds=chosen)
    text = capsys.readouterr().out
    assert "Sensitivity at sensitivity-0.90" in text
    assert "made from another manifest" in text
    with pytest.raises(EvaluationError, match="chosen on this very table"):
        measure(files, "a.parquet", thresholds=chosen)


def test_compare_prints_differences_with_intervals(files, capsys):
    options = {"manifest": files / "manifest", "protocol": "screening-breast-v1", "replicates": 30}
    compare(files / "a.parquet", files / "b.parquet", **options, json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["differences"][0]["difference"]["value"] == 0  # squaring keeps the order
    compare(files / "a.parquet", files / "b.parquet", **options)
    text = capsys.readouterr().out
    assert "DeLong, clustered by patient" in text
    assert "Brier score" in text
