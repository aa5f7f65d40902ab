"""BRAIxMVCCL: the two views of a breast read together.

Paper:    Chen et al. 2022, Multi-view Local Co-occurrence and Global Consistency Learning Improve
          Mammogram Classification Generalisation, MICCAI.
Reads:    ExamBatch.pixels. Every image is read once as main view, with the preferred image of the
          breast's other view as auxiliary; where that view is missing the image is its own
          auxiliary, and ``alone`` says so.
Returns:  image_scores (the image as main), breast_scores (mean over the images of a view, then
          over the views), and what the loss needs.
Shapes:   I images, D features of a cell, K classes.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from fourview.contract import ExamBatch, ModelOutput, task
from fourview.models.mvccl.modules import (
    DepthSlices,
    GlobalConsistency,
    GlobalConsistencyConfig,
    JointSelfAttention,
    LocalCoOccurrence,
)
from fourview.nn.activation_map import explained
from fourview.nn.attention import AttentionConfig, position_codes
from fourview.nn.encoder import Encoder, EncoderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MvcclConfig:
    """Defaults are the paper's values where it gives them, else the choices of the README.

    Attributes:
        task: What is asked: cancer, density.
        encoder: The backbone that both views share.
        views: ``two``, or ``one`` for the single-view row of the ablation.
        local: Which local features are joined: ``lcm`` (the paper's), ``sa`` (self-attention over
            both views), ``slices`` (depth by depth; not in the paper), ``none``.
        gcm: Global consistency, with its loss.
        attention: Sizes of the attention block of ``lcm`` and ``sa``.
        positions: Tell ``lcm`` or ``sa`` where in its view a cell lies; the paper does not.
        consistency: Choices within ``gcm``.
        pooled: Join the pooled features of both views too, where there are others; "Fusion" of the
            ablation's rows may be read so.
        pooling: How those are pooled; the paper leaves it open.
        sa_on: Tokens of ``sa``: all cells, or each view's max pooled features.
        head_dim: Width of the classifier's hidden layer.
        dropout: In the classifier.
    """

    task: str = "cancer"
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    views: Literal["two", "one"] = "two"
    local: Literal["lcm", "sa", "slices", "none"] = "lcm"
    gcm: bool = True
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    positions: bool = False
    consistency: GlobalConsistencyConfig = field(default_factory=GlobalConsistencyConfig)
    pooled: bool = False
    pooling: Literal["mean", "max"] = "mean"
    sa_on: Literal["tokens", "global"] = "tokens"
    head_dim: int = 512
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if self.views == "one" and (self.local != "none" or self.gcm or self.pooled):
            raise ValueError(
                "views='one' has no other view: set local='none', gcm=False and pooled=False"
            )
        if self.positions and self.local not in ("lcm", "sa"):
            raise ValueError("positions=True has no cells to tell: set local to lcm or sa")


@dataclass(frozen=True, slots=True, kw_only=True)
class MvcclOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        logits: Of each image as main view.
        similarity_loss: l_sim of each image's pair; None without gcm. NaN where the view is alone.
        alone: Images whose breast has no other view.
    """

    logits: Float[Tensor, "image class"]
    similarity_loss: Float[Tensor, " image"] | None
    alone: Bool[Tensor, " image"]


Parts = dict[str, list[Tensor]]  # g: z_G; z: local features; pooled: of the views; by image each


class Mvccl(nn.Module):
    """See the module docstring."""

    def __init__(self, config: MvcclConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        self.encoder = Encoder(config.encoder)
        dim = self.encoder.dim
        self.consistency = GlobalConsistency(dim, config.consistency) if config.gcm else None
        self.local: LocalCoOccurrence | JointSelfAttention | DepthSlices | None = None
        if config.local == "lcm":
            self.local = LocalCoOccurrence(dim, config.attention)
        elif config.local == "sa":
            self.local = JointSelfAttention(dim, config.attention, config.sa_on)
        elif config.local == "slices":
            self.local = DepthSlices(dim, config.attention.dim)
        self.head = _classifier(self._joined_dim(dim), self.task.num_classes, config)

    def forward(self, batch: ExamBatch) -> MvcclOutput:
        """Score every image as main view, and both breasts of every exam."""
        features = self.encoder(batch.pixels) if batch.codes is None else batch.codes
        return self.read(features, batch)

    def read(
        self, features: Float[Tensor, "image dim grid_row grid_col"], batch: ExamBatch
    ) -> MvcclOutput:
        """What comes after the backbone."""
        aux, alone = other_views(batch)
        parts, similarity_loss = self.parts(features, aux)
        if similarity_loss is not None:
            similarity_loss = similarity_loss.masked_fill(alone, torch.nan)
        return self.output(parts, batch, alone, similarity_loss)

    def parts(
        self, features: Float[Tensor, "image dim grid_row grid_col"], aux: Int[Tensor, " image"]
    ) -> tuple[Parts, Float[Tensor, " image"] | None]:
        """What is joined for the classifier, and l_sim of each pair; None without gcm.

        Args:
            features: Of every image as main view.
            aux: The image that each is read with.
        """
        parts: Parts = {}
        similarity_loss = None
        if self.consistency is not None:
            greatest = features.amax(dim=(2, 3))
            joined, similarity_loss = self.consistency(greatest, greatest[aux])
            parts["g"] = [joined]
        if isinstance(self.local, DepthSlices):
            parts["z"] = [self.local(features, features[aux])]
        elif self.local is not None:
            parts["z"] = self._local(self.tokens(features), aux)
        if not parts or self.config.pooled:
            is_max = self.config.pooling == "max"
            pooled = features.amax(dim=(2, 3)) if is_max else features.mean(dim=(2, 3))
            parts["pooled"] = [pooled] if self.config.views == "one" else [pooled, pooled[aux]]
        return parts, similarity_loss

    def output(
        self,
        parts: Parts,
        batch: ExamBatch,
        alone: Bool[Tensor, " image"],
        similarity_loss: Float[Tensor, " image"] | None = None,
    ) -> MvcclOutput:
        """What the classifier says of the parts, joined in their order."""
        joined = [vector for vectors in parts.values() for vector in vectors]
        logits = self.head(torch.cat(joined, dim=1)).float()
        image_scores = self.task.scores(logits)
        return MvcclOutput(
            logits=logits,
            similarity_loss=similarity_loss,
            alone=alone,
            image_scores=image_scores,
            breast_scores=batch.per_breast(image_scores),
        )

    def explain(self, batch: ExamBatch) -> ModelOutput:
        """The same output with a class-activation heatmap of every image."""
        return explained(batch, self.encoder, self.read)

    def tokens(
        self, features: Float[Tensor, "image dim grid_row grid_col"]
    ) -> Float[Tensor, "image token dim"]:
        """The cells of each image, as ``local`` is given them."""
        tokens = features.flatten(2).transpose(1, 2)
        return tokens + position_codes(features) if self.config.positions else tokens

    def _local(self, tokens: Tensor, aux: Int[Tensor, " image"]) -> list[Tensor]:
        """z_m and z_a of every image; each pair of views goes through the block once."""
        main = torch.arange(len(aux), device=aux.device)
        if isinstance(self.local, JointSelfAttention):
            return _once_a_pair(self.local, tokens, main, aux)
        assert isinstance(self.local, LocalCoOccurrence)
        both_ways = torch.cat([torch.stack([main, aux]), torch.stack([aux, main])], dim=1)
        pairs, where = torch.unique(both_ways, dim=1, return_inverse=True)
        z = self.local(tokens[pairs[0]], tokens[pairs[1]])
        return [z[where[: len(aux)]], z[where[len(aux) :]]]

    def _joined_dim(self, dim: int) -> int:
        total = dim if self.consistency is not None else 0
        if self.local is not None:
            total += self.local.dim * (1 if isinstance(self.local, DepthSlices) else 2)
        if not total or self.config.pooled:
            total += dim if self.config.views == "one" else 2 * dim
        return total


def other_views(batch: ExamBatch) -> tuple[Int[Tensor, " image"], Bool[Tensor, " image"]]:
    """The image that each is read with, itself where its breast has no other view; and where so."""
    partner = batch.partner()
    alone = partner < 0
    return torch.where(alone, torch.arange(len(partner), device=partner.device), partner), alone


def encoder_of(model: Mvccl, _settings: Any) -> Encoder:
    """What stage ``heads`` leaves as it is."""
    return model.encoder


def _once_a_pair(
    attend: JointSelfAttention, tokens: Tensor, main: Int[Tensor, " image"], aux: Tensor
) -> list[Tensor]:
    """s_m and s_a of every image; the block gives the same for both orders of a pair, swapped."""
    first_second = torch.stack([torch.minimum(main, aux), torch.maximum(main, aux)])
    pairs, where = torch.unique(first_second, dim=1, return_inverse=True)
    of_first, of_second = (s[where] for s in attend(tokens[pairs[0]], tokens[pairs[1]]))
    swapped = (main > aux)[:, None]
    return [
        torch.where(swapped, of_second, of_first),
        torch.where(swapped, of_first, of_second),
    ]


def _classifier(dim: int, num_classes: int, config: MvcclConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, config.head_dim),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.head_dim, num_classes),
    )


TINY = MvcclConfig(
    encoder=EncoderConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    attention=AttentionConfig(dim=8, heads=2),
    head_dim=8,
    dropout=0.0,
)
