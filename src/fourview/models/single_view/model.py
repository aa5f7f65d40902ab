"""One view at a time: any timm encoder, mean pooling, one linear layer.

Paper:    the single-view baseline of Chen et al. 2022 (EfficientNet-B0 there, its Table 1).
Reads:    ExamBatch.pixels; each image on its own.
Returns:  image_scores, and breast_scores as the mean over the images of a view, then the views.
Shapes:   I images, D features of a cell, K classes.
"""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.nn.activation_map import explained
from fourview.nn.encoder import Encoder, EncoderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleViewConfig:
    """Defaults are the paper's baseline.

    Attributes:
        task: What is asked: cancer, density.
        encoder: The backbone.
        dropout: Before the linear layer.
    """

    task: str = "cancer"
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    dropout: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleViewOutput(ModelOutput):
    """Adds what the loss needs."""

    logits: Float[Tensor, "image class"]


class SingleView(nn.Module):
    """See the module docstring."""

    def __init__(self, config: SingleViewConfig) -> None:
        super().__init__()
        self.task = task(config.task)
        self.encoder = Encoder(config.encoder)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.encoder.dim, self.task.num_classes)

    def forward(self, batch: ExamBatch) -> SingleViewOutput:
        """Score every image, and both breasts of every exam."""
        return self.read(self.encoder(batch.pixels), batch)

    def read(
        self, features: Float[Tensor, "image dim grid_row grid_col"], batch: ExamBatch
    ) -> SingleViewOutput:
        """What comes after the backbone."""
        logits = self.head(self.dropout(features.mean(dim=(2, 3)))).float()
        image_scores = self.task.scores(logits)
        return SingleViewOutput(
            logits=logits,
            image_scores=image_scores,
            breast_scores=batch.per_breast(image_scores),
        )

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with a class-activation heatmap of every image."""
        return explained(batch, self.encoder, self.read)


TINY = SingleViewConfig(encoder=EncoderConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)))
