"""What CLIP, SLIP and ConVIRT minimise."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fourview.contract import Encoded, LossTerms, TextBatch
from fourview.losses.contrastive import nt_xent, two_way_info_nce
from fourview.models.clip.model import Clip
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipObjectiveConfig:
    """Weights of the losses.

    Attributes:
        image_weight: Of the way from image to text; the rest is the way back (ConVIRT: 0.75).
        pair_weight: Of the loss between two images of an item, where the model has a projector
            (SLIP: 1).
        pair_temperature: Of that loss; SLIP's paper has 0.1, the code of MaMA 0.5.
        text: The whole caption, or in training one of its sentences at random (ConVIRT).
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    image_weight: float = 0.5
    pair_weight: float = 1.0
    pair_temperature: float = 0.5
    text: Literal["caption", "sentence"] = "caption"
    negatives: Negatives = "other_patients"


class ClipObjective(TwoTowerObjective):
    """An image and its caption find each other in the batch; two of its augmentations too."""

    def __init__(self, model: Clip, config: ClipObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config

    def encode_texts(self, text: TextBatch) -> dict[str, Tensor]:
        """Of the caption, or of one of its sentences."""
        if self.config.text == "sentence" and self.training:
            text = one_sentence(text)
        return super().encode_texts(text)

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: Clip = self.model  # type: ignore[assignment]
        rows = encoded.text_image
        patient = patients_of(encoded, rows, self.config.negatives)
        pooled = encoded.images["pooled"]
        parts = {
            "image_text": two_way_info_nce(
                model.image_head(pooled[rows]),
                model.text_head(encoded.texts["pooled"]),
                model.scale(model.logit_scale),
                patient,
                left_weight=self.config.image_weight,
            )
        }
        total = parts["image_text"]
        if model.projector is not None:
            other = encoded.other()[rows]
            has = other >= 0
            parts["image_image"] = nt_xent(
                model.projector(pooled[other[has]]),
                model.projector(pooled[rows[has]]),
                1 / self.config.pair_temperature,
                None if patient is None else patient[has],
            )
            total = total + self.config.pair_weight * parts["image_image"]
        return LossTerms(total=total, parts=parts)


def one_sentence(text: TextBatch) -> TextBatch:
    """Each text with all but its first token and one sentence, drawn evenly, hidden."""
    count = text.sentence.amax(dim=1) + 1
    drawn = torch.rand(len(count), device=count.device) * count
    chosen = text.sentence == drawn.long()[:, None]
    first = torch.zeros_like(text.mask)
    first[:, 0] = True
    return replace(text, mask=text.mask & (chosen | first))
