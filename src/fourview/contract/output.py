"""What a model says, and what training minimises.

Shapes:  I images, E exams, 2 breasts (right, left), K classes, P patches, F findings, B boxes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor, nn

from fourview.contract.batch import ExamBatch

NO_CLASS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedBoxes:
    """Boxes that a detector drew on the images of a batch, ragged by index.

    Attributes:
        image: Index in the batch of the image that a box is on.
        corners: x0 y0 x1 y1 in processed pixels of that image.
        label: Index into the task's classes; NO_CLASS for a box of something that is not asked,
            which is shown to nobody.
        score: That the box is of its class, in [0, 1].
    """

    image: Int[Tensor, " box"]
    corners: Float[Tensor, "box 4"]
    label: Int[Tensor, " box"]
    score: Float[Tensor, " box"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """What a model says. Scores are in [0, 1], not logits; None where a family has none.

    Attributes:
        breast_scores: NaN for a breast without images.
        image_scores: Scores by image, in the order of the batch.
        heatmaps: Heatmaps in [0, 1], over a grid that covers each processed image evenly; of the
            first classes, or of all.
        boxes: Boxes of a detector; None of any other family.
        patch_scores: Scores by patch, in the order of the batch's patches; their classes may be
            others than an image's.
        finding_scores: Scores by finding, in the order of the batch's findings; NaN for one without
            patches.
        saliency: Maps as the network has them, for another network that reads them as context:
            neither scaled to a score nor moved; None where the heatmaps are those.
    """

    breast_scores: Float[Tensor, "exam 2 class"] | None = None
    image_scores: Float[Tensor, "image class"] | None = None
    heatmaps: Float[Tensor, "image mapped grid_row grid_col"] | None = None
    boxes: DetectedBoxes | None = None
    patch_scores: Float[Tensor, "patch patch_class"] | None = None
    finding_scores: Float[Tensor, "finding class"] | None = None
    saliency: Float[Tensor, "image map cell_row cell_col"] | None = None

    @property
    def maps(self) -> Float[Tensor, "image map cell_row cell_col"] | None:
        """What another network reads as context: the saliency, else the heatmaps."""
        return self.heatmaps if self.saliency is None else self.saliency


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """What training minimises.

    Attributes:
        total: The loss.
        parts: The parts that it is the weighted sum of, for the log.
        output: What the model said meanwhile; None where it only pre-trains.
    """

    total: Float[Tensor, ""]
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    output: ModelOutput | None = None


class Objective(nn.Module, ABC):
    """A model with the loss of one training stage; ``model`` is what is kept.

    Attributes:
        progress: Part of the run's steps that are done, in [0, 1]; the loop sets it before each
            step, so that what changes during a run also does in one that was stopped and resumed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.progress = 1.0

    def remarks(self, batch: ExamBatch) -> tuple[str, ...]:  # noqa: ARG002 - most have none
        """What a person should know of some samples of the training part, before it is trained."""
        return ()

    @abstractmethod
    def forward(self, batch: ExamBatch) -> LossTerms:
        """The loss of a batch; finite also where every target is NaN."""
