"""Several runs read as one, and checkpoints of networks that began with somebody's weights."""

from dataclasses import replace

import polars as pl
import pytest
import torch

import fourview
from factory import drawn_store
from fourview.checkpoint.card import load_checkpoint, save_checkpoint
from fourview.errors import CheckpointError
from fourview.models.find import find_family
from fourview.preprocess.spec import pixel_spec


def checkpoint(folder, name, *, seed=0, config=None):
    family = find_family(name)
    torch.manual_seed(seed)
    save_checkpoint(
        folder,
        family.build(family.tiny_config),
        recipe=f"{name}:{seed}",
        family=name,
        config=config or family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
    )
    return folder


def test_an_ensemble_scores_the_mean_of_its_members(tmp_path):
    manifest, store = drawn_store(tmp_path, num_patients=2)
    runs = [checkpoint(tmp_path / f"run{seed}", "gmic", seed=seed) for seed in range(3)]
    together = fourview.load_model(runs)
    got = together.predict_store(manifest, store)
    alone = [fourview.load_model(run).predict_store(manifest, store) for run in runs]
    keys = [column for column in got.columns if column != "score"]
    for row in got.iter_rows(named=True):
        same = pl.all_horizontal(pl.col(k).eq_missing(pl.lit(row[k])) for k in keys)
        scores = [table.filter(same)["score"].item() for table in alone]
        assert row["score"] == pytest.approx(sum(scores) / 3, abs=1e-12)
        assert len(set(scores)) == 3
    assert together.card.recipe == "gmic:0 + gmic:1 + gmic:2"


def test_models_of_different_tasks_have_no_mean(tmp_path):
    runs = [checkpoint(tmp_path / name, name) for name in ("gmic", "mvccl")]
    with pytest.raises(CheckpointError, match="abnormality, cancer"):
        fourview.load_model(runs)


def test_a_checkpoint_needs_no_weights_but_its_own(tmp_path):
    family = find_family("gmic")
    tiny = family.tiny_config
    begun = replace(tiny, local_network=replace(tiny.local_network, weights="imagenet"))
    model, card, _ = load_checkpoint(checkpoint(tmp_path, "gmic", config=begun))
    assert card.config["local_network"]["weights"] == "imagenet"  # the card says what was
    assert model.config.local_network.weights == "none"
