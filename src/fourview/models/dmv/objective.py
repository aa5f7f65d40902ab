"""What DMV-CNN minimises: cross entropy of every head."""

from dataclasses import dataclass

import torch
from torch.nn.functional import nll_loss

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.models.dmv.model import Dmv, DmvOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class DmvObjectiveConfig:
    """Nothing to set: the paper weighs all heads alike."""


class DmvObjective(Objective):
    """Mean over the heads of views that are there and whose label is known."""

    def __init__(self, model: Dmv, config: DmvObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.labels = tuple(model.task.labels)

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: DmvOutput = self.model(batch)
        logs = output.log_probabilities
        if logs is None:
            raise RecipeError(
                "dmv: kind='patches' is trained by stage 'patches' (dmv:patches), not on breasts"
            )
        targets = torch.stack([batch.target_of_images(label) for label in self.labels], dim=1)
        known = ~targets.isnan()
        if not known.any():
            return LossTerms(total=logs.sum() * 0.0, output=output)
        total = nll_loss(logs[known], targets[known].long())
        return LossTerms(total=total, parts={"cross_entropy": total}, output=output)
