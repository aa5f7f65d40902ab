"""The slider's figures and an exam's hits against `fourview evaluate` and a loop over boxes."""

import numpy as np
import polars as pl
import pytest

from fourview.evaluate.protocols import find_protocol
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import write_predictions
from fourview.geometry import Box
from fourview.serve.curve import Curve
from fourview.serve.predictions import TableSource
from scored_sets import scored_set

PROTOCOL = find_protocol("screening-breast-v1")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    manifest, table = scored_set(80, seed=5)
    path = tmp_path_factory.mktemp("tables") / "scores.parquet"
    write_predictions(table, path, {})
    source = TableSource(path, "cancer", manifest, PROTOCOL)
    return manifest, table, Curve(source, manifest, PROTOCOL)


def looked_up(curve, threshold):
    """What the slider shows: the last cut that the threshold does not exceed."""
    at_least = [i for i, cut in enumerate(curve["cuts"]) if cut >= threshold]
    return (curve["x"][at_least[-1]], curve["y"][at_least[-1]]) if at_least else (0.0, 0.0)


def test_sensitivity_and_false_marks_equal_those_of_evaluate_at_ten_thresholds(scored):
    manifest, table, curve = scored
    told = curve.json()
    thresholds = {f"t{i}": float(t) for i, t in enumerate(np.linspace(0.05, 0.95, 10))}
    result = evaluate(table, manifest, PROTOCOL, replicates=0, thresholds=thresholds, split=None)
    recall = {m.name: m.value for m in result.metrics}
    froc = next(c for c in result.curves if c.name == "froc")
    assert told["kind"] == "froc"
    for name, threshold in thresholds.items():
        x, y = looked_up(told, threshold)
        assert y == recall[f"localisation_recall ({name})"]
        assert (x, y) in set(zip(froc.x.tolist(), froc.y.tolist(), strict=True))


def test_hits_and_misses_of_an_exam_are_those_of_the_rule(scored):
    manifest, table, curve = scored
    marks = table.filter(pl.col("unit") == "region")
    seen = set()
    for exam in ("e000", "e003", "e007", "e011", "e020", "e031"):
        images = manifest.images.filter(pl.col("exam_id") == exam)["image_id"].to_list()
        outcomes = curve.outcomes(images)
        boxes = {
            row["image_id"]: Box(row["x0"], row["y0"], row["x1"], row["y1"])
            for row in manifest.findings.filter(pl.col("exam_id") == exam).iter_rows(named=True)
        }
        mine = marks.filter(pl.col("exam_id") == exam)
        assert len(outcomes["marks"]) == len(mine)
        best = {}
        for row in outcomes["marks"]:
            truth = boxes.get(row["image_id"])
            hit = truth is not None and Box(*row["box"]).iou(truth) >= 0.1
            assert row["outcome"] == ("hit" if hit else "false")
            seen.add(row["outcome"])
            if hit:
                best[row["image_id"]] = max(best.get(row["image_id"], 0), row["score"])
        assert {r["image_id"]: r["score"] for r in outcomes["findings"]} == {
            image: best.get(image) for image in boxes
        }
    assert seen == {"hit", "false"}


def test_without_boxes_the_curve_is_that_of_breasts(scored, tmp_path):
    manifest, table, _ = scored
    write_predictions(table.filter(pl.col("unit") == "breast"), tmp_path / "b.parquet", {})
    source = TableSource(tmp_path / "b.parquet", "cancer", manifest, PROTOCOL)
    told = Curve(source, manifest, PROTOCOL).json()
    result = evaluate(source.table, manifest, PROTOCOL, replicates=0, split=None)
    roc = next(c for c in result.curves if c.name == "roc")
    assert told["kind"] == "roc"
    assert [0.0, *told["x"]] == pytest.approx(roc.x) and [0.0, *told["y"]] == pytest.approx(roc.y)
