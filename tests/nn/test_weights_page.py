"""The commands of docs/weights.md, with random weights under the real names."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fourview.nn.image_tower import ImageTower
from fourview.nn.text_folder import ALLOWED
from fourview.nn.text_tower import TextTower
from fourview.nn.tokenizer import Tokenizer
from fourview.study.find_recipe import find_recipe
from fourview.train.recipe import override
from fourview.train.tokens import with_own_tokenizer
from text_models import make_bio_clinical_bert, make_biomedlm, make_cxr_bert

transformers = pytest.importorskip("transformers", reason="the language extra is not installed")
pytest.importorskip("peft", reason="the language extra is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "weights.md"
COMMANDS = re.findall(r"^\$ (fourview train .*)$", PAGE.read_text(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder as the page has it; DINOv2 with one of its blocks, at the size of its table."""
    root = tmp_path_factory.mktemp("models")
    make_bio_clinical_bert(root / "Bio_ClinicalBERT")
    make_biomedlm(root / "BioMedLM")
    make_cxr_bert(root / "BiomedVLP-CXR-BERT-specialized")
    settings = {"num_hidden_layers": 1, "image_size": 518, "patch_size": 14}  # of the base size
    torch.manual_seed(0)
    for kind, name in (
        ("Dinov2", "dinov2-base"),
        ("Dinov2WithRegisters", "dinov2-with-registers-base"),
    ):
        config = getattr(transformers, f"{kind}Config")(**settings)
        network = getattr(transformers, f"{kind}Model")(config)
        network.save_pretrained(root / name)
    torch.save(meta_names(network.state_dict()), root / "dinov2_vitb14_reg4_pretrain.pth")
    (root / "w").mkdir()
    save_file({"unused": torch.zeros(1)}, root / "w" / "x.safetensors")
    return root


def meta_names(state):
    """Of the one block of transformers' network in memory."""
    at, own = "encoder.layer.0.", "blocks.0."
    qkv = {
        f"{own}attn.qkv.{kind}": torch.cat([state[f"{at}attention.{p}_proj.{kind}"] for p in "qkv"])
        for kind in ("weight", "bias")
    }
    words = {
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "embeddings.position_embeddings": "pos_embed", "embeddings.": "", "layernorm": "norm",
        at: own, "attention.o_proj": "attn.proj", "layer_scale": "ls", "lambda1": "gamma",
    }  # fmt: skip
    names = {}
    for name, value in state.items():
        if "attention.q_" in name or "attention.k_" in name or "attention.v_" in name:
            continue
        told = name
        for word, other in words.items():
            told = told.replace(word, other)
        names[told] = value
    return names | qkv


def test_the_page_has_commands_for_every_model_that_it_names():
    text = "\n".join(COMMANDS)
    assert len(COMMANDS) == 9
    for part in (
        "mama:paper",
        "mama:bert",
        "CXR-BERT",
        "dinov2-base",
        "frozen=true",
        "reg4_pretrain",
    ):
        assert part in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_builds_its_towers(models, monkeypatch, command):
    monkeypatch.setenv(ALLOWED, str(models))
    words = shlex.split(command.replace("/models", str(models)))
    sets = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    recipe = with_own_tokenizer(override(find_recipe(words[2]), sets))
    size = recipe.model.image.size
    image = ImageTower(replace(recipe.model.image, depth=1))
    assert image.body.network.pos_embed.shape[1] in {n + p for n in (1369, 54 * 27) for p in (0, 1)}
    # one image of the smallest size that it reads: the towers are whole, not their work
    features = image(torch.rand(1, 1, 28, 28))
    assert features.tokens.shape == (1, 4, 768)
    assert features.tokens.requires_grad != recipe.model.image.frozen
    text = TextTower(recipe.model.text)
    tokens = Tokenizer(replace(recipe.feed.tokenizer, max_tokens=40)).batch(
        [("no mass", "benign")], [0]
    )
    assert text(tokens).pooled.shape == (1, 16)
    assert size in ((518, 518), (756, 378))


def test_the_weights_of_the_folders_are_those_that_are_read(models, monkeypatch):
    monkeypatch.setenv(ALLOWED, str(models))
    for name, prefix in (("Bio_ClinicalBERT", "bert."), ("BiomedVLP-CXR-BERT-specialized", "bert."),
                         ("BioMedLM", "transformer.")):  # fmt: skip
        config = find_recipe("mama:paper" if name == "BioMedLM" else "mama:bert").model.text
        tower = TextTower(replace(config, name=name, lora=replace(config.lora, rank=0)))
        stored = torch.load(models / name / "pytorch_model.bin", weights_only=True)
        for key, value in tower.network.model.state_dict().items():
            if not key.endswith("position_ids"):
                assert torch.equal(value, stored[prefix + key]), (name, key)
