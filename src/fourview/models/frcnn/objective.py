"""What Faster R-CNN minimises, over images whose label is known."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.models.frcnn.model import BENIGN, MALIGNANT, Frcnn


@dataclass(frozen=True, slots=True, kw_only=True)
class FrcnnObjectiveConfig:
    """How images are shown.

    Attributes:
        vertical_flip: Probability of exchanging top and bottom, boxes with the pixels.
    """

    vertical_flip: float = 0.5


class FrcnnObjective(Objective):
    """Sum of torchvision's four losses: class and box of proposals, objectness and box of anchors.

    An image counts where its label is known. A box of unknown nature is not learnt, and its place
    is then background; the paper's data have none.
    """

    def __init__(self, model: Frcnn, config: FrcnnObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.label = model.task.name

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; outside training also what the model says."""
        model = self.model
        assert isinstance(model, Frcnn)
        output = None if self.training else model(batch)
        known = ~batch.target_of_images(self.label).isnan()
        if not known.any():
            # zero gradients, so that every process takes a step
            nothing = torch.stack([p.sum() for p in model.parameters()]).sum() * 0.0
            return LossTerms(total=nothing, output=output)
        shown = batch.select(known)
        if self.training and torch.rand(()) < self.config.vertical_flip:
            shown = _flipped(shown)
        parts = model.losses(shown, _targets(shown))
        total = torch.stack(list(parts.values())).sum()
        return LossTerms(total=total, parts=parts, output=output)


def _targets(batch: ExamBatch) -> list[dict[str, Tensor]]:
    patches = batch.patches
    if patches is None:
        raise RecipeError("frcnn: the batch has no boxes; train with the feed 'boxes'")
    malignant = patches.targets["malignant"]
    sides = patches.box[:, 2:] - patches.box[:, :2]
    usable = ~malignant.isnan() & (sides >= 1).all(dim=1)
    labels = torch.where(malignant == 1, MALIGNANT, BENIGN)
    targets = []
    for image in range(batch.num_images):
        mine = usable & (patches.image == image)
        targets.append({"boxes": patches.box[mine], "labels": labels[mine]})
    return targets


def _flipped(batch: ExamBatch) -> ExamBatch:
    """Top and bottom exchanged."""
    assert batch.patches is not None
    x0, y0, x1, y1 = batch.patches.box.unbind(dim=1)
    rows = batch.pixels.shape[2]
    box = torch.stack([x0, rows - y1, x1, rows - y0], dim=1)
    return replace(batch, pixels=batch.pixels.flip(2), patches=replace(batch.patches, box=box))
