"""The patch classifier whose heatmaps DMV-CNN can read: a DenseNet over overlapping squares.

Wu et al. 2019, section III-E. Each square of the standardised image is one of four classes; a
pixel's heat is the mean probability over the squares that cover it.
"""

import random
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from torchvision.models.densenet import DenseNet

MALIGNANT, BENIGN = 0, 1  # of malignant, benign, outside the breast, negative
NUM_KINDS = 4
SEED = 0  # of the strides that are one pixel shorter than the others


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchNetworkConfig:
    """Defaults are the published DenseNet-121.

    Attributes:
        growth: Channels that a layer adds.
        blocks: Layers of the four blocks.
        first: Channels of the first convolution.
        side_px: Of a square.
        stride_px: Between squares, at most.
        at_once: Squares in one batch; changes memory, not results.
    """

    growth: int = 32
    blocks: tuple[int, int, int, int] = (6, 12, 24, 16)
    first: int = 64
    side_px: int = 256
    stride_px: int = 70
    at_once: int = 32


class PatchNetwork(nn.Module):
    """DenseNet with torchvision's names; the first convolution and pooling pad as TensorFlow does.

    Padding 5 at the first convolution and 1 at the pooling, the odd one below and at the right;
    everywhere else that rule gives torchvision's own padding.
    """

    def __init__(self, config: PatchNetworkConfig) -> None:
        super().__init__()
        self.config = config
        network: Any = DenseNet(config.growth, config.blocks, config.first, num_classes=NUM_KINDS)
        self.features, self.classifier = network.features, network.classifier
        self.features.conv0.padding = (0, 0)
        self.features.pool0.padding = 0

    def forward(self, squares: Float[Tensor, "square 1 side side"]) -> Float[Tensor, "square kind"]:
        """Logits of the four kinds."""
        out = squares.expand(-1, 3, -1, -1)
        for name, layer in self.features.named_children():
            if name in ("conv0", "pool0"):
                out = _padded_as_tensorflow(out, size=7 if name == "conv0" else 3, stride=2)
            out = layer(out)
        logits: Tensor = self.classifier(out.relu().mean(dim=(2, 3)))
        return logits

    @torch.no_grad()
    def heatmaps(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image 2 row col"]:
        """Benign and malignant heat of every pixel of standardised images."""
        side = self.config.side_px
        corners = [
            (y, x)
            for y in starts(pixels.shape[2], side, self.config.stride_px)
            for x in starts(pixels.shape[3], side, self.config.stride_px)
        ]
        total = pixels.new_zeros(len(pixels), 2, *pixels.shape[2:])
        count = pixels.new_zeros(pixels.shape[2:])
        for y, x in corners:
            count[y : y + side, x : x + side] += 1
        for number, image in enumerate(pixels):
            for first in range(0, len(corners), self.config.at_once):
                some = corners[first : first + self.config.at_once]
                squares = torch.stack([image[:, y : y + side, x : x + side] for y, x in some])
                heat = self(squares).float().softmax(dim=1)[:, [BENIGN, MALIGNANT]]
                for (y, x), values in zip(some, heat, strict=True):
                    total[number, :, y : y + side, x : x + side] += values[:, None, None]
        return total / count


def starts(length: int, side: int, stride: int) -> list[int]:
    """First pixels of the squares along one axis; the last one ends at the border.

    As few squares as leave no gap wider than ``stride`` between starts. The strides are shortened
    alike until they fit, and the remaining pixels are taken from some of them, one each, drawn with
    a fixed seed (the published program draws too; its draws are not known).

    Raises:
        ValueError: The axis is shorter than a square.
    """
    if length < side:
        raise ValueError(f"an axis of {length} pixels holds no square of {side}")
    room = length - side
    num_strides = -(-room // stride)
    if num_strides == 0:
        return [0]
    shorter, rest = divmod(num_strides * stride - room, num_strides)
    chosen = set(random.Random(SEED).sample(range(num_strides), rest))
    firsts = [0]
    for number in range(num_strides):
        firsts.append(firsts[-1] + stride - shorter - (number in chosen))
    return firsts


def _padded_as_tensorflow(x: Tensor, *, size: int, stride: int) -> Tensor:
    """Zeros so that a kernel starts at every ``stride``-th pixel; the odd one below and right."""
    rows, cols = (
        max((-(-n // stride) - 1) * stride + size - n, 0) for n in (x.shape[2], x.shape[3])
    )
    return pad(x, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))


TINY_PATCHES = PatchNetworkConfig(
    growth=4, blocks=(1, 1, 1, 1), first=8, side_px=32, stride_px=12, at_once=4
)
