"""A checkpoint beside a frozen pretrained tower holds what was trained, and names the rest."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from factory import drawn_store
from fourview.checkpoint.card import load_checkpoint, read_card, save_checkpoint
from fourview.checkpoint.named_weights import named_weights
from fourview.cli.export import export
from fourview.errors import CheckpointError
from fourview.models.find import find_family
from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.lora import LoraConfig
from fourview.nn.text_folder import ALLOWED
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.tokenizer import TokenizerConfig
from fourview.preprocess.spec import pixel_spec
from fourview.train.run import train
from text_models import make_bert, make_biomedlm
from tiny_recipes import contrast

pytest.importorskip("transformers", reason="the language extra is not installed")
pytest.importorskip("peft", reason="the language extra is not installed")

TINY = find_family("clip").tiny_config


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The folder with text models that cards may name."""
    make_bert(tmp_path / "models" / "bert")
    monkeypatch.setenv(ALLOWED, str(tmp_path / "models"))
    return tmp_path / "models"


def config(**changes):
    text = TextTowerConfig(name="bert", weights="pretrained", lora=LoraConfig(rank=2, alpha=2))
    return replace(TINY, text=text, dim=8, **changes)


def saved(folder, asked, parts=("text", "image")):
    torch.manual_seed(0)
    model = find_family("clip").build(asked)
    for name, weight in model.named_parameters():  # as training leaves them
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    save_checkpoint(
        folder, model, recipe="clip:tiny", family="clip", config=asked,
        spec=pixel_spec("mvccl-192x96"), frozen=named_weights(model, parts),
    )  # fmt: skip
    return model.eval()


def assert_same(model, other):
    one, two = model.state_dict(), other.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.usefixtures("models")
def test_a_frozen_text_tower_is_named_and_read_again(tmp_path):
    model = saved(tmp_path / "run", config())
    held = load_file(tmp_path / "run" / "model.safetensors")
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    of_text = {name for name in frozen if name.startswith("text_tower.")}
    assert len(of_text) > 20 and set(held) == set(model.state_dict()) - of_text
    assert any("lora_A" in name for name in held)
    loaded, card, _ = load_checkpoint(tmp_path / "run")
    assert_same(model, loaded)
    assert [each.part for each in card.frozen] == ["text"]


def test_a_checkpoint_without_names_is_read_as_before(models, tmp_path):
    model = saved(tmp_path / "run", config(), parts=())
    card = json.loads((tmp_path / "run" / "model.json").read_text())
    del card["frozen"]  # as cards were before there were any
    (tmp_path / "run" / "model.json").write_text(json.dumps(card))
    (models / "bert" / "model.safetensors").unlink()  # nobody needs it
    assert_same(model, load_checkpoint(tmp_path / "run")[0])


def test_missing_and_other_frozen_weights_are_said_in_one_line(models, tmp_path):
    saved(tmp_path / "run", config())
    weights = models / "bert" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("query.weight"))
    save_file({**tensors, name: tensors[name] + 1e-6}, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"text tower has digest .* have another") as told:
        load_checkpoint(tmp_path / "run")
    assert "\n" not in str(told.value)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"text tower is missing .* --whole") as told:
        load_checkpoint(tmp_path / "run")
    assert "\n" not in str(told.value)
    shutil.rmtree(models / "bert")
    with pytest.raises(CheckpointError, match=f"text.name names 'bert'.*set {ALLOWED}"):
        load_checkpoint(tmp_path / "run", own=False)


def test_a_whole_copy_needs_no_other_weights(models, tmp_path, capsys):
    model = saved(tmp_path / "run", config())
    thresholds = {
        "thresholds": {},
        "chosen_on": {"model_digest": read_card(tmp_path / "run").digest},
    }
    (tmp_path / "run" / "operating_points.json").write_text(json.dumps(thresholds))
    export(tmp_path / "run", out=tmp_path / "part")
    assert "without the frozen text tower" in capsys.readouterr().out
    export(tmp_path / "run", out=tmp_path / "copy", whole=True)
    assert "without" not in capsys.readouterr().out
    (models / "bert" / "model.safetensors").unlink()
    loaded, card, _ = load_checkpoint(tmp_path / "copy")
    assert_same(model, loaded)
    assert card.frozen == () and read_card(tmp_path / "part").frozen
    told = json.loads((tmp_path / "copy" / "operating_points.json").read_text())
    assert told["chosen_on"]["model_digest"] == card.digest


@pytest.mark.usefixtures("models")
def test_weights_rounded_in_training_are_rounded_again(tmp_path):
    torch.manual_seed(0)
    model = find_family("clip").build(config())
    for weight in model.parameters():
        if not weight.requires_grad and weight.ndim > 1:
            weight.data = weight.data.bfloat16()
    save_checkpoint(
        tmp_path / "run", model, recipe="clip:tiny", family="clip", config=config(),
        spec=pixel_spec("mvccl-192x96"), frozen=named_weights(model, ("text",)),
    )  # fmt: skip
    assert_same(model.float(), load_checkpoint(tmp_path / "run")[0])


def test_an_image_tower_is_named_where_a_card_may_name_its_file(models, tmp_path):
    vit = ImageTowerConfig(name="vit_tiny_patch16_224", weights="none", size=(32, 32), depth=1)
    network = find_family("clip").build(config(image=vit)).image_tower.body
    state = {
        **network.network.state_dict(),
        **{f"norm.{k}": v for k, v in network.norm.state_dict().items()},
    }
    save_file(state, tmp_path / "vit.safetensors")
    outside = replace(vit, weights=str(tmp_path / "vit.safetensors"), frozen=True)
    saved(tmp_path / "held", config(image=outside))
    assert [each.part for each in read_card(tmp_path / "held").frozen] == ["text"]
    shutil.move(tmp_path / "vit.safetensors", models / "vit.safetensors")
    inside = replace(vit, weights=str(models / "vit.safetensors"), frozen=True, size=(48, 32))
    model = saved(tmp_path / "named", config(image=inside))
    held = [n for n in load_file(tmp_path / "named" / "model.safetensors") if "image_tower" in n]
    assert held == ["image_tower.body.network.pos_embed"]  # interpolated, so not the file's
    assert_same(model, load_checkpoint(tmp_path / "named")[0])
    (models / "vit.safetensors").unlink()
    with pytest.raises(CheckpointError, match="image tower is missing"):
        load_checkpoint(tmp_path / "named")


@pytest.mark.usefixtures("models")
def test_a_card_that_names_what_nothing_gives_is_refused(tmp_path):
    saved(tmp_path / "run", config())
    path = tmp_path / "run" / "model.json"
    card = json.loads(path.read_text())
    path.write_text(
        json.dumps({**card, "frozen": [*card["frozen"], {"part": "image", "digest": "0" * 64}]})
    )
    with pytest.raises(CheckpointError, match=r"image tower is missing \(there is no none"):
        load_checkpoint(tmp_path / "run")


def test_the_best_checkpoint_of_a_run_holds_what_is_trained(models, tmp_path):
    manifest, store = drawn_store(tmp_path / "drawn", num_patients=16)
    feed = replace(contrast().feed, tokenizer=TokenizerConfig(max_tokens=64))
    recipe = replace(contrast(), model=config(), feed=feed, epochs=None, steps=1)
    best = train(recipe, manifest, store, tmp_path / "run")
    assert [each.part for each in read_card(best).frozen] == ["text"]
    names = load_file(best / "model.safetensors")
    assert not any("base_layer" in name for name in names)
    later = train(recipe, manifest, store, tmp_path / "later", start=best)
    assert [each.part for each in read_card(later).frozen] == ["text"]  # still its folder's
    other = make_bert(models / "other")
    weights = load_file(other / "model.safetensors")
    save_file(
        {k: v + 1 for k, v in weights.items()},
        other / "model.safetensors",
        metadata={"format": "pt"},
    )
    moved = replace(recipe, model=replace(config(), text=replace(config().text, name="other")))
    third = train(moved, manifest, store, tmp_path / "third", start=best)
    assert read_card(third).frozen == ()  # its tower is the first run's, not that of its folder
    loaded, first = load_checkpoint(third)[0].state_dict(), load_checkpoint(best)[0].state_dict()
    frozen = [name for name in first if "base_layer" in name]
    assert frozen and all(torch.equal(loaded[name], first[name]) for name in frozen)


def test_a_decoder_keeps_its_words_and_trains_those_that_it_lacked(models, tmp_path):
    make_biomedlm(models / "BioMedLM")
    text = TextTowerConfig(
        name="BioMedLM", weights="pretrained", kind="decoder", lora=LoraConfig(rank=2)
    )
    model = saved(tmp_path / "run", replace(config(), text=text))
    held = {
        n for n in load_file(tmp_path / "run" / "model.safetensors") if n.startswith("text_tower.")
    }
    assert {n.rpartition("lora_")[2][:1] for n in held} == {"A", "B", "t"}  # the last: added words
    assert_same(model, load_checkpoint(tmp_path / "run")[0])
