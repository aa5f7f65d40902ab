"""Encoders: normalisation is theirs, and weights fit or are refused by name."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from fourview.errors import CheckpointError, RecipeError
from fourview.nn.encoder import Encoder, EncoderConfig, load_encoder_weights


def config(**changes) -> EncoderConfig:
    return EncoderConfig(**{"name": "mobilenetv3_small_050", "weights": "none"} | changes)


def test_pixels_become_three_normalised_channels():
    encoder = Encoder(config(name="small", mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)))
    seen = []
    encoder.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(torch.full((1, 1, 16, 16), 0.6))
    want = torch.tensor([0.5 / 0.5, 0.4 / 1.0, 0.3 / 2.0]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(seen[0], want.expand(1, 3, 16, 16))


def test_a_timm_encoder_says_its_width_and_stride():
    encoder = Encoder(config(name="efficientnet_b0"))
    assert (encoder.dim, encoder.stride) == (1280, 32)  # after the head convolution
    assert encoder(torch.zeros(1, 1, 64, 96)).shape == (1, 1280, 2, 3)


@pytest.mark.parametrize(
    ("name", "stride"),
    [("tf_efficientnet_lite0", 16), ("resnet18", 8), ("mobilenetv3_small_050", 4)],
)
def test_a_network_can_end_at_a_stride(name, stride):
    """Against timm's own features of that stride, with the same weights."""
    torch.manual_seed(0)
    encoder = Encoder(config(name=name, stride=stride, mean=(0.5,) * 3, std=(0.5,) * 3)).eval()
    whole = timm.create_model(name, pretrained=False, features_only=True).eval()
    levels = [level["reduction"] for level in whole.feature_info.info]
    own = encoder.body.network.state_dict()
    taken = {k: own.get(k, v) for k, v in whole.state_dict().items()}
    whole.load_state_dict(taken)
    pixels = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        want = whole((pixels.expand(-1, 3, -1, -1) - 0.5) / 0.5)[levels.index(stride)]
        got = encoder(pixels)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)  # sums in another order
    assert (encoder.dim, encoder.stride) == (want.shape[1], stride)
    left_out = set(whole.state_dict()) - set(own)
    assert left_out and set(own) <= set(whole.state_dict())


@pytest.mark.parametrize(
    ("name", "stride", "message"),
    [
        ("resnet18", 6, "no layer of stride 6; it has 2, 4, 8, 16, 32"),
        ("small", 16, "'small' has stride 8, not 16"),
        ("vit_tiny_patch16_224", 8, "transformer of one stride"),
    ],
)
def test_a_stride_that_a_network_lacks_is_refused(name, stride, message):
    with pytest.raises(RecipeError, match=message):
        Encoder(config(name=name, stride=stride))


def test_a_shortened_network_takes_the_weights_of_the_whole_one(tmp_path):
    source = Encoder(config()).body.network
    torch.save(source.state_dict(), tmp_path / "whole.pt")
    named = enumerate(source.state_dict().items())
    renamed = {f"layer_{i}.{k.rpartition('.')[2]}": v for i, (k, v) in named}
    torch.save(renamed, tmp_path / "other.pt")
    for name in ("whole.pt", "other.pt"):
        target = Encoder(config(weights=str(tmp_path / name), stride=8)).body.network
        for key, value in target.state_dict().items():
            assert torch.equal(value, source.state_dict()[key]), key


def test_weights_come_from_a_file_under_their_own_or_others_names(tmp_path):
    source = Encoder(config()).body.network
    named = enumerate(source.state_dict().items())
    renamed = {f"layer_{i}.{k.rpartition('.')[2]}": v for i, (k, v) in named}
    save_file(source.state_dict(), tmp_path / "own.safetensors")
    torch.save(renamed, tmp_path / "other.pt")
    for name in ("own.safetensors", "other.pt"):
        target = Encoder(config(weights=str(tmp_path / name))).body.network
        for key, value in source.state_dict().items():
            assert torch.equal(target.state_dict()[key], value), key


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="not the weights of this encoder"):
        load_encoder_weights(Encoder(config()).body.network, tmp_path / "w.safetensors")


def test_an_unknown_encoder_is_refused_with_near_names():
    with pytest.raises(RecipeError, match=r"timm has no model 'resnet51'; near ones: .*resnet"):
        Encoder(config(name="resnet51"))


def test_a_transformer_without_a_grid_is_refused():
    with pytest.raises(RecipeError, match="need a grid"):
        Encoder(config(name="xcit_nano_12_p16_224"))


def test_merged_cells_are_means_of_the_networks_own_and_look_at_their_middle():
    torch.manual_seed(0)
    plain, merged = (
        Encoder(EncoderConfig(name="small", weights="none", merge=n)).eval() for n in (1, 2)
    )
    merged.load_state_dict(plain.state_dict())
    pixels = torch.rand(1, 1, 64, 40)
    with torch.no_grad():
        own, grid = plain(pixels)[0], merged(pixels)[0]
    assert merged.stride == 2 * plain.stride
    assert grid.shape == (40, 4, 3)
    for row in range(4):
        for col in range(3):
            cells = own[:, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]  # at the rim fewer
            torch.testing.assert_close(grid[:, row, col], cells.mean(dim=(1, 2)))
    assert merged.first_center == plain.first_center + plain.stride / 2
