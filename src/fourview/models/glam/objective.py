"""What GLAM minimises: both views and captions as wholes, and super-patches between the views."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fourview.contract import Encoded, LossTerms
from fourview.losses.contrastive import info_nce, nt_xent, two_way_info_nce
from fourview.losses.glam import patient_loss, position_loss, union_loss
from fourview.models.glam.model import Glam
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GlamObjectiveConfig:
    """Defaults are those of the README; the ablations of its Table 5 are values here and there.

    Attributes:
        text_views: Views that are compared with captions; ``cc`` is the published run's.
        text_weight: Of 1/2 sym; the code has 2, the plain sum of both directions.
        local_negatives: ``both``: the other places of the image, and the same place of other
            patients, as two losses; ``position`` or ``patient`` one of them; ``union`` one softmax
            over both (the paper's Eq. 4).
        local_weight: Of the local loss.
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    text_views: Literal["both", "cc"] = "both"
    text_weight: float = 1.0
    local_negatives: Literal["both", "position", "patient", "union"] = "both"
    local_weight: float = 1.0
    negatives: Negatives = "other_patients"


class GlamObjective(TwoTowerObjective):
    """L(cc, mlo) + 1/2 sym(cc, t) + 1/2 sym(mlo, t) + L_local, from the first step on.

    Each view is compared with its own caption; with the other view's where it has none. A breast
    with one view has only its text loss.
    """

    image_parts: tuple[str, ...] = ("pooled", "grid")

    def __init__(self, model: Glam, config: GlamObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        if model.slices is None:
            self.image_parts = ("pooled",)

    def compare(self, encoded: Encoded) -> LossTerms:
        """The loss of a batch."""
        model: Glam = self.model  # type: ignore[assignment]
        images = model.image_head(encoded.images["pooled"])
        texts = model.text_head(encoded.texts["pooled"])
        scale = model.scale(model.logit_scale)
        image, text = _with_borrowed(encoded)
        parts: dict[str, Tensor] = {}
        views = {"cc_text": 0} if self.config.text_views == "cc" else {"cc_text": 0, "mlo_text": 1}
        for name, position in views.items():
            here = _position(encoded)[image] == position
            rows, captions = image[here], text[here]
            whose = patients_of(encoded, rows, self.config.negatives)
            parts[name] = self.config.text_weight * two_way_info_nce(
                images[rows], texts[captions], scale, whose
            )
        pairs = _pairs(encoded)
        patient = patients_of(encoded, pairs[0], self.config.negatives)
        parts["cc_mlo"] = self._views(encoded, images, pairs, scale, patient)
        if model.slices is not None:
            parts["local"] = self.config.local_weight * self._local(encoded, pairs, patient)
        return LossTerms(total=sum(parts.values(), start=images.new_zeros(())), parts=parts)

    def _views(
        self,
        encoded: Encoded,
        images: Float[Tensor, "image dim"],
        pairs: tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]],
        scale: Float[Tensor, ""],
        patient: Int[Tensor, " pair"] | None,
    ) -> Float[Tensor, ""]:
        model: Glam = self.model  # type: ignore[assignment]
        cc, mlo = pairs
        if model.projector is None:
            return info_nce(images[cc], images[mlo], scale, patient)
        pooled = encoded.images["pooled"]
        sharpness = 1 / model.view_temperature
        return nt_xent(
            model.projector(pooled[cc]), model.projector(pooled[mlo]), sharpness, patient
        )

    def _local(
        self,
        encoded: Encoded,
        pairs: tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]],
        patient: Int[Tensor, " pair"] | None,
    ) -> Float[Tensor, ""]:
        """The mean over both views; 0 where no breast has both."""
        model: Glam = self.model  # type: ignore[assignment]
        assert model.slices is not None
        if not len(pairs[0]):
            return encoded.images["grid"].sum() * 0.0
        grids = (encoded.images["grid"][view] for view in pairs)
        scale = model.scale(model.patch_scale)
        losses = [
            self._of_view(queries, found, scale, patient)
            for queries, found in model.slices(*model.super_patch_grids(*grids))
        ]
        return (losses[0] + losses[1]) / 2

    def _of_view(
        self,
        queries: Float[Tensor, "breast place dim"],
        found: Float[Tensor, "breast place dim"],
        scale: Float[Tensor, ""],
        patient: Int[Tensor, " breast"] | None,
    ) -> Float[Tensor, ""]:
        kind = self.config.local_negatives
        if kind == "union":
            return union_loss(queries, found, scale, patient)
        position = position_loss(queries, found, scale)
        if kind == "position":
            return position
        across = patient_loss(queries, found, scale, patient)
        return across if kind == "patient" else position + across


def _position(encoded: Encoded) -> Int[Tensor, " image"]:
    """0 for CC, 1 for MLO."""
    return encoded.slot // 2


def _pairs(encoded: Encoded) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """CC and MLO of the breasts that have both."""
    partner = encoded.partner()
    paired = (_position(encoded) == 0) & (partner >= 0)
    return torch.arange(len(partner), device=partner.device)[paired], partner[paired]


def _with_borrowed(encoded: Encoded) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"]]:
    """Images and the texts they are compared with: their own, else their breast's other view's."""
    own = encoded.text_image
    texts = torch.arange(len(own), device=own.device)
    told = torch.zeros(len(encoded.exam), dtype=torch.bool, device=own.device)
    told[own] = True
    partner = encoded.partner()[own]
    borrows = (partner >= 0) & ~told[partner]
    return torch.cat([own, partner[borrows]]), torch.cat([texts, texts[borrows]])
