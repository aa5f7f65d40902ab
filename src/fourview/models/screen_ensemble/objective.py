"""Cross entropy of every image against its breast's labels, one part for each task."""

from dataclasses import dataclass

import torch

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.classification import masked_cross_entropy
from fourview.models.screen_ensemble.model import ScreenNetwork, ScreenOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenObjectiveConfig:
    """Settings of the loss; how the published weights were trained is not known.

    Attributes:
        positive_weight: Of cancers in their cross entropy; 1 balances nothing.
        density_weight: Of density's cross entropy beside that of cancer.
    """

    positive_weight: float = 1.0
    density_weight: float = 1.0


class ScreenObjective(Objective):
    """The sum of the tasks' mean cross entropies; images without a label do not count."""

    def __init__(self, model: ScreenNetwork, config: ScreenObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.task = model.task

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: ScreenOutput = self.model(batch)
        parts = {}
        for asked, logits in self.task.split(output.logits):
            weight = self.config.positive_weight if asked.num_classes == 1 else 1.0
            loss = masked_cross_entropy(
                logits, batch.target_of_images(asked.name), positive_weight=weight
            )
            parts[asked.name] = loss * (self.config.density_weight if asked.num_classes > 1 else 1)
        return LossTerms(total=torch.stack(list(parts.values())).sum(), parts=parts, output=output)
