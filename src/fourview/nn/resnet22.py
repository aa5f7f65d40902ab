"""ResNet-22 for high resolutions: few channels, two-layer blocks, normalisation before convolution.

Wu et al. 2019 (arXiv:1903.08297, section III-C) and, with a padded first convolution, Shen et al.
2020 (arXiv:2002.07613). Unlike an ordinary ResNet it starts with 16 channels and doubles them at
every halving, so that 2944 x 1920 pixels fit.

Shapes:  a stage is two blocks; the first convolution and the pooling after it halve the image each.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

BLOCKS = 2  # of a stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet22Config:
    """Defaults are GMIC's global network.

    Attributes:
        widths: Channels of the stages; the first convolution has those of the first.
        strides: Of the stages.
        first_padding: Of the first convolution, 7 x 7 with stride 2: 3 in GMIC, 0 in DMV-CNN.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    strides: tuple[int, ...] = (1, 2, 2, 2, 2)
    first_padding: int = 3

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.strides):
            raise ValueError(
                f"need as many strides as widths, got {len(self.strides)} and {len(self.widths)}"
            )


class ResNet22(nn.Module):
    """See the module docstring; ``dim`` channels, cells of ``stride`` pixels.

    ``first_center`` says where cell 0 looks, in pixels from the edge (as ``nn.encoder.Encoder``).
    """

    def __init__(self, config: ResNet22Config, *, input_channels: int = 1) -> None:
        super().__init__()
        first = config.widths[0]
        self.stem = nn.Conv2d(
            input_channels, first, 7, stride=2, padding=config.first_padding, bias=False
        )
        self.stages = nn.ModuleList(
            nn.Sequential(_Block(before, width, stride), *_more(width))
            for (before, width), stride in zip(
                pairwise((first, *config.widths)), config.strides, strict=True
            )
        )
        self.norm = nn.BatchNorm2d(config.widths[-1])
        self.dim = config.widths[-1]
        self.stride = 4
        for stride in config.strides:
            self.stride *= stride
        # cell i of the stem is centred on pixel 2 i + 3 - padding, of the pooling on its cell
        # 2 i + 1; convolutions of width 3 with padding 1 keep the centre of cell 0
        self.first_center = 2 * 1 + 3 - config.first_padding + 0.5

    def forward(
        self, pixels: Float[Tensor, "image channel row col"]
    ) -> Float[Tensor, "image dim grid_row grid_col"]:
        """Features after the last normalisation."""
        return self.stage_outputs(pixels)[-1]

    def stage_outputs(self, pixels: Float[Tensor, "image channel row col"]) -> list[Tensor]:
        """What each stage gives, as it is; the last one normalised and rectified."""
        features = max_pool2d(self.stem(pixels), kernel_size=3, stride=2)
        outputs = []
        for stage in self.stages:
            features = stage(features)
            outputs.append(features)
        return [*outputs[:-1], relu(self.norm(features))]


class _Block(nn.Module):
    """Norm, ReLU, convolution, twice; the first block of a stage projects its shortcut.

    The projection starts from the first ReLU's output, also where neither stride nor width change;
    the other blocks add their raw input.
    """

    def __init__(self, before: int, width: int, stride: int, *, project: bool = True) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(before, width, 1, stride=stride, bias=False) if project else None

    def forward(
        self, features: Float[Tensor, "image before row col"]
    ) -> Float[Tensor, "image width row_out col_out"]:
        """One step of the residual network."""
        active = relu(self.norm1(features))
        skipped = features if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(relu(self.norm2(self.conv1(active))))
        return out + skipped


def _more(width: int) -> list[_Block]:
    return [_Block(width, width, 1, project=False) for _ in range(BLOCKS - 1)]


def standardised(
    pixels: Float[Tensor, "image channel row col"],
) -> Float[Tensor, "image channel row col"]:
    """Each channel of each image less its mean, divided by its deviation (1e-5 at least).

    Over the whole frame, background included, and with the deviation of the population, as the NYU
    classifiers were trained.
    """
    centred = pixels - pixels.mean(dim=(2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp(min=SMALLEST_DEVIATION)


SMALLEST_DEVIATION = 1e-5  # as published
