"""The ordinary ResNet with two-layer blocks (18 and 34), as a body without a classifier.

He et al. 2016 (CVPR). Tensors have torchvision's names, so that its weights load by name; widths
and strides are free, since published classifiers use variants that no package has.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from fourview.errors import CheckpointError
from fourview.nn.encoder import load_encoder_weights

LAYER = "layer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetConfig:
    """Defaults are ResNet-18.

    Attributes:
        depths: Blocks of the four stages.
        widths: Their channels.
        strides: Of their first blocks.
        weights: ``none`` (random), ``imagenet`` (fetched or from the local cache), or the path of a
            file with torchvision's names.
    """

    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    weights: str = "none"


class ResNetV1(nn.Module):
    """See the module docstring; ``dim`` channels, three input channels."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        first = config.widths[0]
        self.conv1 = nn.Conv2d(3, first, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        plan = zip(pairwise((first, *config.widths)), config.depths, config.strides, strict=True)
        for number, ((before, width), depth, stride) in enumerate(plan, start=1):
            blocks = [_Block(before, width, stride)]
            blocks += [_Block(width, width, 1) for _ in range(depth - 1)]
            self.add_module(f"{LAYER}{number}", nn.Sequential(*blocks))
        self.dim = config.widths[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if config.weights == "imagenet":
            _load_imagenet(self, config)
        elif config.weights != "none":
            load_encoder_weights(self, Path(config.weights))

    def forward(
        self, rgb: Float[Tensor, "image 3 row col"]
    ) -> Float[Tensor, "image dim grid_row grid_col"]:
        """The last stage's features."""
        features = max_pool2d(relu(self.bn1(self.conv1(rgb))), 3, stride=2, padding=1)
        for name, stage in self.named_children():
            if name.startswith(LAYER):
                features = stage(features)
        return features


class _Block(nn.Module):
    """Convolution, norm, ReLU, convolution, norm; then the shortcut is added, and ReLU."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(
        self, features: Float[Tensor, "image before row col"]
    ) -> Float[Tensor, "image width row_out col_out"]:
        """One step of the residual network."""
        skipped = features if self.downsample is None else self.downsample(features)
        out = self.bn2(self.conv2(relu(self.bn1(self.conv1(features)))))
        return relu(out + skipped)


def _load_imagenet(network: ResNetV1, config: ResNetConfig) -> None:
    names: dict[Any, str] = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}
    name = names.get(config.depths)
    if name is None or config.widths != ResNetConfig().widths:
        raise CheckpointError(
            f"there are no ImageNet weights for depths {config.depths} and widths {config.widths};"
            " set weights to none"
        )
    import timm

    try:
        state = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:  # no network, no cache
        raise CheckpointError(
            f"ImageNet weights of '{name}' cannot be fetched ({type(error).__name__}); "
            "set weights to none or to a file"
        ) from error
    wanted = network.state_dict()
    with torch.no_grad():
        network.load_state_dict({k: v for k, v in state.items() if k in wanted}, strict=True)
