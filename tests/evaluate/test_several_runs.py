"""Means over seeds and paired differences between ways."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fourview.entities import PREDICTIONS_SCHEMA, Manifest
from fourview.errors import EvaluationError
from fourview.evaluate.several_runs import measure_runs
from fourview.manifest.manifest import make_manifest

NUM_PATIENTS = 120


def labelled(root) -> tuple[Manifest, np.ndarray]:
    """One exam of two breasts a patient; every fourth breast has a cancer."""
    keys = [{"patient_id": f"p{i:03d}", "exam_id": f"e{i:03d}"} for i in range(NUM_PATIENTS)]
    sides = [{**key, "side": side} for key in keys for side in "RL"]
    cancer = np.arange(len(sides)) % 4 == 0
    views = [
        {**key, "view": view, "image_id": f"{key['exam_id']}{key['side']}{view}", "path": "x"}
        for key in sides
        for view in ("CC", "MLO")
    ]
    manifest = make_manifest(
        source="drawn",
        root=root,
        images=pl.DataFrame(views),
        breasts=pl.DataFrame(sides).with_columns(cancer=pl.Series(cancer.astype(int))),
        exams=pl.DataFrame(keys),
        terms="made by a test",
    )
    return manifest, manifest.breasts["cancer"].to_numpy() == 1  # in the manifest's order


def predictions(manifest: Manifest, cancer: np.ndarray, gain: float, seed: int) -> pl.DataFrame:
    noise = np.random.default_rng(seed).normal(size=len(cancer))
    scores = 1 / (1 + np.exp(-(gain * cancer + noise)))
    rows = manifest.breasts.select("patient_id", "exam_id", "side").with_columns(
        pl.lit("breast").alias("unit"), pl.lit("cancer").alias("class"), score=pl.Series(scores)
    )
    return pl.DataFrame(rows.to_dicts(), schema=PREDICTIONS_SCHEMA)


@pytest.fixture
def drawn(tmp_path):
    manifest, cancer = labelled(tmp_path)
    ways = {
        name: [predictions(manifest, cancer, gain, seed) for seed in seeds]
        for name, gain, seeds in (("weak", 0.5, (1, 2, 3)), ("strong", 2.0, (4, 5, 6)))
    }
    return manifest, cancer, ways


def test_a_way_is_the_mean_of_its_runs(drawn):
    manifest, cancer, ways = drawn
    results = measure_runs(
        ways, manifest, "screening-breast-v1", "auroc", reference="weak", replicates=200
    )
    for result in results:
        areas = [roc_auc_score(cancer, table["score"].to_numpy()) for table in ways[result.way]]
        assert result.per_run == pytest.approx(areas, abs=1e-12)  # the same ranks, exactly counted
        assert result.metric.value == pytest.approx(np.mean(areas), abs=1e-12)


def test_the_gap_is_paired_and_has_an_interval_beside_zero(drawn):
    manifest, _, ways = drawn
    weak, strong = measure_runs(
        ways, manifest, "screening-breast-v1", "auroc", reference="weak", replicates=500
    )
    assert weak.gap is None
    assert strong.gap.value == pytest.approx(strong.metric.value - weak.metric.value)
    assert 0 < strong.gap.low < strong.gap.value < strong.gap.high


def test_a_way_against_its_own_copy_differs_by_exactly_nothing(drawn):
    manifest, _, ways = drawn
    same = {"a": ways["weak"], "b": ways["weak"]}
    _, copy = measure_runs(
        same, manifest, "screening-breast-v1", "auroc", reference="a", replicates=100
    )
    assert (copy.gap.value, copy.gap.low, copy.gap.high) == (0, 0, 0)


def test_runs_that_score_other_units_are_refused_by_name(drawn):
    manifest, _, ways = drawn
    fewer = {"weak": ways["weak"], "strong": [ways["strong"][0], ways["strong"][1][:-2]]}
    with pytest.raises(EvaluationError, match=r"strong, run 2 scores 238 units"):
        measure_runs(fewer, manifest, "screening-breast-v1", "auroc", reference="weak")
