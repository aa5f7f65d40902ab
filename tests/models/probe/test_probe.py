"""Probes: what is trained, how images become a breast, and terms that travel."""

import json
from dataclasses import replace

import polars as pl
import pytest
import torch

from factory import drawn_store, exam_batch
from fourview.checkpoint.card import load_checkpoint, read_card, save_checkpoint
from fourview.contract import ExamBatch
from fourview.feeds.augment import NO_AUGMENTATION
from fourview.models.probe.model import TINY, Probe
from fourview.models.probe.objective import (
    FineTuneObjective,
    LinearObjective,
    ProbeObjectiveConfig,
)
from fourview.preprocess.spec import pixel_spec
from fourview.study.find_recipe import find_recipe
from fourview.study.start import starting_from
from fourview.train.run import train


def stepped(objective, batch):
    objective.train()
    optimizer = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
    before = {k: v.clone() for k, v in objective.model.state_dict().items()}
    objective(batch).total.backward()
    optimizer.step()
    after = objective.model.state_dict()
    return {k for k in before if not torch.equal(before[k], after[k])}


def test_a_linear_probe_moves_its_head_alone_and_no_statistics():
    torch.manual_seed(0)
    batch = exam_batch("0123", "02")
    moved = stepped(LinearObjective(Probe(TINY), ProbeObjectiveConfig()), batch)
    assert moved == {"head.weight", "head.bias"}
    moved = stepped(FineTuneObjective(Probe(TINY), ProbeObjectiveConfig()), batch)
    assert any("running_mean" in name for name in moved)
    assert any(name.startswith("image_tower") and name.endswith("weight") for name in moved)


@pytest.mark.parametrize("how", ["score", "logit", "max"])
def test_a_breast_is_the_average_of_all_its_images(how):
    torch.manual_seed(0)
    model = Probe(replace(TINY, task="density", average=how)).eval()
    batch: ExamBatch = exam_batch("00213", "1", labels=("density",))
    with torch.no_grad():
        output = model(batch)
    for exam in range(2):
        for side in range(2):
            own = [
                i
                for i in range(batch.num_images)
                if batch.exam[i] == exam and batch.slot[i] % 2 == side
            ]
            got = output.breast_scores[exam, side]
            if not own:
                assert got.isnan().all()
            elif how == "score":
                torch.testing.assert_close(got, output.logits[own].softmax(1).mean(0))
            elif how == "logit":
                torch.testing.assert_close(got, output.logits[own].mean(0).softmax(0))
            else:
                torch.testing.assert_close(got, output.logits[own].softmax(1).amax(0))


def test_the_asymmetric_loss_needs_several_classes():
    with pytest.raises(ValueError, match="several classes"):
        LinearObjective(Probe(TINY), ProbeObjectiveConfig(loss="asymmetric"))


def test_a_probe_starts_from_a_run_takes_its_tower_and_keeps_its_terms(tmp_path):
    manifest, store = drawn_store(tmp_path / "data", num_patients=10)
    exams = manifest.exams.with_columns(
        split=pl.Series(["train"] * 6 + ["validation"] * 2 + ["test"] * 2)
    )
    manifest = replace(manifest, exams=exams)
    torch.manual_seed(0)
    pretrained = Probe(replace(TINY, image=replace(TINY.image, mean=(0.3, 0.3, 0.3))))
    save_checkpoint(
        tmp_path / "start",
        pretrained,
        recipe="clip:small",
        family="probe",
        config=replace(TINY, image=replace(TINY.image, mean=(0.3, 0.3, 0.3))),
        spec=pixel_spec("mvccl-192x96"),
        terms="not to be passed on",
        may_release=False,
    )
    recipe = starting_from(find_recipe("probe:linear"), tmp_path / "start")
    assert recipe.model.image.mean == (0.3, 0.3, 0.3)
    assert (recipe.pixel_spec, recipe.starts_from) == ("mvccl-192x96", "clip:small")
    recipe = replace(
        recipe,
        model=replace(recipe.model, task="cancer"),
        feed=replace(recipe.feed, draws=8),
        batch=4,
        epochs=None,
        steps=1,
        precision="float32",
        augment=NO_AUGMENTATION,
    )
    best = train(recipe, manifest, store, tmp_path / "run", start=tmp_path / "start")
    model, card, _ = load_checkpoint(best)
    for name, value in pretrained.image_tower.state_dict().items():
        assert torch.equal(value, model.image_tower.state_dict()[name]), name
    assert card.terms == "made by a test; not to be passed on"
    assert card.may_release is False and read_card(best) == card
    scores = pl.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert set(scores["unit"]) == {"image", "breast"}
    assert json.loads((tmp_path / "run" / "operating_points.json").read_text())
