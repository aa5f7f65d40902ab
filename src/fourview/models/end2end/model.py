"""End2end: a patch classifier turned into a whole-image classifier by convolutions on top.

Paper:    Shen et al. 2019, Deep Learning to Improve Breast Cancer Detection on Screening
          Mammography, Scientific Reports, arXiv:1708.09427.
Reads:    ExamBatch.pixels; each image on its own.
Returns:  image_scores (mean over four flips when not training) and breast_scores.
Shapes:   I images, D features of a cell.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.nn.activation_map import with_activation_maps
from fourview.nn.encoder import Encoder, EncoderConfig

GREY = 255.0  # pixels in [0, 1] times this are what the networks were trained on
DDSM_MEAN = 52.18 / GREY  # of the data set's pixels; other data sets' means are in README.md
NUM_PATCH_CLASSES = 5  # background, then benign and malignant calcifications and masses
FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
RESNET_TOP = (512, 512, 1024)  # 1 x 1, 3 x 3, 1 x 1


@dataclass(frozen=True, slots=True, kw_only=True)
class End2endConfig:
    """Defaults are the paper's ResNet50 with two residual blocks on top.

    Attributes:
        task: A yes or no.
        encoder: Of patches and, without its pooling, of images; its normalisation is the paper's:
            times 255, less the mean of the data set (DDSM here).
        top: Two blocks of two bottlenecks each, or two of one convolution each.
        top_widths: Channels of a bottleneck's three convolutions; of ``vgg`` the last counts.
        average_flips: Mean over four flips when not training.
    """

    task: str = "cancer"
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(
            name="resnet50", mean=(DDSM_MEAN,) * 3, std=(1 / GREY,) * 3
        )
    )
    top: Literal["resnet", "vgg"] = "resnet"
    top_widths: tuple[int, int, int] = RESNET_TOP
    average_flips: bool = True

    def __post_init__(self) -> None:
        if task(self.task).num_classes != 1:
            raise ValueError(f"task '{self.task}' has several classes; need a yes or no")


@dataclass(frozen=True, slots=True, kw_only=True)
class End2endOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        logits: Of no and yes, of the images as they are.
    """

    logits: Float[Tensor, "image answer"]


class End2end(nn.Module):
    """See the module docstring."""

    def __init__(self, config: End2endConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        self.encoder = Encoder(config.encoder)
        dim = self.encoder.dim
        self.patch_head = nn.Linear(dim, NUM_PATCH_CLASSES)
        first, second, last = config.top_widths
        if config.top == "resnet":
            self.top = nn.Sequential(
                *_Bottleneck.pair(dim, (first, second, last)),
                *_Bottleneck.pair(last, (first, second, last)),
            )
        else:
            self.top = nn.Sequential(*_vgg_block(dim, last), *_vgg_block(last, last))
        self.head = nn.Linear(last, 2)

    def forward(self, batch: ExamBatch) -> End2endOutput:
        """Score every image, and both breasts of every exam."""
        logits = self.read(self.encoder(batch.pixels))
        scores = [logits.softmax(dim=1)]
        if self.config.average_flips and not self.training:
            scores += [
                self.read(self.encoder(batch.pixels.flip(flip))).softmax(dim=1)
                for flip in FLIPS[1:]
            ]
        mean = torch.stack(scores).mean(dim=0)[:, 1:]
        return End2endOutput(logits=logits, image_scores=mean, breast_scores=batch.per_breast(mean))

    def read(self, features: Float[Tensor, "image dim row col"]) -> Float[Tensor, "image 2"]:
        """What comes after the encoder: logits of no and yes."""
        logits: Tensor = self.head(self.top(features).mean(dim=(2, 3)))
        return logits.float()

    def classify_patches(
        self, patches: Float[Tensor, "patch 1 side side"]
    ) -> Float[Tensor, "patch kind"]:
        """Logits of the five kinds."""
        logits: Tensor = self.patch_head(self.encoder(patches).mean(dim=(2, 3)))
        return logits.float()

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with a class-activation heatmap of every image."""
        with torch.no_grad():
            output = self(batch)
            features = self.encoder(batch.pixels)

        def read(grid: Tensor) -> tuple[Tensor, ModelOutput]:
            logits = self.read(grid)
            return logits[:, 1:] - logits[:, :1], replace(output)

        return with_activation_maps(
            features, read, stride=self.encoder.stride, first_center=self.encoder.first_center
        )


class _Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions, each with batch norm; the shortcut is added."""

    def __init__(self, before: int, widths: tuple[int, int, int], stride: int) -> None:
        super().__init__()
        first, second, last = widths
        self.path = nn.Sequential(
            *_normed(before, first, 1, stride),
            nn.ReLU(),
            *_normed(first, second, 3, 1),
            nn.ReLU(),
            *_normed(second, last, 1, 1),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or before != last:
            self.shortcut = nn.Sequential(*_normed(before, last, 1, stride))

    def forward(
        self, features: Float[Tensor, "image before row col"]
    ) -> Float[Tensor, "image width row_out col_out"]:
        """One step of the residual network."""
        out: Tensor = self.path(features) + self.shortcut(features)
        return out.relu()

    @classmethod
    def pair(cls, before: int, widths: tuple[int, int, int]) -> list[nn.Module]:
        """A block: the first of two halves the grid."""
        return [cls(before, widths, 2), cls(widths[-1], widths, 1)]


def _normed(before: int, width: int, size: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, width, size, stride=stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width)]


def _vgg_block(before: int, width: int) -> list[nn.Module]:
    return [*_normed(before, width, 3, 1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]


TINY = End2endConfig(
    encoder=EncoderConfig(
        name="small",
        weights="none",
        mean=(DDSM_MEAN,) * 3,
        std=(1 / GREY,) * 3,
        widths=(4, 4, 8, 8, 8),
    ),
    top_widths=(4, 4, 8),
)
