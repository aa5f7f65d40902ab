"""What BRAIxMVCCL minimises: cross entropy plus the similarity of the two views (Eq. 1).

The similarity itself, Eq. 2, is computed by ``modules.GlobalConsistency``.
"""

from dataclasses import dataclass

from torch import Tensor

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.classification import masked_cross_entropy
from fourview.models.mvccl.model import Mvccl, MvcclOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class MvcclObjectiveConfig:
    """Weights of the loss.

    Attributes:
        similarity_weight: Of l_sim; the paper adds it with weight 1.
        positive_weight: Of cancers in the cross entropy; the paper states no balancing.
    """

    similarity_weight: float = 1.0
    positive_weight: float = 1.0


class MvcclObjective(Objective):
    """Mean over the ordered pairs of BCE + l_sim.

    Every image is the main view of one ordered pair, so both orders of every breast are trained.
    Differs from the printed Eq. 1, whose cross entropy repeats log p and divides by D: this is the
    ordinary one. Where a breast has one view there is nothing to compare and l_sim is left out.
    """

    def __init__(self, model: Mvccl, config: MvcclObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.task = model.task

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: MvcclOutput = self.model(batch)
        parts: dict[str, Tensor] = {
            "cross_entropy": masked_cross_entropy(
                output.logits,
                batch.target_of_images(self.task.name),
                positive_weight=self.config.positive_weight,
            )
        }
        total = parts["cross_entropy"]
        if output.similarity_loss is not None:
            compared = output.similarity_loss[~output.alone]
            parts["similarity"] = compared.sum() / max(len(compared), 1)
            total = total + self.config.similarity_weight * parts["similarity"]
        return LossTerms(total=total, parts=parts, output=output)


class HeadsObjective(MvcclObjective):
    """The same, while the encoder stays as it was given: its codes are made once and kept."""

    def __init__(self, model: Mvccl, config: MvcclObjectiveConfig) -> None:
        super().__init__(model, config)
        model.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "HeadsObjective":
        """As any objective, but the encoder's statistics do not move."""
        super().train(mode)
        self.model.get_submodule("encoder").eval()
        return self
