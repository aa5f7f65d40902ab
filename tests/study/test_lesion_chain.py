import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from fourview.checkpoint.card import load_checkpoint, read_card
from fourview.entities import Finding, Region
from fourview.errors import CheckpointError, RecipeError, TrainingError
from fourview.evaluate.operating import read_thresholds
from fourview.feeds.feed import MAPS
from fourview.fingerprint import digest_of_file
from fourview.geometry import Box
from fourview.predict.network import context_of, load_network
from fourview.predict.reader import load_model
from fourview.report.biopsies import miss_rates
from fourview.report.exam_json import exam_from_json, exam_to_json
from fourview.study.chain import Before, train_chain
from fourview.study.reproduce import reproduce
from fourview.study.search import best_value, learning_rates, search
from fourview.train.loop import Machine
from fourview.train.run import divided
from fourview.train.run_folder import read_log
from lesion_examples import (
    aggregate_recipe,
    context_checkpoint,
    exam_of,
    manifest_with_findings,
    patch_recipe,
    store_of,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Context, windows, aggregation: a chain of tiny runs, and what they were made of."""
    root = tmp_path_factory.mktemp("chain")
    manifest = manifest_with_findings(root)
    store = store_of(manifest, root)
    context, grid = context_checkpoint(root / "gmic")

    def chain(recipe, name, before):
        return train_chain(
            recipe,
            manifest,
            store,
            root / name,
            resume=True,
            machine=Machine(),
            cache_bytes=1 << 30,
            before=before,
        )

    chain(patch_recipe(), "patch", Before())
    chain(aggregate_recipe(grid), "run", Before(start=root / "patch", context=context))
    return root, manifest, store, chain, grid


def test_a_chain_takes_the_window_network_and_trains_what_comes_after_it(place):
    root, *_ = place
    patch = load_checkpoint(root / "patch" / "checkpoints" / "best")[0].state_dict()
    run = load_checkpoint(root / "run" / "checkpoints" / "best")[0].state_dict()
    local = [name for name in run if name.startswith("local.")]
    assert local and all(torch.equal(run[name], patch[name]) for name in local)
    assert not torch.equal(run["aggregate.2.weight"], patch["aggregate.2.weight"])


def test_a_run_keeps_its_context_and_the_settings_of_its_windows(place):
    root, manifest, store, _, grid = place
    kept = read_card(root / "run" / "context" / "checkpoints" / "best")
    assert kept == read_card(root / "gmic")
    said = context_of(load_network(root / "gmic"), manifest, store, progress=pytest.fail)
    maps = [said.read(image_id, MAPS).shape for image_id in manifest.images["image_id"]]
    assert set(maps) == {(2, *grid)}
    card = read_card(root / "run" / "checkpoints" / "best")
    assert (card.feed["windows"], tuple(card.feed["grid"])) == (4, grid)


def test_a_run_scores_findings_and_chooses_thresholds_by_cancers_missed(place):
    root, manifest, *_ = place
    table = pl.read_parquet(root / "run" / "predictions.parquet")
    assert set(table["unit"]) == {"finding"} and set(table["class"]) == {"cancer"}
    assert table.height == 4 * 2 * 2  # patients measured, findings, views
    points, _ = read_thresholds(root / "run" / "operating_points.json")
    assert list(miss_rates(points)) == [0.0, 0.01, 0.02, 0.03, 0.05]
    validation = json.loads((root / "run" / "split.json").read_text())["validation"]
    own = table.filter(pl.col("patient_id").is_in(validation))
    means = own.group_by("finding_id").agg(pl.col("score").mean())
    known = manifest.findings.select("finding_id", "malignant").unique()
    cancers = means.join(known.filter(pl.col("malignant") == 1), on="finding_id")
    assert points["sensitivity-1.00"] == pytest.approx(cancers["score"].min())


def test_reading_the_store_again_gives_the_scores_of_the_run(place):
    root, manifest, store, *_ = place
    reader = load_model(root / "run")
    assert reader.scores_findings
    again = reader.predict_store(manifest, store)
    table = pl.read_parquet(root / "run" / "predictions.parquet")
    keys = ["finding_id", "image_id"]
    both = table.join(again, on=keys, suffix="_again")
    assert both.height == table.height
    difference = (both["score"] - both["score_again"]).abs().max()
    assert difference < 1e-6  # float32, windows in batches of another size


@pytest.mark.parametrize("table", ["lesion-table2", "lesion-table3"])
def test_a_run_stands_beside_the_papers_numbers(place, table):
    root, manifest, store, *_ = place
    held = divided(manifest, patch_recipe().split)  # nobody is measured whom it was trained on
    reproduced = reproduce(
        table, held, {"embedding and saliency": root / "run"}, store=store, replicates=0
    )
    (row,) = [row for row in reproduced.rows if row.name == "embedding and saliency"]
    for column, theirs in zip(reproduced.columns, reproduced.table.columns, strict=True):
        metric = reproduced.ours(row, column)
        assert metric.value is not None and row.published[theirs].value > 0
    assert "Not comparable" in reproduced.comparable


def test_windows_that_never_change_are_encoded_once_and_others_are_not_kept(place):
    _, _, store, *_ = place
    kept = [json.loads(path.read_text()) for path in Path(store.path).glob("said/*/about.json")]
    windows = [about for about in kept if about["of"] == "windows of a site"]
    assert [about["training"] for about in windows] == [False]


def test_only_images_that_are_asked_for_and_their_exams_get_context_maps(place, tmp_path):
    root, manifest, store, *_ = place
    shutil.copytree(root / "gmic", tmp_path / "other")
    weights = load_file(tmp_path / "other" / "model.safetensors")
    name = next(iter(sorted(weights)))
    save_file(weights | {name: weights[name] + 1}, tmp_path / "other" / "model.safetensors")
    card = json.loads((tmp_path / "other" / "model.json").read_text())
    card["digest"] = digest_of_file(tmp_path / "other" / "model.safetensors")
    (tmp_path / "other" / "model.json").write_text(json.dumps(card))
    rows = manifest.images.select("image_id", "exam_id").rows()
    one, exam = rows[0]
    said = context_of(load_network(tmp_path / "other"), manifest, store, images={one})
    assert {e for i, e in rows if said.has(i, MAPS)} == {exam}


def test_an_exam_gives_each_named_finding_the_score_it_has_in_the_store(place):
    root, manifest, store, *_ = place
    reader = load_model(root / "run")
    rows = manifest.findings.filter(pl.col("exam_id") == "e00")
    findings = [
        Finding(
            finding_id=name,
            side="R",
            regions=tuple(
                Region(image_id=r["image_id"], box=Box(r["x0"], r["y0"], r["x1"], r["y1"]))
                for r in rows.filter(pl.col("finding_id") == name).iter_rows(named=True)
            ),
            source="named.csv",
        )
        for name in ("e00-a", "e00-b")
    ]
    prediction = reader.predict(exam_of(manifest), findings)
    scored = {f.finding_id: f for f in prediction.breast("R").findings}
    table = reader.predict_store(manifest, store).filter(pl.col("exam_id") == "e00")
    means = dict(table.group_by("finding_id").agg(pl.col("score").mean()).iter_rows())
    for finding in findings:
        scored_finding = scored[finding.finding_id]
        assert scored_finding.score == pytest.approx(means[finding.finding_id], abs=1e-6)
        assert len(scored_finding.patches) == 8
        for patch in scored_finding.patches:  # each is scored on its own finding
            box = next(r.box for r in finding.regions if r.image_id == patch.image_id)
            assert patch.box.intersection(box) > 0
    assert prediction.breast("L").findings == ()
    assert prediction.model == "lesion:tiny on gmic:tiny"
    assert exam_from_json(exam_to_json(prediction)).breasts == prediction.breasts


def test_without_named_findings_the_context_proposes_them(place):
    root, manifest, *_ = place
    prediction = load_model(root / "run").predict(exam_of(manifest))
    findings = [f for breast in prediction.breasts for f in breast.findings]
    assert findings and all(f.source == "proposed" and f.patches for f in findings)
    assert all(0 <= f.score <= 1 for f in findings)
    assert any("proposed" in note for note in prediction.notes)
    named = {h.class_name for image in prediction.images for h in image.heatmaps}
    assert named == {"cancer", "benign"}


def test_a_finding_on_an_image_that_was_not_read_has_no_score(place):
    root, manifest, *_ = place
    elsewhere = Finding(
        finding_id="x", side="R", regions=(Region(image_id="nowhere", box=Box(1, 1, 9, 9)),)
    )
    prediction = load_model(root / "run").predict(exam_of(manifest), [elsewhere])
    assert prediction.breast("R").findings[0].score is None


def test_a_lesion_network_without_its_context_is_refused(place, tmp_path):
    root, *_ = place
    (root / "run" / "checkpoints" / "best").rename(tmp_path / "alone")
    try:
        with pytest.raises(CheckpointError, match="context"):
            load_model(tmp_path / "alone")
    finally:
        (tmp_path / "alone").rename(root / "run" / "checkpoints" / "best")


def test_a_run_that_saw_the_patients_to_be_measured_is_refused(place):
    root, _, _, chain, grid = place
    other = replace(aggregate_recipe(grid).split, seed=1)
    recipe = replace(aggregate_recipe(grid), split=other)
    with pytest.raises(TrainingError, match="patients that"):
        chain(recipe, "leak", Before(start=root / "patch", context=root / "gmic"))


class Stop(Exception):
    """What a kill would be."""


@pytest.mark.parametrize("stage", ["patch", "aggregate"])
def test_a_stage_that_was_stopped_goes_on_with_the_same_losses(place, stage, tmp_path):
    root, manifest, store, _, grid = place
    recipe, before = patch_recipe(), Before()
    if stage == "aggregate":
        recipe = aggregate_recipe(grid)
        before = Before(start=root / "patch", context=root / "gmic")
    recipe = replace(recipe, epochs=2, patience_epochs=None)

    def losses(name, stop_at=None):
        def progress(what, done, _):
            if what == f"training {recipe.name}" and done == stop_at:
                raise Stop

        train_chain(
            recipe,
            manifest,
            store,
            tmp_path / name,
            resume=True,
            machine=Machine(save_every=2),
            cache_bytes=0,
            progress=progress,
            before=before,
        )
        lines = read_log(tmp_path / name)
        steps = [line for line in lines if line["kind"] == "step"]
        return {(line["epoch"], line["step"]): line["loss"] for line in steps}

    whole = losses("whole")
    with pytest.raises(Stop):
        losses("stopped", stop_at=3)
    assert losses("stopped") == whole and len(whole) == 8


def test_training_stops_when_no_epoch_is_better(place):
    _, _, _, chain, _ = place
    recipe = replace(patch_recipe(), epochs=9, optimizer=replace(patch_recipe().optimizer, lr=0.0))
    chain(recipe, "stuck", Before())
    epochs = [line for line in read_log(place[0] / "stuck") if line["kind"] == "epoch"]
    assert [line["best"] for line in epochs] == [True, False]


def test_a_search_draws_rates_by_seed_and_puts_the_best_first(place, tmp_path):
    _, _, _, chain, _ = place
    recipe = patch_recipe()
    rates = learning_rates(recipe, 200)
    assert rates == learning_rates(recipe, 200) != learning_rates(replace(recipe, seed=1), 200)
    logs = [math.log10(rate) for rate in rates]
    assert min(logs) >= -4 and max(logs) <= -2
    assert sum(x < -3 for x in logs) / 200 == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(200))
    trials = search(recipe, 2, tmp_path, lambda r, run: chain(r, run, Before()))
    assert sorted(t.run.name for t in trials) == ["trial-00", "trial-01"]
    values = [best_value(recipe, trial.run) for trial in trials]
    assert values == sorted(values, reverse=True)
    told = json.loads((tmp_path / "search.json").read_text())
    assert told["best"]["run"] == trials[0].run.name
    with pytest.raises(RecipeError, match="range"):
        learning_rates(replace(recipe, optimizer=replace(recipe.optimizer, search=None)), 2)
