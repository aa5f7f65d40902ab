"""What the two stages minimise: weighted cross entropy of four classes of windows."""

from dataclasses import dataclass

import torch

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.weighted import Reduction, weighted_cross_entropy
from fourview.models.lesion.model import Lesion, LesionOutput, input_maps

PATCH_CLASS = "patch_class"


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionObjectiveConfig:
    """How classes are weighed.

    Attributes:
        per_epoch: Windows of each class in an epoch, as the feed draws them. A class weighs the
            inverse of its part: 500, 285.71, 2 and 2.02 with the paper's numbers.
        reduction: What the weighted sum is divided by.
    """

    per_epoch: tuple[int, int, int, int] = (20, 35, 5000, 4945)
    reduction: Reduction = "mean_weight"

    @property
    def weights(self) -> tuple[float, ...]:
        """Of each class; 0 for one that is never drawn."""
        total = sum(self.per_epoch)
        return tuple(total / num if num else 0.0 for num in self.per_epoch)

    @property
    def mean_weight(self) -> float:
        """Over the windows of an epoch: the number of classes that are drawn."""
        return float(sum(num > 0 for num in self.per_epoch))


class PatchObjective(Objective):
    """Stage ``patch``: f_loc alone, scored by its own four outputs."""

    model: Lesion

    def __init__(self, model: Lesion, config: LesionObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        model.aggregate.requires_grad_(False)
        if model.config.frozen_encoder:
            model.local.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "PatchObjective":
        """Training mode for what is trained."""
        super().train(mode)
        if self.model.config.frozen_encoder:
            self.model.local.encoder.eval()
        return self

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch of windows; their maps are not looked at."""
        assert batch.patches is not None
        embedding = self.model.embed(batch.patches)
        logits = self.model.local.head(embedding)
        return _terms(self.model.output(logits, embedding, batch.patches), batch, self.config)


class AggregateObjective(Objective):
    """Stage ``aggregate``: f_agg on the maps, with f_loc frozen as it is measured."""

    model: Lesion

    def __init__(self, model: Lesion, config: LesionObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        model.local.requires_grad_(False)
        model.local.eval()

    def train(self, mode: bool = True) -> "AggregateObjective":
        """Training mode for f_agg alone."""
        super().train(mode)
        self.model.local.eval()
        return self

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch of windows with maps."""
        patches = batch.patches
        assert patches is not None and patches.maps is not None
        with torch.no_grad():
            embedding = self.model.embed(patches)
        maps = input_maps(self.model.config, patches.maps, embedding)
        output = self.model.output(self.model.aggregate(maps), embedding, patches)
        return _terms(output, batch, self.config)


def _terms(output: LesionOutput, batch: ExamBatch, config: LesionObjectiveConfig) -> LossTerms:
    assert batch.patches is not None
    loss = weighted_cross_entropy(
        output.logits,
        batch.patches.targets[PATCH_CLASS],
        config.weights,
        mean_weight=config.mean_weight,
        reduction=config.reduction,
    )
    return LossTerms(total=loss, parts={"cross_entropy": loss}, output=output)
