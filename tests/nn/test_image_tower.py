"""Image towers: grids without class and register tokens, in the order of the image."""

from dataclasses import replace

import pytest
import timm
import torch

from fourview.errors import RecipeError
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.image_tower import ImageTower, ImageTowerConfig

VIT = ImageTowerConfig(
    name="vit_tiny_patch16_224", weights="none", size=(64, 64), depth=1, mean=(0.5,) * 3
)
REGISTERS = replace(VIT, name="vit_small_patch14_reg4_dinov2", size=(56, 56))
# float32 products over other shapes
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def built(config):
    torch.manual_seed(0)
    return ImageTower(config).eval()


def pixels(rows, cols, images=2):
    return torch.rand(images, 1, rows, cols, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("config", "prefix"), [(VIT, 1), (REGISTERS, 5)], ids=["class", "class and registers"]
)
def test_tokens_and_features_are_those_of_timm_without_class_and_registers(config, prefix):
    image = pixels(*config.size)
    towers = {how: built(replace(config, pooled=how)) for how in ("mean", "cls", "all")}
    network = towers["mean"].body.network
    with torch.no_grad():
        got = {how: tower(image) for how, tower in towers.items()}
        data = timm.data.resolve_data_config({}, model=timm.create_model(config.name))
        mean, std = (torch.tensor(k)[:, None, None] for k in (config.mean, data["std"]))
        rgb = (image - mean) / std
        before = network.forward_features(rgb)
        after = towers["mean"].body.norm(before)
    side = config.size[0] // towers["mean"].stride
    assert got["mean"].grid == (side, side)
    assert before.shape[1] == prefix + side * side
    torch.testing.assert_close(got["mean"].tokens, after[:, prefix:], **CLOSE)
    torch.testing.assert_close(got["mean"].pooled, after[:, prefix:].mean(dim=1), **CLOSE)
    torch.testing.assert_close(got["cls"].pooled, after[:, 0], **CLOSE)
    torch.testing.assert_close(got["all"].pooled, before.mean(dim=1), **CLOSE)


def as_grid(features):
    """The tokens where they lie: row by row."""
    images, _, dim = features.tokens.shape
    return features.tokens.reshape(images, *features.grid, dim).permute(0, 3, 1, 2)


@pytest.mark.parametrize("config", [VIT, REGISTERS], ids=["class", "registers"])
def test_a_token_lies_where_its_pixels_do(config):
    """Without blocks a token is its patch alone: a bright patch moves one token, in its place."""
    tower = built(replace(config, depth=0))
    step = tower.stride
    dark = torch.zeros(1, 1, 3 * step, 4 * step)
    lit = dark.clone()
    lit[:, :, step : 2 * step, 3 * step :] = 1
    with torch.no_grad():
        moved = (as_grid(tower(lit)) - as_grid(tower(dark))).abs().sum(dim=1)[0]
    assert moved.shape == (3, 4)
    assert moved[1, 3] > 0 and moved.sum() == moved[1, 3]


def test_images_of_other_sizes_are_padded_to_whole_patches():
    assert built(REGISTERS)(pixels(57, 40)).grid == (5, 3)


def test_cells_of_a_convolutional_network_are_the_tokens():
    tower = built(ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)))
    output = tower(pixels(64, 32))
    grid = tower.body(pixels(64, 32))
    assert output.grid == (8, 4) and tower.has_batch_norm
    torch.testing.assert_close(as_grid(output), grid)
    torch.testing.assert_close(output.pooled, grid.mean(dim=(2, 3)))


def test_a_convolutional_network_has_no_class_token():
    with pytest.raises(RecipeError, match="no class token"):
        ImageTower(ImageTowerConfig(name="small", weights="none", pooled="cls"))


def test_a_transformer_is_random_throughout_where_nothing_is_loaded():
    """Random-ViT: no weight of two seeds is alike, but for norms, biases and scales of layers."""
    torch.manual_seed(0)
    one = dict(ImageTower(REGISTERS).named_parameters())
    other = dict(ImageTower(REGISTERS).named_parameters())
    alike = {n for n in one if torch.equal(one[n], other[n])}
    assert all(n.endswith(("bias", "gamma")) or "norm" in n for n in alike)


def test_a_transformer_serves_as_the_grid_of_a_two_view_head():
    encoder = Encoder(EncoderConfig(name="vit_tiny_patch16_224", weights="none")).eval()
    with torch.no_grad():
        grid = encoder(pixels(64, 32))
    assert grid.shape == (2, encoder.dim, 4, 2)
    assert (encoder.stride, encoder.first_center) == (16, 8.0)
