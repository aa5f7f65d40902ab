"""What probes minimise: cross entropy, with the tower frozen (linear) or not (fine_tune)."""

from dataclasses import dataclass
from typing import Literal

import torch

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.losses.asymmetric import asymmetric_loss
from fourview.losses.classification import masked_cross_entropy
from fourview.models.probe.model import Probe, ProbeOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeObjectiveConfig:
    """Which loss.

    Attributes:
        loss: ``cross_entropy``, or ``asymmetric``, GLAM's on VinDr-Mammo (tasks with several
            classes only).
        focus_positive: Exponent of the asymmetric loss for the right class.
        focus_negative: For the others.
        smoothing: Of its targets.
        positive_weight: Of the yes in the cross entropy of a yes-or-no task.
    """

    loss: Literal["cross_entropy", "asymmetric"] = "cross_entropy"
    focus_positive: float = 1.0
    focus_negative: float = 4.0
    smoothing: float = 0.1
    positive_weight: float = 1.0


class FineTuneObjective(Objective):
    """Everything is trained."""

    model: Probe

    def __init__(self, model: Probe, config: ProbeObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        if config.loss == "asymmetric" and model.task.num_classes == 1:
            raise ValueError("the asymmetric loss needs several classes: set loss=cross_entropy")
        if config.positive_weight != 1.0 and model.task.num_classes > 1:
            raise RecipeError(
                f"objective.positive_weight is for a yes or no; task '{model.task.name}' has "
                f"{model.task.num_classes} classes: set it to 1"
            )

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch, by image."""
        return self.terms(self.model(batch), batch)

    def terms(self, output: ProbeOutput, batch: ExamBatch) -> LossTerms:
        """The loss of what the model said."""
        targets = batch.target_of_images(self.model.task.name)
        if self.config.loss == "asymmetric":
            total = asymmetric_loss(
                output.logits,
                targets,
                focus_positive=self.config.focus_positive,
                focus_negative=self.config.focus_negative,
                smoothing=self.config.smoothing,
            )
        else:
            total = masked_cross_entropy(
                output.logits, targets, positive_weight=self.config.positive_weight
            )
        return LossTerms(total=total, parts={}, output=output)


class LinearObjective(FineTuneObjective):
    """The head alone is trained; the tower stays as it came, its statistics and dropout too."""

    def __init__(self, model: Probe, config: ProbeObjectiveConfig) -> None:
        super().__init__(model, config)
        model.image_tower.requires_grad_(False)

    def train(self, mode: bool = True) -> "LinearObjective":
        """The tower stays in evaluation mode."""
        super().train(mode)
        self.model.image_tower.eval()
        return self

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch, by image."""
        with torch.no_grad():
            features = self.model.image_tower(batch.pixels).pooled
        return self.terms(self.model.read(features, batch), batch)
