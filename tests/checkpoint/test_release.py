"""Weights are passed on only as the terms of their data allow."""

import json
from dataclasses import replace

import pytest
import torch

from fourview.checkpoint.card import load_checkpoint, save_checkpoint
from fourview.checkpoint.release import export_checkpoint
from fourview.errors import CheckpointError
from fourview.models.find import find_family
from fourview.preprocess.spec import pixel_spec


def saved(folder, *, may_release):
    family = find_family("single_view")
    torch.manual_seed(0)
    save_checkpoint(
        folder / "checkpoints" / "best",
        family.build(family.tiny_config),
        recipe="single_view:tiny",
        family="single_view",
        config=family.tiny_config,
        spec=pixel_spec("mvccl-192x96"),
        terms="no redistribution",
        may_release=may_release,
    )
    (folder / "split.json").write_text('{"train": ["patient-1"]}')
    return folder


def test_what_may_be_passed_on_is_copied_without_anything_of_the_data(tmp_path):
    run = saved(tmp_path / "run", may_release=True)
    export_checkpoint(run, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"model.json", "model.safetensors"}
    one, other = (
        load_checkpoint(f)[0].state_dict() for f in (run / "checkpoints/best", tmp_path / "out")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_where_weights_lay_that_training_began_with_is_not_told(tmp_path):
    run = saved(tmp_path / "run", may_release=True)
    path = run / "checkpoints" / "best" / "model.json"
    card = json.loads(path.read_text())
    card["config"]["encoder"]["weights"] = "/home/somebody/weights/lite0.pth"
    path.write_text(json.dumps(card))
    export_checkpoint(run, tmp_path / "out")
    told = (tmp_path / "out" / "model.json").read_text()
    assert json.loads(told)["config"]["encoder"]["weights"] == "lite0.pth"
    assert "somebody" not in told
    assert load_checkpoint(tmp_path / "out")[1].digest == card["digest"]


@pytest.mark.parametrize("permission", ["", "  "])
def test_what_must_not_be_is_refused_with_its_terms(tmp_path, permission):
    run = saved(tmp_path / "run", may_release=False)
    with pytest.raises(CheckpointError, match=r"must not be passed on \(no redistribution\)"):
        export_checkpoint(run, tmp_path / "out", permission=permission)
    assert not (tmp_path / "out").exists()


def test_a_permission_is_written_beside_and_does_not_lift_the_terms(tmp_path):
    run = saved(tmp_path / "run", may_release=False)
    card = export_checkpoint(run, tmp_path / "out", permission="contract 12")
    assert load_checkpoint(tmp_path / "out")[1] == replace(card, may_release=False)
    told = json.loads((tmp_path / "out" / "permission.json").read_text())
    assert told == {"permission": "contract 12", "terms": "no redistribution", "licence": ""}
    with pytest.raises(CheckpointError, match="not empty"):
        export_checkpoint(run, tmp_path / "out", permission="contract 12")
