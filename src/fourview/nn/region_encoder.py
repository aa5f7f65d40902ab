"""From square patches of an image to one code each: VGG-M-128, or any encoder pooled."""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.errors import RecipeError
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.vgg_m import NAME as VGG_M
from fourview.nn.vgg_m import vgg_m_128

PROBE = 64  # pixels on a side of the patch that tells how long a code is


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEncoderConfig:
    """What makes a code of a patch.

    Attributes:
        network: ``vgg_m_128``, whose code is fc7 after the ReLU and whose patches are 224 pixels
            wide, as in Cls-Det-RS; or any encoder of ``nn.encoder``, for patches of any size.
        level: Take the features of a timm network at this place of its ``feature_info`` and leave
            off the rest; None goes through all of it. Earlier ones see smaller things and cost
            less.
        pool: What becomes of an encoder's grid: its mean, or its mean and its maximum.
    """

    network: EncoderConfig = field(default_factory=lambda: EncoderConfig(name=VGG_M))
    level: int | None = None
    pool: Literal["mean", "mean_max"] = "mean"


class RegionEncoder(nn.Module):
    """Processed pixels of patches to codes of ``dim`` numbers each."""

    def __init__(self, config: RegionEncoderConfig) -> None:
        super().__init__()
        self.pool = config.pool
        self.body: nn.Module
        self.is_grid = config.network.name != VGG_M
        if not self.is_grid:
            self.body = vgg = vgg_m_128(config.network.weights)
            self.dim = vgg.dim
            return
        self.body = encoder = Encoder(config.network)
        if config.level is not None:
            _cut(encoder, config.level)
        was_training = self.training
        with torch.no_grad():
            self.dim = int(self.eval()(torch.zeros(1, 1, PROBE, PROBE)).shape[1])
        self.train(was_training)

    def forward(self, pixels: Float[Tensor, "region 1 row col"]) -> Float[Tensor, "region dim"]:
        """One code per patch, from pixels in [0, 1]."""
        features = cast("Tensor", self.body(pixels))
        if not self.is_grid:
            return features
        mean = features.mean(dim=(2, 3))
        return mean if self.pool == "mean" else torch.cat([mean, features.amax(dim=(2, 3))], dim=1)


def frozen_region_encoder(config: RegionEncoderConfig) -> RegionEncoder:
    """The encoder, frozen; random weights are the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = RegionEncoder(config)
    return encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _cut(encoder: Encoder, level: int) -> None:
    """Leave off what comes after one level of a timm network."""
    network: Any = getattr(encoder.body, "network", None)
    if network is None or not hasattr(network, "prune_intermediate_layers"):
        raise RecipeError(
            f"encoder.level={level}: this network has no levels; take a timm one, or level=none"
        )
    last = len(network.feature_info) - 1
    if not 0 <= level <= last:
        raise RecipeError(f"encoder.level={level}: need 0 to {last}")
    network.prune_intermediate_layers([level])
