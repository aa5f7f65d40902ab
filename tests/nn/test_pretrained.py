"""The figures that inputs are normalised with, and which weights there are."""

import pytest
import timm
import torch

from fourview.errors import RecipeError
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.image_tower import ImageTower, ImageTowerConfig
from fourview.nn.pretrained import IMAGENET_MEAN


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnetv2_50x1_bit", "mobilenetv3_small_050"])
def test_an_encoder_normalises_as_timm_does_for_its_weights(name):
    data = timm.data.resolve_data_config({}, model=timm.create_model(name))
    encoder = Encoder(EncoderConfig(name=name, weights="none"))
    assert encoder.mean.flatten().tolist() == pytest.approx(data["mean"])
    assert encoder.std.flatten().tolist() == pytest.approx(data["std"])


def test_figures_that_are_given_stay():
    encoder = Encoder(EncoderConfig(name="resnetv2_50x1_bit", weights="none", mean=(0.1, 0.2, 0.3)))
    assert encoder.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert encoder.std.flatten().tolist() == pytest.approx([0.5] * 3)


def test_a_tower_does_too_and_our_own_network_keeps_imagenets():
    tower = ImageTower(ImageTowerConfig(name="vit_tiny_patch16_224", weights="none"))
    assert tower.body.mean.flatten().tolist() == pytest.approx([0.5] * 3)  # augreg's
    small = Encoder(EncoderConfig(name="small", weights="none"))
    assert torch.allclose(small.mean.flatten(), torch.tensor(IMAGENET_MEAN))


@pytest.mark.parametrize(
    ("name", "weights", "wrong"),
    [
        ("efficientnet_b0", "ra_in2k", "weights 'ra_in2k' of 'efficientnet_b0' are no file"),
        ("efficientnet_b0.ra_in2k", "imagenet", "timm has no weights 'ra_in2k'"),
    ],
)
def test_weights_that_there_are_not_are_refused_with_those_that_there_are(name, weights, wrong):
    with pytest.raises(RecipeError, match=rf"{wrong}.*efficientnet_b0\.TAG', of .*ra_in1k"):
        Encoder(EncoderConfig(name=name, weights=weights))
