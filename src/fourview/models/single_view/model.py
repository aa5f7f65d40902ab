"""One view at a time: any timm encoder, pooling, one linear layer.

Paper:    the single-view baseline of Chen et al. 2022 (EfficientNet-B0 there, its Table 1), which
          pools by the mean. Pooling by the highest cells is that of Shen et al. 2020 (GMIC's global
          module, arXiv:2002.07613, section 3.1), here of logits.
Reads:    ExamBatch.pixels; each image on its own.
Returns:  image_scores, and breast_scores as the mean over the images of a view, then the views.
Shapes:   I images, D features of a cell, K classes.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.nn.activation_map import evenly, explained
from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.regions import top_mean

RARE = 0.05  # what a cell says before it has learnt anything, as most show no finding
SMALL = 0.01  # deviation of the first weights, so that all cells say so; Lin et al. 2017, 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleViewConfig:
    """Defaults are the paper's baseline.

    Attributes:
        task: What is asked: cancer, density.
        encoder: The backbone.
        dropout: Before the linear layer.
        pool: ``mean``, the linear layer reads the mean of all cells; or ``top``, it reads every
            cell, and an image's logit is the mean of the highest ones. For a yes or no.
        top: Part of the cells that is highest.
    """

    task: str = "cancer"
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    dropout: float = 0.0
    pool: Literal["mean", "top"] = "mean"
    top: float = 0.01

    def __post_init__(self) -> None:
        if self.pool == "top" and not task(self.task).is_suspicion:
            raise ValueError(f"pool='top' needs a yes or no; task '{self.task}' has classes")
        if not 0 < self.top <= 1:
            raise ValueError(f"top is {self.top}, need a number above 0 and at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleViewOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        logits: Of each image.
        cell_logits: Of each cell of it.
    """

    logits: Float[Tensor, "image class"]
    cell_logits: Float[Tensor, "image class cell_row cell_col"]


class SingleView(nn.Module):
    """See the module docstring."""

    def __init__(self, config: SingleViewConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        self.encoder = Encoder(config.encoder)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.dim, self.task.num_classes)
        if config.pool == "top":
            nn.init.normal_(self.head.weight, std=SMALL)
            nn.init.constant_(self.head.bias, math.log(RARE / (1 - RARE)))

    def forward(self, batch: ExamBatch) -> SingleViewOutput:
        """Score every image, and both breasts of every exam."""
        return self.read(self.encoder(batch.pixels), batch)

    def read(
        self, features: Float[Tensor, "image dim grid_row grid_col"], batch: ExamBatch
    ) -> SingleViewOutput:
        """What comes after the backbone."""
        weight = self.head.weight[:, :, None, None]
        cells = conv2d(self.dropout(features), weight, self.head.bias).float()
        if self.config.pool == "top":
            logits = top_mean(cells, self.config.top)
        else:
            logits = self.head(self.dropout(features.mean(dim=(2, 3)))).float()
        image_scores = self.task.scores(logits)
        return SingleViewOutput(
            logits=logits,
            cell_logits=cells,
            image_scores=image_scores,
            breast_scores=batch.per_breast(image_scores),
        )

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with a heatmap of every image.

        What its cells say, scaled so that the highest is the image's score; of mean pooling a
        class-activation map.
        """
        if self.config.pool == "mean":
            return explained(batch, self.encoder, self.read)
        with torch.no_grad():
            output: SingleViewOutput = self(batch)
        assert output.image_scores is not None
        shift = self.encoder.first_center / self.encoder.stride - 0.5
        maps = evenly(output.cell_logits, shift=shift).sigmoid()
        peak = maps.amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
        return replace(output, heatmaps=maps / peak * output.image_scores[..., None, None])


TINY = SingleViewConfig(encoder=EncoderConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)))
