"""Training with the boxes of findings: every cell of an image is told whether it shows a cancer.

Shapes:  I images, B boxes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.errors import RecipeError
from fourview.losses.classification import masked_cross_entropy
from fourview.models.single_view.model import SingleView, SingleViewOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedObjectiveConfig:
    """Settings of the loss; gamma as Lin et al. 2017 have it.

    Attributes:
        positive_weight: Of cancers in the cross entropy of images; 1 states no balancing.
        cells_weight: Of the loss of cells beside it.
        alpha: Share of positive cells in the focal loss; a quarter there, where every cell counts
            alike.
        gamma: How much less what is clear already counts.
        still: Beginnings of the names of layers that stay as they are, with their statistics. What
            the first layers of a network know of edges can do for short runs.
    """

    positive_weight: float = 1.0
    cells_weight: float = 1.0
    alpha: float = 0.5
    gamma: float = 2.0
    still: tuple[str, ...] = ()


class LocatedObjective(Objective):
    """Cross entropy of images, and the focal loss of their cells.

    The focal loss (Lin et al. 2017, arXiv:1708.02002, Eq. 5) is summed over the cells that are
    known (``cell_targets``). Differs: the positive cells of an image count as one together, so that
    a cluster of one cell counts as much as a large mass; and the sum is divided by the number of
    images with any, or by half of all where these are more, as a batch may hold no finding.

    An image of a breast with cancer whose boxes are all on the breast's other images counts for
    neither: the finding may be hidden on it.
    """

    def __init__(self, model: SingleView, config: LocatedObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.label = model.task.name
        if model.task.num_classes != 1:
            raise RecipeError(
                f"single_view: stage 'located' has no task '{self.label}'; take cancer"
            )
        for name in config.still:
            if not any(part.startswith(name) for part, _ in model.named_parameters()):
                raise RecipeError(f"single_view: objective.still names '{name}', of no layer")
        for name, parameter in model.named_parameters():
            if name.startswith(config.still):
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "LocatedObjective":
        """As any objective, but the statistics of layers that stay do not move."""
        super().train(mode)
        for name, part in self.model.named_modules():
            if self.config.still and f"{name}.".startswith(self.config.still):
                part.eval()
        return self

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        model = self.model
        assert isinstance(model, SingleView)
        output: SingleViewOutput = model(batch)
        images = image_targets(batch, self.label)
        cells = cell_targets(
            batch,
            images,
            grid=(output.cell_logits.shape[2], output.cell_logits.shape[3]),
            stride=model.encoder.stride,
            first_center=model.encoder.first_center,
        )
        known = ~cells.isnan()
        focal = sigmoid_focal_loss(
            output.cell_logits[:, 0][known],
            cells[known],
            alpha=self.config.alpha,
            gamma=self.config.gamma,
        )
        count = (cells == 1).sum(dim=(1, 2))
        weight = torch.where(cells == 1, 1 / count.clamp(min=1)[:, None, None], 1.0)
        divisor = (count > 0).sum().clamp(min=len(count) / 2)
        parts: dict[str, Tensor] = {
            "cross_entropy": masked_cross_entropy(
                output.logits, images, positive_weight=self.config.positive_weight
            ),
            "cells": (focal * weight[known]).sum() / divisor,
        }
        total = parts["cross_entropy"] + self.config.cells_weight * parts["cells"]
        return LossTerms(total=total, parts=parts, output=output)


def image_targets(batch: ExamBatch, label: str) -> Float[Tensor, " image"]:
    """Each image's label; NaN where its breast is positive and has boxes on other images only."""
    if batch.patches is None:
        raise RecipeError("single_view: the batch has no boxes; train with the feed 'boxes'")
    targets = batch.target_of_images(label)
    malignant = batch.patches.targets["malignant"] == 1
    own = torch.zeros_like(targets, dtype=torch.bool)
    own[batch.patches.image[malignant]] = True
    breast = batch.breast()
    of_breast = torch.zeros(2 * batch.num_exams, dtype=torch.bool, device=targets.device)
    of_breast[breast[own]] = True
    return targets.masked_fill((targets == 1) & ~own & of_breast[breast], torch.nan)


def cell_targets(
    batch: ExamBatch,
    images: Float[Tensor, " image"],
    *,
    grid: tuple[int, int],
    stride: int,
    first_center: float,
) -> Float[Tensor, "image grid_row grid_col"]:
    """1 where a cell looks at a malignant finding, 0 where at none, NaN where that is not known.

    A cell looks at one pixel (``Encoder.first_center``). It is positive where that lies in the
    ellipse within a malignant box, and so is the cell nearest to the box's middle. It is unknown
    elsewhere in that box and up to a cell around it, in boxes of unknown nature, and on all of an
    image whose label is unknown, or positive without a box.

    Args:
        batch: With boxes.
        images: ``image_targets``.
        grid: Rows and columns of cells.
        stride: Pixels of a cell.
        first_center: Pixel that cell 0 looks at.
    """
    patches = batch.patches
    assert patches is not None
    nature = patches.targets["malignant"]
    y = first_center + stride * torch.arange(grid[0], device=images.device)
    x = first_center + stride * torch.arange(grid[1], device=images.device)
    positive = torch.zeros(len(images), *grid, dtype=torch.bool, device=images.device)
    unclear = torch.zeros_like(positive)
    boxed = torch.zeros_like(images, dtype=torch.bool)
    for image, box, malignant in zip(
        patches.image.tolist(), patches.box, nature.tolist(), strict=True
    ):
        half = (box[2:] - box[:2]) / 2
        if malignant == 0 or (half <= 0).any():  # benign, or moved off the image
            continue
        middle = (box[:2] + box[2:]) / 2
        dx, dy = (x - middle[0]).abs(), (y - middle[1]).abs()
        unclear[image] |= (dy <= half[1] + stride)[:, None] & (dx <= half[0] + stride)
        if malignant == 1:
            boxed[image] = True
            positive[image] |= ((dy / half[1]) ** 2)[:, None] + (dx / half[0]) ** 2 <= 1
            positive[image, dy.argmin(), dx.argmin()] = True
    cells = torch.where(unclear, torch.nan, 0.0)
    cells[images.isnan() | ((images == 1) & ~boxed)] = torch.nan
    cells[positive] = 1.0
    return cells
