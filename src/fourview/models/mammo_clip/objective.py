"""What Mammo-CLIP minimises: both views with both texts, views with each other, texts too."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourview.contract import Encoded, LossTerms
from fourview.losses.mammo_clip import multi_view_loss
from fourview.models.mammo_clip.model import MammoClip
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MammoClipObjectiveConfig:
    """Weights of the paper.

    Attributes:
        image_weight: Of the two views with each other.
        text_weight: Of the two texts with each other.
        negatives: Rows of one patient are no negatives of each other; ``all`` is the code's.
    """

    image_weight: float = 1.0
    text_weight: float = 0.5
    negatives: Negatives = "other_patients"


class MammoClipObjective(TwoTowerObjective):
    """A row is a captioned image with its item's other image, and its first and last caption.

    An image that is alone is its own other view, and a single caption its own second one, as in
    the published data set (where the copy is augmented again).
    """

    def __init__(self, model: MammoClip, config: MammoClipObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config

    def encode_images(self, pixels: Float[Tensor, "image 1 row col"]) -> dict[str, Tensor]:
        """Pooled features."""
        model: MammoClip = self.model  # type: ignore[assignment]
        return {"pooled": model.dropout(model.look(pixels).pooled)}

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: MammoClip = self.model  # type: ignore[assignment]
        image, first, last = _rows(encoded.text_image)
        other = encoded.other()[image]
        other = torch.where(other >= 0, other, image)
        images = model.image_head(encoded.images["pooled"])
        texts = model.text_head(encoded.texts["pooled"])
        cross_modal, views, captions = multi_view_loss(
            (images[image], images[other]),
            (texts[first], texts[last]),
            model.scale(model.logit_scale),
            patients_of(encoded, image, self.config.negatives),
            image_weight=self.config.image_weight,
            text_weight=self.config.text_weight,
        )
        parts = {"image_text": cross_modal, "image_image": views, "text_text": captions}
        return LossTerms(total=cross_modal + views + captions, parts=parts)


def _rows(
    text_image: Int[Tensor, " text"],
) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"], Int[Tensor, " row"]]:
    """Images with a caption, and the first and the last caption of each."""
    image, row = torch.unique(text_image, return_inverse=True)
    here = torch.arange(len(text_image), device=text_image.device)
    last = torch.zeros_like(image).scatter_reduce(0, row, here, reduce="amax", include_self=False)
    first = torch.zeros_like(image).scatter_reduce(0, row, here, reduce="amin", include_self=False)
    return image, first, last
