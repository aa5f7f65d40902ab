"""What NYU's GLAM minimises: cross entropies of both looks, together or one after the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.gmic import cross_entropy_of_scores, sparsity
from fourview.models.nyu_glam.model import NyuGlam, NyuGlamOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class NyuGlamObjectiveConfig:
    """Weights of the loss; how the paper's were is not known here.

    Attributes:
        sparsity_weight: Of the mean of the maps of each part that is trained.
    """

    sparsity_weight: float = 1e-4


class JointObjective(Objective):
    """Both networks at once ("joint")."""

    whole, close = True, True

    def __init__(self, model: NyuGlam, config: NyuGlamObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.labels = tuple(model.task.labels)

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; what is unknown of an image does not count."""
        output: NyuGlamOutput = self.model(batch)
        assert output.image_scores is not None
        targets = torch.stack([batch.target_of_images(label) for label in self.labels], dim=1)
        parts: dict[str, Tensor] = {}
        maps: list[Tensor] = []
        if self.whole:
            parts["global"] = cross_entropy_of_scores(output.image_scores, targets)
            maps += output.scale_maps
        if self.close:
            parts["local"] = cross_entropy_of_scores(output.local_scores, targets)
            maps.append(output.local_map)
        total = torch.stack(list(parts.values())).sum()
        parts["sparsity"] = torch.stack([sparsity(m) for m in maps]).mean()
        total = total + self.config.sparsity_weight * parts["sparsity"]
        return LossTerms(total=total, parts=parts, output=output)


class GlobalObjective(JointObjective):
    """The look at the whole image alone, first of the two ("sep")."""

    close = False


class LocalObjective(JointObjective):
    """The close look alone, after the other; what chooses where to look is left as it is."""

    whole = False

    def train(self, mode: bool = True) -> "LocalObjective":
        """As any objective, but the statistics of the network that is left do not move."""
        super().train(mode)
        self.model.get_submodule("global_network").eval()
        return self
