"""Cross entropy of every image against its breast's label."""

from dataclasses import dataclass

from fourview.contract import ExamBatch, LossTerms, Objective
from fourview.losses.classification import masked_cross_entropy
from fourview.models.single_view.model import SingleView, SingleViewOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleViewObjectiveConfig:
    """Settings of the loss.

    Attributes:
        positive_weight: Of cancers in the cross entropy; 1 states no balancing.
    """

    positive_weight: float = 1.0


class SingleViewObjective(Objective):
    """Mean cross entropy over the images whose breast has a label."""

    def __init__(self, model: SingleView, config: SingleViewObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        self.task = model.task

    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch."""
        output: SingleViewOutput = self.model(batch)
        loss = masked_cross_entropy(
            output.logits,
            batch.target_of_images(self.task.name),
            positive_weight=self.config.positive_weight,
        )
        return LossTerms(total=loss, parts={"cross_entropy": loss}, output=output)
