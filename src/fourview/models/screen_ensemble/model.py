"""One network of an ensemble for screening: cancer and density of each image, read on its own.

Weights:  hub model ``ianpan/mammoscreen`` (Apache-2.0): three such networks, each with its own size
          of image. It has no paper.
Reads:    ExamBatch.pixels, as a pixel spec of layout ``stretched`` or ``square`` makes them.
Returns:  image_scores, and breast_scores as the mean over the images of a breast, whatever view.
Network:  timm's tf_efficientnetv2_s on one channel, mean pooling, dropout, one linear layer.
          Logit 0 is cancer (sigmoid); logits 1 to 4 are density A to D (softmax).
Shapes:   I images, E exams, D features of a cell, K classes.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.contract import NUM_SIDES, ExamBatch, ModelOutput, task
from fourview.errors import RecipeError
from fourview.nn.activation_map import with_activation_maps
from fourview.nn.encoder import first_center_of

STRIDE = 32
MASK_LEVEL = 1 / 65535  # what a processed pixel of value 0 has inside the mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenConfig:
    """Defaults are the published network's.

    Attributes:
        task: What is asked: cancer_density, cancer, density.
        network: timm's name of the backbone; its stride must be 32.
        dropout: Before the linear layer.
    """

    task: str = "cancer_density"
    network: str = "tf_efficientnetv2_s"
    dropout: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOutput(ModelOutput):
    """Adds what the loss needs."""

    logits: Float[Tensor, "image class"]


class _Backbone(Protocol):
    num_features: int

    def forward_features(self, pixels: Tensor) -> Tensor: ...


class ScreenNetwork(nn.Module):
    """See the module docstring."""

    def __init__(self, config: ScreenConfig) -> None:
        import timm

        super().__init__()
        self.task = task(config.task)
        if not timm.is_model(config.network):
            raise RecipeError(f"timm has no model '{config.network}'; set model.network")
        self.backbone = timm.create_model(
            config.network, pretrained=False, num_classes=0, global_pool="", in_chans=1
        )
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(cast(_Backbone, self.backbone).num_features, self.task.num_classes)

    @cached_property
    def first_center(self) -> float:
        """Where cell 0 looks, in pixels from the edge; see ``nn.encoder``."""
        return first_center_of(self.backbone, stride=STRIDE)

    def forward(self, batch: ExamBatch) -> ScreenOutput:
        """Score every image, and both breasts of every exam."""
        return self.read(self.features(batch.pixels), batch)

    def features(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim grid_row grid_col"]:
        """Features over a grid of cells of 32 pixels; pixels become -1 to 1."""
        values = torch.where(pixels <= MASK_LEVEL, torch.zeros_like(pixels), pixels)
        values = (2 * values - 1).contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.backbone(values))

    def read(
        self, features: Float[Tensor, "image dim grid_row grid_col"], batch: ExamBatch
    ) -> ScreenOutput:
        """What comes after the backbone."""
        logits = self.linear(self.dropout(features.mean(dim=(2, 3)))).float()
        scores = self.task.scores(logits)
        return ScreenOutput(
            logits=logits, image_scores=scores, breast_scores=_mean_of_breasts(scores, batch)
        )

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with a heatmap of every image for cancer.

        Class activation: the head is linear on pooled features, so what a cell adds to the logit
        is known exactly.
        """
        with torch.no_grad():
            features = self.features(batch.pixels)

        def logits_and_output(grid: Tensor) -> tuple[Tensor, ModelOutput]:
            output = self.read(grid, batch)
            return output.logits, output

        output = with_activation_maps(
            features, logits_and_output, stride=STRIDE, first_center=self.first_center
        )
        assert output.heatmaps is not None
        return replace(output, heatmaps=output.heatmaps[:, : self.task.asked[0].num_classes])


def _mean_of_breasts(
    scores: Float[Tensor, "image class"], batch: ExamBatch
) -> Float[Tensor, "exam 2 class"]:
    """Mean over the images of each breast; NaN for a breast without any."""
    groups = NUM_SIDES * batch.num_exams
    breast = batch.breast()
    total = scores.new_zeros((groups, scores.shape[1])).index_add(0, breast, scores)
    count = torch.bincount(breast, minlength=groups).unsqueeze(1)
    mean = torch.where(count > 0, total / count.clamp(min=1), torch.nan)
    return mean.reshape(batch.num_exams, NUM_SIDES, -1)


TINY = ScreenConfig(network="test_efficientnet")
