"""What GMIC minimises: three cross entropies for each class, and sparse maps (paper's Eq. 13)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.gmic import cross_entropy_of_logits, cross_entropy_of_scores, sparsity
from fourview.models.gmic.model import Gmic, GmicOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class GmicObjectiveConfig:
    """Defaults are the first of the five published models.

    Attributes:
        sparsity_weight: beta.
    """

    sparsity_weight: float = 3.259e-6


class GmicObjective(Objective):
    """BCE(y_local) + BCE(y_global) + BCE(y_fusion) of every class, + beta |A|."""

    def __init__(self, model: Gmic, config: GmicObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.labels = tuple(model.task.labels)

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; what is unknown of an image does not count."""
        output: GmicOutput = self.model(batch)
        targets = torch.stack([batch.target_of_images(label) for label in self.labels], dim=1)
        parts: dict[str, Tensor] = {
            "local": cross_entropy_of_logits(output.local_logits, targets),
            "global": cross_entropy_of_scores(output.global_scores, targets),
            "fusion": cross_entropy_of_logits(output.fusion_logits, targets),
            "sparsity": sparsity(output.saliency),
        }
        total = parts["local"] + parts["global"] + parts["fusion"]
        total = total + self.config.sparsity_weight * parts["sparsity"]
        return LossTerms(total=total, parts=parts, output=output)
