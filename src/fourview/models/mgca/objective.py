"""What MGCA minimises: instance, token and prototype losses."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourview.contract import Encoded, LossTerms
from fourview.losses.contrastive import two_way_info_nce
from fourview.losses.mgca import importance, prototype_loss, token_loss
from fourview.models.mgca.model import Mgca
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MgcaObjectiveConfig:
    """Weights: 1, 1, 1 is the default of the published command line.

    Attributes:
        instance_weight: Of sym, the sum of both directions.
        token_weight: Of words with tokens (the paper: 0.7).
        prototype_weight: Of the prototypes (the paper: 0.5).
        token_temperature: Of attention and loss of the token part.
        prototype_temperature: Of the prototype part.
        prototypes_from: Part of the run's steps in which prototypes stay as they are (an epoch of
            fifty).
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    instance_weight: float = 1.0
    token_weight: float = 1.0
    prototype_weight: float = 1.0
    token_temperature: float = 0.1
    prototype_temperature: float = 0.2
    prototypes_from: float = 0.02
    negatives: Negatives = "other_patients"


class MgcaObjective(TwoTowerObjective):
    """An image and its caption as wholes, by words and patches, and by their cluster."""

    image_parts: tuple[str, ...] = ("pooled", "tokens")
    text_parts: tuple[str, ...] = ("pooled", "tokens", "mask", "word", "attention")

    def __init__(self, model: Mgca, config: MgcaObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: Mgca = self.model  # type: ignore[assignment]
        config, rows = self.config, encoded.text_image
        images = model.image_head(encoded.images["pooled"][rows])
        texts = model.text_head(encoded.texts["pooled"])
        patient = patients_of(encoded, rows, config.negatives)
        scale = model.scale(model.logit_scale)
        words, present, weights = words_of(
            encoded.texts["tokens"], encoded.texts["word"], encoded.texts["attention"]
        )
        early = self.training and self.progress < config.prototypes_from
        parts = {
            "instance": 2  # the published loss adds both directions, this one has their mean
            * config.instance_weight
            * two_way_info_nce(images, texts, scale, patient),
            "token": config.token_weight
            * token_loss(
                model.local_text.of_sentences(words, present),
                present,
                model.local_image.of_tokens(encoded.images["tokens"][rows]),
                importance(weights, present),
                config.token_temperature,
            ),
            "prototype": config.prototype_weight
            * prototype_loss(
                images,
                texts,
                model.prototypes.detach() if early else model.prototypes,
                config.prototype_temperature,
            ),
        }
        return LossTerms(total=sum(parts.values(), start=images.new_zeros(())), parts=parts)


def words_of(
    tokens: Float[Tensor, "text token dim"],
    word: Int[Tensor, "text token"],
    attention: Float[Tensor, "text token"],
) -> tuple[Float[Tensor, "text word dim"], Bool[Tensor, "text word"], Float[Tensor, "text word"]]:
    """Words as sums of their tokens, which there are, and the attention that each gets.

    Special tokens and padding (word -1) are no words. What ends a joined batch may be padded with
    word 0: its tokens are 0 there, and so is its attention.
    """
    count = max(int(word.max()) + 1, 1)
    numbers = torch.arange(count, device=word.device)
    member = (word[:, None, :] == numbers[None, :, None]).to(tokens.dtype)
    joined = torch.einsum("twn,tnd->twd", member, tokens)
    looked_at = torch.einsum("twn,tn->tw", member, attention)
    return joined, member.any(dim=2), looked_at
