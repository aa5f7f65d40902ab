"""What GLAM minimises: both views and captions as wholes, and super-patches between the views."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourview.contract import Encoded, ExamBatch, LossTerms
from fourview.losses.contrastive import info_nce, nt_xent, two_way_info_nce
from fourview.losses.glam import patient_loss, position_loss, union_loss
from fourview.models.glam.model import Glam
from fourview.nn.two_tower import Negatives, TwoTowerObjective, patients_of

FILLED = 0.1  # part of a super-patch from which ``remarks`` counts it, without least_tissue


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
        least_tissue: Part of a super-patch that must be breast for it to count: others, and those
            whose column of the other view has none that counts, are left out of the local loss
            and of its negatives. 0 takes all, as published, the empty ones too.
        negatives: Rows of one patient are no negatives of each other, or all rows are.
    """

    text_views: Literal["both", "cc"] = "both"
    text_weight: float = 1.0
    local_negatives: Literal["both", "position", "patient", "union"] = "both"
    local_weight: float = 1.0
    least_tissue: float = 0.0
    negatives: Negatives = "other_patients"


class GlamObjective(TwoTowerObjective):
    """L(cc, mlo) + 1/2 sym(cc, t) + 1/2 sym(mlo, t) + L_local, from the first step on.

    Each view is compared with its own caption; with the other view's where it has none. A breast
    with one view has only its text loss.
    """

    image_parts: tuple[str, ...] = ("pooled", "grid")
    tissue = False  # whether the part of each super-patch that is breast is asked for

    def __init__(self, model: Glam, config: GlamObjectiveConfig) -> None:
        super().__init__(model)
        self.config = config
        if not 0 <= config.least_tissue <= 1:
            raise ValueError(f"least_tissue is {config.least_tissue}, need 0 to 1")
        if model.slices is None:
            self.image_parts = ("pooled",)
        self.tissue = model.slices is not None and config.least_tissue > 0

    def remarks(self, batch: ExamBatch) -> tuple[str, ...]:
        """How much of the super-patches is breast: empty ones have nothing to find."""
        model: Glam = self.model  # type: ignore[assignment]
        if model.slices is None or not batch.num_images:
            return ()
        least = self.config.least_tissue or FILLED
        filled = model.tissue(batch.pixels) >= least
        places = filled.sum(dim=(1, 2)).float()
        columns = filled.any(dim=1).sum(dim=1).float()
        used = "left out" if self.tissue else "kept: objective.least_tissue leaves them out"
        return (
            f"breast fills {places.median():.0f} of {filled[0].numel()} super-patches and "
            f"{columns.median():.0f} of {filled.shape[2]} columns of a median image, "
            f"{100 * filled.float().mean():.0f} % of all (at least {100 * least:.0f} % of each); "
            f"empty ones are {used}",
        )

    def encode_images(self, pixels: Float[Tensor, "image 1 row col"]) -> dict[str, Tensor]:
        """The parts that are compared, and where the breast is."""
        parts = super().encode_images(pixels)
        model: Glam = self.model  # type: ignore[assignment]
        return parts | {"tissue": model.tissue(pixels)} if self.tissue else parts

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
            return encoded.images["grid"].sum() * 0.0  # 0 with a gradient of zeros
        grids = (encoded.images["grid"][view] for view in pairs)
        scale = model.scale(model.patch_scale)
        present: tuple[Bool[Tensor, "pair place"] | None, ...] = (None, None)
        if self.tissue:
            filled = (encoded.images["tissue"][v] >= self.config.least_tissue for v in pairs)
            present = model.slices.present(*filled)
        losses = [
            self._of_view(queries, matched, scale, patient, there)
            for (queries, matched), there in zip(
                model.slices(*model.super_patch_grids(*grids)), present, strict=True
            )
        ]
        return (losses[0] + losses[1]) / 2

    def _of_view(
        self,
        queries: Float[Tensor, "breast place dim"],
        matched: Float[Tensor, "breast place dim"],
        scale: Float[Tensor, ""],
        patient: Int[Tensor, " breast"] | None,
        present: Bool[Tensor, "breast place"] | None,
    ) -> Float[Tensor, ""]:
        kind = self.config.local_negatives
        if kind == "union":
            return union_loss(queries, matched, scale, patient, present)
        position = position_loss(queries, matched, scale, present)
        if kind == "position":
            return position
        across = patient_loss(queries, matched, scale, patient, present)
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
    has_own = torch.zeros(len(encoded.exam), dtype=torch.bool, device=own.device)
    has_own[own] = True
    partner = encoded.partner()[own]
    borrows = (partner >= 0) & ~has_own[partner]
    return torch.cat([own, partner[borrows]]), torch.cat([texts, texts[borrows]])
