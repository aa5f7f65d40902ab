"""What Cls-Det-RS minimises: the cross entropy of an image's tuple of labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.label_tuple import tuple_cross_entropy
from fourview.models.clsdet.model import Clsdet, ClsdetOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ClsdetObjectiveConfig:
    """Choices of the loss.

    Attributes:
        mask_b_when_m: Do not train y_B of an image with a malignant label: a global label says what
            is worst, and not that there is nothing else.
    """

    mask_b_when_m: bool = False


class ClsdetObjective(Objective):
    """Eq. 4 with the probability of the observed label; see ``tuple_cross_entropy``."""

    def __init__(self, model: Clsdet, config: ClsdetObjectiveConfig) -> None:
        super().__init__(model)
        self.model: Clsdet = model
        self.config = config

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: ClsdetOutput = self.model(batch)
        scored = ~output.log_yes.detach()[:, 0].isnan()
        targets = self._targets(batch)[scored].to(output.log_yes.dtype)
        loss = tuple_cross_entropy(output.log_yes[scored], output.log_no[scored], targets)
        return LossTerms(total=loss, parts={"cross_entropy": loss}, output=output)

    def _targets(self, batch: ExamBatch) -> Tensor:
        """By image, of every class; a label that the batch says nothing of is unknown."""
        unknown = torch.full((batch.num_images,), torch.nan, device=batch.exam.device)
        known = {*batch.targets, *batch.image_targets}
        malignant, *others = (
            batch.target_of_images(name) if name in known else unknown
            for name in self.model.task.classes
        )
        if self.config.mask_b_when_m:
            others = [torch.where(malignant == 1, torch.nan, benign) for benign in others]
        return torch.stack([malignant, *others], dim=1)
