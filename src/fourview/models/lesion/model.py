"""Lesion network: a window of a finding, and where it lies in what a context network saw.

Paper:    Wu et al. 2020, Reducing false-positive biopsies with deep neural networks that utilize
          local and global information in screening mammograms, arXiv:2009.09282.
Reads:    ExamBatch.patches: pixels (or codes of them), and over a grid of the image the part of
          each cell that the window covers, followed by the context network's heatmaps.
Returns:  patch_scores of CLASSES, and finding_scores: the mean over a finding's windows of
          p(malignant) / (p(malignant) + p(benign)).
Shapes:   P patches, F findings, D embedding, C maps of the context, G x H grid.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fourview.contract import ExamBatch, ModelOutput, PatchBatch, task
from fourview.errors import RecipeError
from fourview.nn.encoder import Encoder, EncoderConfig

CLASSES = ("malignant", "benign", "outside", "negative")
MALIGNANT, BENIGN = 0, 1
AT_A_TIME = 128  # windows that are encoded together where nothing is trained, to bound the memory
Input = Literal["location", "coordinates", "embedding", "saliency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionConfig:
    """Defaults are the paper's best network.

    Attributes:
        task: The findings' label.
        encoder: Of f_loc; the paper's with ImageNet weights.
        dim: Of the embedding h.
        embedding_relu: Cut the negative part of h off; the paper does not say.
        inputs: Which maps f_agg reads: the paper's are ``location``, ``embedding`` and
            ``saliency``. f_agg averages over the grid, so of ``location`` it sees little but how
            near a window is to the image's edge; ``coordinates`` says row and column.
        num_context: Heatmaps of the context network: GMIC's malignant and benign.
        channels: Of both convolutions of f_agg.
        frozen_encoder: Train only what comes after the encoder; for few findings and weights from
            elsewhere. The paper trains it whole.
        input_norm: The batch norm and ReLU that f_agg begins with, on its raw maps.
    """

    task: str = "malignant"
    encoder: EncoderConfig = field(
        default_factory=lambda: EncoderConfig(name="densenet161", weights="imagenet")
    )
    dim: int = 32
    embedding_relu: bool = False
    inputs: tuple[Input, ...] = ("embedding", "saliency")
    num_context: int = 2
    channels: int = 32
    frozen_encoder: bool = False
    input_norm: bool = True

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"inputs are {self.inputs}; need at least one, each once")

    @property
    def num_maps(self) -> int:
        """M, channels that f_agg reads."""
        sizes = {
            "location": 1,
            "coordinates": 2,
            "embedding": self.dim,
            "saliency": self.num_context,
        }
        return sum(sizes[name] for name in self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionOutput(ModelOutput):
    """Adds what the loss needs.

    Attributes:
        logits: Of CLASSES.
        embedding: h.
    """

    logits: Float[Tensor, "patch 4"]
    embedding: Float[Tensor, "patch dim"]


class Lesion(nn.Module):
    """See the module docstring."""

    def __init__(self, config: LesionConfig) -> None:
        super().__init__()
        self.config = config
        self.task = task(config.task)
        self.local = Local(config)
        self.aggregate = Aggregate(config)

    def forward(self, batch: ExamBatch) -> LesionOutput:
        """Score windows and findings: by f_agg where the windows bring maps, by f_loc else.

        Raises:
            RecipeError: The batch has no patches.
        """
        patches = batch.patches
        if patches is None:
            raise RecipeError("the lesion network reads patches; give it the feed 'patches'")
        embedding = self.embed(patches)
        if patches.maps is None:
            return self.output(self.local.head(embedding), embedding, patches)
        maps = input_maps(self.config, patches.maps, embedding)
        return self.output(self.aggregate(maps), embedding, patches)

    def embed(self, patches: PatchBatch) -> Float[Tensor, "patch dim"]:
        """H of each window: from what was saved of it, where it was, else from its pixels."""
        if patches.codes is not None:
            return self.local.embed(patches.codes)
        assert patches.pixels is not None
        if self.training or torch.is_grad_enabled():
            h: Tensor = self.local(patches.pixels)
            return h
        return torch.cat([self.local(some) for some in torch.split(patches.pixels, AT_A_TIME)])

    def output(
        self,
        logits: Float[Tensor, "patch 4"],
        embedding: Float[Tensor, "patch dim"],
        patches: PatchBatch,
    ) -> LesionOutput:
        """Scores of logits."""
        logits = logits.float()
        malignant = (logits[:, MALIGNANT] - logits[:, BENIGN]).sigmoid()  # p_m / (p_m + p_b)
        return LesionOutput(
            logits=logits,
            embedding=embedding,
            patch_scores=logits.softmax(dim=1),
            finding_scores=mean_by_finding(malignant, patches)[:, None],
        )


class WindowEncoder(nn.Module):
    """An encoder and the mean over the window."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.body = Encoder(config)
        self.dim = self.body.dim

    def forward(self, pixels: Float[Tensor, "patch 1 side side"]) -> Float[Tensor, "patch feature"]:
        """The features of each window."""
        features: Tensor = self.body(pixels)
        return features.float().mean(dim=(2, 3))


class Local(nn.Module):
    """f_loc: an encoder, its mean over the window, and two linear layers; the first gives h."""

    def __init__(self, config: LesionConfig) -> None:
        super().__init__()
        self.encoder = WindowEncoder(config.encoder)
        self.embedding = nn.Linear(self.encoder.dim, config.dim)
        self.relu = config.embedding_relu
        self.head = nn.Linear(config.dim, len(CLASSES))

    def forward(self, pixels: Float[Tensor, "patch 1 side side"]) -> Float[Tensor, "patch dim"]:
        """H of each window."""
        return self.embed(self.encoder(pixels))

    def embed(self, features: Float[Tensor, "patch feature"]) -> Float[Tensor, "patch dim"]:
        """H of the features of each window."""
        h: Tensor = self.embedding(features)
        return h.relu() if self.relu else h


class Aggregate(nn.Sequential):
    """f_agg: BN, ReLU, 3 x 3; BN, ReLU, 3 x 3; the mean over the grid; a linear layer."""

    def __init__(self, config: LesionConfig) -> None:
        first, width = config.num_maps, config.channels
        before = [nn.BatchNorm2d(first), nn.ReLU()] if config.input_norm else []
        super().__init__(
            *before,
            nn.Conv2d(first, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, len(CLASSES)),
        )


def input_maps(
    config: LesionConfig,
    maps: Float[Tensor, "patch channel grid_row grid_col"],
    embedding: Float[Tensor, "patch dim"],
) -> Float[Tensor, "patch map grid_row grid_col"]:
    """X, what f_agg reads, in the order location, coordinates, embedding, saliency.

    Embedding maps are h wherever the window touches a cell, not weighted by how much of it.
    Coordinates are row and column of such a cell's centre, from -1 to 1 over the grid, and 0
    elsewhere; they are not the paper's (the idea is that of Liu et al. 2018, CoordConv).

    Args:
        config: Says which.
        maps: The part of each cell that the window covers, then the context's heatmaps.
        embedding: h of each window.

    Raises:
        RecipeError: Saliency is asked for, and the batch brings another number of heatmaps.
    """
    covered, context = maps[:, :1], maps[:, 1:]
    touched = (covered > 0).to(embedding.dtype)
    parts: list[Tensor] = []
    if "location" in config.inputs:
        parts.append(covered)
    if "coordinates" in config.inputs:
        parts.append(cell_centres(covered) * touched)
    if "embedding" in config.inputs:
        parts.append(embedding[:, :, None, None] * touched)
    if "saliency" in config.inputs:
        if context.shape[1] != config.num_context:
            raise RecipeError(
                f"the context network gave {context.shape[1]} heatmaps, the recipe reads "
                f"{config.num_context}; name the context that it was made for"
            )
        parts.append(context)
    return torch.cat(parts, dim=1)


def cell_centres(
    maps: Float[Tensor, "patch channel grid_row grid_col"],
) -> Float[Tensor, "1 2 grid_row grid_col"]:
    """Row and column of every cell's centre, from -1 to 1 over the grid."""
    rows, cols = maps.shape[2:]
    along = [
        (2 * torch.arange(n, device=maps.device) + 1).to(maps.dtype) / n - 1 for n in (rows, cols)
    ]
    return torch.stack(torch.meshgrid(*along, indexing="ij"))[None]


def mean_by_finding(
    scores: Float[Tensor, " patch"], patches: PatchBatch
) -> Float[Tensor, " finding"]:
    """Mean over the windows of each finding; NaN for one without any."""
    if patches.finding is None:
        return scores.new_full((patches.num_findings,), torch.nan)
    finding: Int[Tensor, " patch"] = patches.finding
    of_one = finding >= 0
    total = scores.new_zeros(patches.num_findings).index_add(0, finding[of_one], scores[of_one])
    count = torch.bincount(finding[of_one], minlength=patches.num_findings)
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)


TINY = LesionConfig(
    encoder=EncoderConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    dim=4,
    inputs=("location", "embedding", "saliency"),
    channels=4,
)


def window_encoder(model: Lesion, settings: Any) -> nn.Module | None:  # noqa: ARG001
    """What the stage ``aggregate`` leaves as it is: windows that never change are encoded once.

    Those of a part that is measured never do, those of training where the feed saves them.
    """
    encoder: nn.Module = model.local.encoder
    return encoder


def frozen_encoder(model: Lesion, settings: Any) -> nn.Module | None:
    """The same for the stage ``patch``: nothing, unless the network says so."""
    return window_encoder(model, settings) if model.config.frozen_encoder else None
