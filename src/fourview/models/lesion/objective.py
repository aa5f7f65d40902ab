"""What the two stages minimise: weighted cross entropy of four classes of windows."""

from dataclasses import dataclass

import torch

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.weighted import Reduction, weighted_cross_entropy
from fourview.models.lesion.model import Lesion, LesionOutput, input_maps

PATCH_CLASS = "patch_class"
PAPER = (20, 35, 5000, 4945)  # windows of each class in an epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionObjectiveConfig:
    """How classes are weighed.

    Attributes:
        reduction: What the weighted sum is divided by.
    """

    reduction: Reduction = "mean_weight"


@dataclass(frozen=True, slots=True)
class ClassWeights:
    """A class weighs the inverse of its part of an epoch: 500, 285.71, 2 and 2.02 in the paper.

    Attributes:
        per_epoch: Windows of each class in an epoch, as the feed draws them.
    """

    per_epoch: tuple[int, ...]

    @property
    def weights(self) -> tuple[float, ...]:
        """Of each class; 0 for one that is never drawn."""
        total = sum(self.per_epoch)
        return tuple(total / num if num else 0.0 for num in self.per_epoch)

    @property
    def mean(self) -> float:
        """Over the windows of an epoch: the number of classes that are drawn."""
        return float(sum(num > 0 for num in self.per_epoch))


class PatchObjective(Objective):
    """Stage ``patch``: f_loc alone, scored by its own four outputs."""

    model: Lesion

    def __init__(
        self,
        model: Lesion,
        config: LesionObjectiveConfig,
        *,
        per_epoch: tuple[int, ...] = PAPER,
    ) -> None:
        super().__init__(model)
        self.config, self.classes = config, ClassWeights(per_epoch)
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
        return _terms(self.model.output(logits, embedding, batch.patches), batch, self)


class AggregateObjective(Objective):
    """Stage ``aggregate``: f_agg on the maps, with f_loc frozen as it is measured."""

    model: Lesion

    def __init__(
        self,
        model: Lesion,
        config: LesionObjectiveConfig,
        *,
        per_epoch: tuple[int, ...] = PAPER,
    ) -> None:
        super().__init__(model)
        self.config, self.classes = config, ClassWeights(per_epoch)
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
        return _terms(output, batch, self)


def _terms(
    output: LesionOutput, batch: ExamBatch, by: PatchObjective | AggregateObjective
) -> LossTerms:
    assert batch.patches is not None
    loss = weighted_cross_entropy(
        output.logits,
        batch.patches.targets[PATCH_CLASS],
        by.classes.weights,
        mean_weight=by.classes.mean,
        reduction=by.config.reduction,
    )
    return LossTerms(total=loss, parts={"cross_entropy": loss}, output=output)
