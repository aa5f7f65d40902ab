"""What MaMA minimises: image pairs, image and text, and their local alignment."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourview.contract import Encoded, LossTerms
from fourview.losses.contrastive import info_nce, nt_xent, two_way_info_nce
from fourview.losses.mama import Kinds, LossScale, symmetric_local_alignment
from fourview.models.mama.model import Mama, MamaConfig
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MamaObjectiveConfig:
    """Defaults are the paper's; the ablations of its Table 4 are values here and in the model.

    Attributes:
        symmetric: Compare the second image with the caption too.
        local_kinds: Which half of the local alignment: ``visual`` has sentences look for tokens,
            ``text`` tokens for sentences, ``both``.
        local_weight: Of the local alignment once it is on.
        view_weight: Of image pairs.
        delta: Part of the run's steps after which the local alignment is added (8,000 of 40,000).
        delta_gates: ``local``, or ``all``: image pairs and the second image's text loss wait too,
            as in the code.
        loss_scale: ``reference`` sums both directions where the paper takes their mean: twice the
            image-text terms, four times the local one.
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    symmetric: bool = True
    local_kinds: Kinds = "both"
    local_weight: float = 1.0
    view_weight: float = 1.0
    delta: float = 0.2
    delta_gates: Literal["local", "all"] = "local"
    loss_scale: LossScale = "paper"
    negatives: Negatives = "other_patients"


class MamaObjective(TwoTowerObjective):
    """L_VV + L_VT(v, t) + L_VT(v~, t) + w L_local, with w = 0 up to delta (the paper's Eq. 4).

    An image that is alone in its item has no L_VV and no second L_VT. In validation everything is
    on, so that checkpoints from before and after delta can be compared.
    """

    image_parts: tuple[str, ...] = ("pooled", "tokens")
    text_parts: tuple[str, ...] = ("pooled", "sentences", "sentence_mask")

    def __init__(self, model: Mama, config: MamaObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        if not _config(model).local:
            self.image_parts, self.text_parts = ("pooled",), ("pooled",)

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: Mama = self.model  # type: ignore[assignment]
        config = self.config
        late = self.training and self.progress < config.delta
        first_only = late and config.delta_gates == "all"
        rows = encoded.text_image
        other = encoded.other()[rows]
        has = other >= 0
        patient = patients_of(encoded, rows, config.negatives)
        paired = None if patient is None else patient[has]
        images = model.image_head(encoded.images["pooled"])
        texts = model.text_head(encoded.texts["pooled"])
        scale = model.scale(model.logit_scale)
        twice = 2.0 if config.loss_scale == "reference" else 1.0
        parts = {"image_text": twice * two_way_info_nce(images[rows], texts, scale, patient)}
        if config.symmetric and not first_only:
            parts["other_text"] = twice * two_way_info_nce(
                images[other[has]], texts[has], scale, paired
            )
        if _config(model).view_loss != "none" and not first_only:
            parts["image_image"] = config.view_weight * self._views(
                encoded, images, (rows[has], other[has]), paired
            )
        if model.local_image is not None and not late:
            parts["local"] = config.local_weight * self._local(encoded, patient)
        return LossTerms(total=sum(parts.values(), start=images.new_zeros(())), parts=parts)

    def _views(
        self,
        encoded: Encoded,
        images: Float[Tensor, "image dim"],
        pairs: tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]],
        patient: Int[Tensor, " pair"] | None,
    ) -> Float[Tensor, ""]:
        model: Mama = self.model  # type: ignore[assignment]
        one, other = pairs
        scale = model.scale(model.view_scale)
        if model.projector is None:
            return info_nce(images[one], images[other], scale, patient)
        pooled = encoded.images["pooled"]
        return nt_xent(model.projector(pooled[other]), model.projector(pooled[one]), scale, patient)

    def _local(self, encoded: Encoded, patient: Int[Tensor, " row"] | None) -> Float[Tensor, ""]:
        model: Mama = self.model  # type: ignore[assignment]
        assert model.local_image is not None and model.local_text is not None
        present: Bool[Tensor, "row sentence"] = encoded.texts["sentence_mask"]
        return symmetric_local_alignment(
            model.local_image.of_tokens(encoded.images["tokens"][encoded.text_image]),
            model.local_text.of_sentences(encoded.texts["sentences"], present),
            present,
            model.scale(model.local_scale),
            patient,
            kinds=self.config.local_kinds,
            weights=self.config.loss_scale,
        )


def _config(model: Mama) -> MamaConfig:
    config: MamaConfig = model.config  # type: ignore[assignment]
    return config
