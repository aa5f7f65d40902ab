"""Folds are of patients, everyone is tested once, and what is printed is what was measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from factory import drawn_manifest, drawn_store
from fourview.cli.main import main
from fourview.entities import Exam
from fourview.errors import ManifestError
from fourview.evaluate.run import evaluate
from fourview.evaluate.table import read_predictions
from fourview.feeds.copies import CopyRule
from fourview.feeds.grid import RegionRule
from fourview.manifest.image_labels import with_stand_in_birads
from fourview.manifest.manifest import write_manifest
from fourview.manifest.split import assign_fold
from fourview.predict.reader import load_model
from fourview.preprocess.spec import pixel_spec
from fourview.recipes.clsdet import small
from fourview.report.table_published import find_row
from fourview.store.prepare import prepare
from fourview.store.read_image import read_processed
from fourview.store.store import Store
from fourview.study.crossval import cross_validate
from fourview.study.reproduce import reproduce
from fourview.train.loop import Machine
from fourview.train.recipe import override

SETTINGS = (
    *("epochs=2", "batch=4", "model.code_dim=6", "model.num_selected=2"),
    *("feed.encoder.network.name=small", "feed.encoder.network.widths=[4,4,4,4,6]"),
    *("feed.encoder.level=null", "feed.encoder.pool=mean", "feed.windows.side=64"),
    *("feed.windows.stride=48", "feed.copies.copies=1", "split.validation=0.3"),
)


def with_findings(manifest):
    """A boxed finding on every image of a breast with cancer, malignant on every second patient."""
    cancers = manifest.images.join(
        manifest.breasts.filter(cancer=1).select("exam_id", "side"), on=["exam_id", "side"]
    )
    malignant = pl.col("patient_id").str.slice(-1).cast(pl.Int8) % 2
    of_cancers = cancers.select(
        *("patient_id", "exam_id", "image_id", "side"),
        finding_id="image_id",
        malignant=malignant.cast(pl.Int8),
        **{k: pl.lit(v) for k, v in (("x0", 20.0), ("y0", 60.0), ("x1", 60.0), ("y1", 90.0))},
        frame=pl.lit("stored"),
    )
    findings = pl.concat([manifest.findings, of_cancers], how="diagonal_relaxed")
    return with_stand_in_birads(replace(manifest, findings=findings))


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    root = tmp_path_factory.mktemp("native")
    manifest = with_findings(drawn_manifest(root, num_patients=8))
    write_manifest(manifest, root / "manifest")
    prepare(manifest, pixel_spec("clsdet-native"), root / "store", workers=1)
    return root, manifest, Store.open(root / "store")


def test_folds_are_of_patients_and_hold_everyone_once(tmp_path):
    manifest, _ = drawn_store(tmp_path, num_patients=7)
    tested = []
    for fold in range(3):
        exams = assign_fold(manifest, fold, 3, seed=1).exams
        assert exams["split"].null_count() == 0
        own = set(exams.filter(split="test")["patient_id"])
        assert own.isdisjoint(exams.filter(split="train")["patient_id"]) and len(own) in (2, 3)
        tested += sorted(own)
    assert sorted(tested) == sorted(manifest.exams["patient_id"])
    with pytest.raises(ManifestError, match="at most as many as patients"):
        assign_fold(manifest, 0, 8, seed=1)


def test_every_fold_is_measured_by_a_run_without_it(native, tmp_path, capsys):
    root, manifest, _ = native
    settings = [part for s in SETTINGS for part in ("--set", s)]
    arguments = [
        *("crossval", "clsdet:small", "--manifest", str(root / "manifest")),
        *("--store", str(root / "store"), "-o", str(tmp_path / "cv"), "--folds", "2"),
        *("--protocol", "clsdet-mb-vs-n-v1", *settings),
    ]
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    written = json.loads((tmp_path / "cv" / "crossval.json").read_text())
    (area,) = [m for m in written["metrics"] if m["metric"] == "auroc"]
    assert area["mean"] == pytest.approx(np.mean(area["folds"]))
    assert area["deviation"] == pytest.approx(np.std(area["folds"], ddof=1))
    assert f"{area['mean']:.3f}" in shown
    everyone = read_predictions(tmp_path / "cv" / "predictions.parquet")[0]
    images = everyone.filter((pl.col("unit") == "image") & (pl.col("class") == "cancer"))
    assert sorted(images["image_id"]) == sorted(manifest.images["image_id"])
    for fold in range(2):
        run = tmp_path / "cv" / f"fold-{fold}"
        split = json.loads((run / "split.json").read_text())
        part = assign_fold(manifest, fold, 2, seed=0)
        assert set(split["test"]) == set(part.exams.filter(split="test")["patient_id"])
        own = read_predictions(run / "predictions.parquet")[0]
        result = evaluate(own, part, "clsdet-mb-vs-n-v1", replicates=0, groups=())
        assert result.metrics[0].value == pytest.approx(area["folds"][fold])
    row = "Cls-Det-RS, five folds"
    whole, folds = (
        reproduce("clsdet-table1", manifest, {row: path}, replicates=0,
                  protocols=["clsdet-mb-vs-n-without-3-v1"], dataset="private")
        for path in (tmp_path / "cv" / "predictions.parquet", tmp_path / "cv")
    )  # fmt: skip
    (column,) = [c for c in folds.columns if c.metric == "auroc"]
    assert column in folds.table.columns
    metric = folds.ours(find_row(folds.table, row), column)
    assert metric.value == pytest.approx(area["mean"])  # nobody has BI-RADS 3 here
    assert metric.note == f"mean of 2 folds, deviation {area['deviation']:.3f}"
    assert any("scores of 2 folds pooled" in note for note in whole.notes)
    for other, says in (("fold_seed=1", "other patients"), ("epochs=3", "another epochs")):
        words = ("--fold-seed", "1") if "fold" in other else ("--set", other)
        with pytest.raises(SystemExit) as stop:
            main([*arguments, *words])
        assert stop.value.code == 3
        assert says in capsys.readouterr().err


def test_a_run_reads_an_exam_as_it_reads_the_store(native, tmp_path):
    """Windows, codes and boxes of a DICOM exam are made apart from those of a store."""
    _, manifest, store = native
    recipe = override(small(), list(SETTINGS))
    assert recipe.feed.windows == RegionRule(side=64, stride=48)
    assert recipe.feed.copies == CopyRule(copies=1, shift_px=12)
    metrics = cross_validate(
        recipe,
        manifest,
        store,
        tmp_path,
        num_folds=2,
        protocols=("clsdet-m-vs-bn-v1",),
        machine=Machine(),
    )
    assert {m.name for m in metrics} >= {"auroc", "partial_auc", "froc_sensitivity_at_1_fp"}
    reader = load_model(tmp_path / "fold-0")
    table = reader.predict_store(manifest, store)
    exam_id = manifest.exams["exam_id"][0]
    rows = manifest.images.filter(exam_id=exam_id)
    images = tuple(
        read_processed(Path(manifest.root) / row["path"], row, reader.spec)[0]
        for row in rows.iter_rows(named=True)
    )
    exam = Exam(patient_id=rows["patient_id"][0], exam_id=exam_id, images=images)
    prediction = reader.predict(exam, join=False)
    mine = table.filter((pl.col("exam_id") == exam_id) & (pl.col("class") == "cancer"))
    for breast in prediction.breasts:
        stored = mine.filter((pl.col("unit") == "breast") & (pl.col("side") == breast.side))
        assert breast.score == pytest.approx(stored["score"][0], rel=1e-5)  # float32
        regions = mine.filter((pl.col("unit") == "region") & (pl.col("side") == breast.side))
        best = max(f.score for f in breast.findings if f.kind == "malignant_region")
        assert best == pytest.approx(regions["score"].max(), rel=1e-5)
        top = regions.sort("score", descending=True).row(0, named=True)
        first = max(
            (f for f in breast.findings if f.kind == "malignant_region"), key=lambda f: f.score
        )
        box = first.regions[0].box
        assert (box.x0, box.y0, box.x1, box.y1) == tuple(top[k] for k in ("x0", "y0", "x1", "y1"))
