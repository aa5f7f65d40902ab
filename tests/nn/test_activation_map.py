"""Heatmaps lie where the network looked."""

import pytest
import torch

from fourview.contract import ModelOutput
from fourview.nn.activation_map import FINER, with_activation_maps
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.predict.network import load_network


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("small", "first"),  # 3 x 3, padded by 1 on both sides
        ("mobilenetv3_small_050", "first"),
        ("tf_mobilenetv3_small_075", "last"),  # padded after, as TensorFlow does
        ("convnext_atto", "middle"),  # patches without padding
    ],
)
def test_an_encoder_says_where_its_cells_look(name, kind):
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(name=name, weights="none"))
    stride = encoder.stride
    assert encoder.first_center == {"first": 0.5, "middle": stride / 2, "last": stride - 0.5}[kind]


def test_where_cells_look_is_not_decided_by_what_was_trained():
    """Filters that all look down: 23 pixels, which was taken for another kind of padding."""
    encoder = Encoder(EncoderConfig(name="small", weights="none"))
    with torch.no_grad():
        for layer in encoder.body:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight[:, :, :2] = 0
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    assert encoder.first_center == 0.5
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


def test_the_model_of_the_package_marks_where_it_was_taught():
    """Its cells were taught by boxes as if they looked at their middles (8 of 16 pixels)."""
    encoder = load_network(None).model.encoder
    assert encoder.first_center == 8.0


@pytest.mark.parametrize(("row", "col"), [(40, 32), (45, 27), (59, 36)])
def test_the_peak_is_at_the_pixel_that_decided(row, col):
    """A network that only averages: its heatmap of one bright dot is centred on the dot."""
    encoder = Encoder(
        EncoderConfig(name="small", weights="none", mean=(0,) * 3, std=(1,) * 3)
    ).eval()
    with torch.no_grad():
        for layer in encoder.body:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.fill_(1 / layer.weight[0].numel())
    dot = torch.zeros(1, 1, 96, 64)
    dot[0, 0, row, col] = 1

    def read(grid):
        logits = grid.mean(dim=(2, 3))[:, :1]
        return logits, ModelOutput(image_scores=torch.ones(1, 1))

    with torch.no_grad():
        features = encoder(dot)
    output = with_activation_maps(
        features, read, stride=encoder.stride, first_center=encoder.first_center
    )
    heat = output.heatmaps[0, 0]
    weights = heat / heat.sum()
    fine = encoder.stride / FINER
    y = float((weights.sum(dim=1) * (torch.arange(len(heat)) + 0.5)).sum() * fine)
    x = float((weights.sum(dim=0) * (torch.arange(heat.shape[1]) + 0.5)).sum() * fine)
    assert (y, x) == (pytest.approx(row + 0.5, abs=0.6), pytest.approx(col + 0.5, abs=0.6))
