"""DINOv2 under the names of its publishers, against transformers' own network."""

from functools import reduce

import pytest
import torch
from safetensors.torch import load_file, save_file

from fourview.errors import CheckpointError
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.image_tower import ImageTower, ImageTowerConfig

transformers = pytest.importorskip("transformers", reason="the language extra is not installed")

SIZE, DEPTH = 70, 2  # 5 x 5 patches
NAMES = {"plain": "vit_small_patch14_dinov2", "registers": "vit_small_patch14_reg4_dinov2"}
# float32 products in another order
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def published(kind):
    """transformers' network with random weights, none of them at its start value."""
    settings = {
        "hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": DEPTH,
        "image_size": SIZE, "patch_size": 14,
    }  # fmt: skip
    torch.manual_seed(0)
    if kind == "registers":
        config = transformers.Dinov2WithRegistersConfig(**settings, num_register_tokens=4)
        network = transformers.Dinov2WithRegistersModel(config)
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**settings))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn_like(weight) * 0.05 + (weight.ndim == 1) * 0.5)
    return network.eval()


def as_meta(state):
    """The same under the names of Meta's own files, written out here."""
    words = {
        "embeddings.patch_embeddings.projection": "patch_embed.proj", "layernorm.": "norm.",
        "embeddings.position_embeddings": "pos_embed", "embeddings.": "", ".lambda1": ".gamma",
        "encoder.layer.": "blocks.", "layer_scale": "ls", "attention.output.dense": "attn.proj",
    }  # fmt: skip
    weights = {}
    for name, value in state.items():
        weights[reduce(lambda text, pair: text.replace(*pair), words.items(), name)] = value
    for block in range(DEPTH):
        for kind in ("weight", "bias"):
            at = f"blocks.{block}.attention.attention."
            three = [weights.pop(f"{at}{part}.{kind}") for part in ("query", "key", "value")]
            weights[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(three)
    return weights


def saved(folder, network, form):
    """A file or folder as a publisher has it."""
    if form == "folder":
        network.save_pretrained(folder)
        return folder
    if form == "meta":
        network.save_pretrained(folder)  # which has the hub's names
        state = load_file(folder / "model.safetensors")
        torch.save(as_meta(state), folder / "dinov2_vits14_pretrain.pth")
        return folder / "dinov2_vits14_pretrain.pth"
    in_memory = {f"dinov2.{k}": v.contiguous() for k, v in network.state_dict().items()}
    save_file(in_memory, folder / "w.safetensors")
    return folder / "w.safetensors"


def tower_of(path, kind, size=SIZE, **settings):
    return ImageTower(
        ImageTowerConfig(
            name=NAMES[kind], weights=str(path), size=(size, size), depth=DEPTH, pooled="cls",
            mean=(0.0,) * 3, std=(1.0,) * 3, **settings,
        )
    ).eval()  # fmt: skip


@pytest.mark.parametrize("form", ["folder", "meta", "prefixed"])
@pytest.mark.parametrize("kind", NAMES)
def test_tokens_are_those_of_the_published_network(tmp_path, kind, form):
    network = published(kind)
    tower = tower_of(saved(tmp_path, network, form), kind)
    pixels = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        want = network(pixels.expand(-1, 3, -1, -1)).last_hidden_state
        got = tower(pixels)
    torch.testing.assert_close(got.pooled, want[:, 0], **CLOSE)
    torch.testing.assert_close(got.tokens, want[:, -25:], **CLOSE)


@pytest.mark.parametrize("kind", NAMES)
def test_positions_are_interpolated_for_another_size(tmp_path, kind):
    """Larger than the table of positions, where no smoothing makes a difference."""
    network = published(kind)
    pixels = torch.rand(1, 1, 98, 98)
    tower = tower_of(saved(tmp_path, network, "folder"), kind, size=98)
    with torch.no_grad():
        want = network(pixels.expand(-1, 3, -1, -1)).last_hidden_state
        got = tower(pixels)
    assert got.grid == (7, 7)
    torch.testing.assert_close(got.tokens, want[:, -49:], rtol=1e-2, atol=1e-2)


def test_registers_where_none_are_wanted_are_refused_by_name(tmp_path):
    path = saved(tmp_path, published("registers"), "folder")
    with pytest.raises(CheckpointError, match=r"has 4 registers, the network 0; .*reg4_dinov2"):
        tower_of(path, "plain")
    with pytest.raises(CheckpointError, match="holds none of"):
        tower_of(tmp_path / "..", "plain")


def test_a_frozen_tower_keeps_its_weights_and_trains_what_is_after_it(tmp_path):
    path = saved(tmp_path, published("registers"), "meta")
    tower = tower_of(path, "registers", frozen=True).train()
    assert not tower.training and not any(p.requires_grad for p in tower.parameters())
    head = torch.nn.Linear(tower.dim, 2)
    head(tower(torch.rand(1, 1, SIZE, SIZE)).pooled).sum().backward()
    assert head.weight.grad is not None
    assert tower_of(path, "registers").train().training


def test_an_encoder_of_another_family_begins_with_it_too(tmp_path):
    network = published("registers")
    # a whole network has twelve blocks: two are not enough, and that is said
    with pytest.raises(CheckpointError, match="missing for example blocks"):
        Encoder(
            EncoderConfig(name=NAMES["registers"], weights=str(saved(tmp_path, network, "meta")))
        )
