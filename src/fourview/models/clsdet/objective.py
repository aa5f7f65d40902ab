"""What Cls-Det-RS minimises: the cross entropy of an image's tuple of labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.losses.known_regions import known_regions_loss
from fourview.losses.label_tuple import tuple_cross_entropy
from fourview.models.clsdet.model import WITH_NORMAL, Clsdet, ClsdetOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class ClsdetObjectiveConfig:
    """Choices of the loss.

    Attributes:
        mask_b_when_m: Do not train y_B of an image with a malignant label: a global label says what
            is worst, and not that there is nothing else.
        boxes: Weight of the loss of single regions (``losses.known_regions``), for which the feed
            has to say what they hit (``feed.boxes``); 0 trains on labels of images alone, as the
            paper does.
    """

    mask_b_when_m: bool = False
    boxes: float = 0.0

    def __post_init__(self) -> None:
        if not self.boxes >= 0:
            raise ValueError(f"boxes is {self.boxes}, need 0 or more")


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
        parts = {"cross_entropy": loss}
        if self.config.boxes:
            parts["boxes"] = self._of_regions(batch, output)
            loss = loss + self.config.boxes * parts["boxes"]
        return LossTerms(total=loss, parts=parts, output=output)

    def _of_regions(self, batch: ExamBatch, output: ClsdetOutput) -> Tensor:
        patches, names = batch.patches, self.model.task.classes
        assert patches is not None
        if not set(names) <= set(patches.targets):
            raise RecipeError(
                "clsdet: objective.boxes is set, and the batch does not say what its regions hit; "
                "set feed.boxes=true"
            )
        if self.model.config.head not in WITH_NORMAL:
            raise RecipeError(f"clsdet: objective.boxes needs a head of {', '.join(WITH_NORMAL)}")
        assert output.log_classes is not None and output.log_detection is not None
        targets = torch.stack([patches.targets[name] for name in names], dim=1)
        return known_regions_loss(output.log_classes, output.log_detection, patches.image, targets)

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
