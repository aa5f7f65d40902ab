"""One linear layer on the feature of an image tower: what pre-training left for a classifier.

Paper:    the downstream settings of MaMA (Du, Onofrey, Dvornek 2025) and GLAM (Du, Chen, Dvornek
          2025).
Reads:    ExamBatch.pixels, each image on its own.
Returns:  image_scores; breast_scores, the average over all images of a breast (GLAM, Table 4).
Shapes:   I images, K classes, D features.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.contract import NUM_SIDES, ExamBatch, ModelOutput, Task, task
from fourview.nn.image_tower import ImageTower, ImageTowerConfig

Average = Literal["score", "logit", "max"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """Defaults are the papers'.

    Attributes:
        task: What is asked: density, birads7, birads3, birads5, cancer.
        image: The tower that is probed, as its pre-training had it.
        average: How a breast's score comes from its images: mean ``score``, mean ``logit``, or the
            ``max`` of the scores.
    """

    task: str = "density"
    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    average: Average = "score"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        logits: Of each image.
    """

    logits: Float[Tensor, "image class"]


class Probe(nn.Module):
    """See the module docstring; the tower's weights come from a checkpoint or its own."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.task = task(config.task)
        self.average = config.average
        self.image_tower = ImageTower(config.image)
        self.head = nn.Linear(self.image_tower.dim, self.task.num_classes)

    def forward(self, batch: ExamBatch) -> ProbeOutput:
        """Score every image, and both breasts of every exam."""
        return self.read(self.image_tower(batch.pixels).pooled, batch)

    def read(self, features: Float[Tensor, "image dim"], batch: ExamBatch) -> ProbeOutput:
        """What comes after the tower."""
        logits = self.head(features).float()
        return ProbeOutput(
            logits=logits,
            image_scores=self.task.scores(logits),
            breast_scores=breast_average(logits, batch, self.task, self.average),
        )


def breast_average(
    logits: Float[Tensor, "image class"], batch: ExamBatch, asked: Task, how: Average
) -> Float[Tensor, "exam 2 class"]:
    """One score per breast over all its images, whatever their views; NaN for a breast without any.

    Unlike ``ExamBatch.per_breast``, which gives both views the same weight, every image counts the
    same, as in the papers.
    """
    values = logits if how == "logit" else asked.scores(logits)
    breast = batch.breast()
    num_breasts = NUM_SIDES * batch.num_exams
    place = breast[:, None].expand_as(values)
    empty = values.new_zeros(num_breasts, values.shape[1])
    reduce = "amax" if how == "max" else "mean"
    joined = empty.scatter_reduce(0, place, values, reduce=reduce, include_self=False)
    if how == "logit":
        joined = asked.scores(joined)
    count = torch.bincount(breast, minlength=num_breasts)
    joined = torch.where(count[:, None] > 0, joined, torch.nan)
    return joined.reshape(batch.num_exams, NUM_SIDES, -1)


TINY = ProbeConfig(
    task="cancer",
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
)
