"""What language-image families share: two towers, heads to a joint space, and a temperature.

The attributes and methods are those that ``contract.LanguageImageModel`` asks.

Shapes:  I images, S texts, N sentences, P tokens of an image, D features of the joint space.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from fourview.contract import ContrastiveObjective, Encoded, LanguageImageModel, TextBatch
from fourview.nn.image_tower import ImageTower, ImageTowerConfig
from fourview.nn.text_tower import TextFeatures, TextTower, TextTowerConfig

Norm = Literal["layer", "batch"]
Negatives = Literal["other_patients", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTowerConfig:
    """Defaults are those that the papers share.

    Attributes:
        image: The image tower.
        text: The text tower.
        dim: D.
        temperature: Of the cosines at the start; learned from there.
        max_scale: Largest 1 / temperature that is learned, as CLIP's; None sets no bound.
    """

    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    dim: int = 512
    temperature: float = 0.07
    max_scale: float | None = 100.0


class TwoTower(LanguageImageModel):
    """Image and text towers with linear heads.

    Attributes:
        logit_scale: log(1 / temperature), learned, float32.
    """

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.config = config
        self.image_tower = ImageTower(config.image)
        self.text_tower = TextTower(config.text)
        self.image_head: nn.Module = nn.Linear(self.image_tower.dim, config.dim)
        self.text_head: nn.Module = nn.Linear(self.text_tower.dim, config.dim)
        self.logit_scale = log_scale(config.temperature)

    def image_features(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim"]:
        """Of length 1, in the joint space."""
        return normalize(self.image_head(self.image_tower(pixels).pooled), dim=-1)

    def text_features(self, text: TextBatch) -> Float[Tensor, "text dim"]:
        """Of length 1, in the joint space."""
        return normalize(self.text_head(self.text_tower(text).pooled), dim=-1)

    def scale(self, log: nn.Parameter) -> Float[Tensor, ""]:
        """1 / temperature; what passed the bound is set back first, so that it can come down."""
        if self.config.max_scale is not None and self.training and torch.is_grad_enabled():
            with torch.no_grad():
                log.clamp_(max=math.log(self.config.max_scale))
        return log.exp()


def log_scale(temperature: float) -> nn.Parameter:
    """A learned log(1 / temperature)."""
    return nn.Parameter(torch.tensor(-math.log(temperature)))


class LocalHead(nn.Module):
    """Linear, norm, ReLU, linear, norm without weights; on single tokens, cells or sentences.

    The published heads have batch normalisation, for texts over the sentences of one report.
    """

    def __init__(self, input_dim: int, hidden: int, dim: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(input_dim, hidden),
            _norm(norm, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim),
            _norm(norm, dim, affine=False),
        )

    def forward(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "row dim"]:
        """Each row on its own, but for batch normalisation."""
        result: Tensor = self.layers(rows)
        return result

    def of_tokens(
        self, tokens: Float[Tensor, "image token input"]
    ) -> Float[Tensor, "image token dim"]:
        """All tokens of all images."""
        result: Tensor = self.layers(tokens.flatten(0, 1))
        return result.reshape(*tokens.shape[:2], -1)

    def of_sentences(
        self,
        sentences: Float[Tensor, "text sentence input"],
        present: Bool[Tensor, "text sentence"],
    ) -> Float[Tensor, "text sentence dim"]:
        """Only the sentences that there are; 0 elsewhere."""
        result: Tensor = self.layers(sentences[present])
        empty = result.new_zeros(*present.shape, result.shape[1])
        return empty.index_put((present,), result)


class Projector(nn.Sequential):
    """SimCLR's head: two bias-free linear layers, each with a norm, ReLU between."""

    def __init__(self, input_dim: int, hidden: int, dim: int, norm: Norm) -> None:
        super().__init__(
            nn.Linear(input_dim, hidden, bias=False),
            _norm(norm, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim, bias=False),
            _norm(norm, dim),
        )


def _norm(kind: Norm, dim: int, *, affine: bool = True) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm1d(dim, affine=affine)
    return nn.LayerNorm(dim, elementwise_affine=affine)


class TwoTowerObjective(ContrastiveObjective):
    """Encodes with both towers; families say which outputs they compare.

    Attributes:
        image_parts: Fields of ImageFeatures that are kept; ``grid`` is the tokens where they lie.
        text_parts: Fields of TextFeatures that are kept, and ``word`` of TextBatch.
    """

    image_parts: tuple[str, ...] = ("pooled",)
    text_parts: tuple[str, ...] = ("pooled",)
    model: TwoTower

    @property
    def encoders(self) -> Mapping[str, nn.Module]:
        """The towers."""
        return {"images": self.model.image_tower, "texts": self.model.text_tower}

    def encode_images(self, pixels: Float[Tensor, "image 1 row col"]) -> dict[str, Tensor]:
        """The parts that are compared."""
        features = self.model.image_tower(pixels)
        parts = {"tokens": features.tokens, "pooled": features.pooled}
        if "grid" in self.image_parts:
            parts["grid"] = features.tokens.unflatten(1, features.grid)
        return {name: parts[name] for name in self.image_parts}

    def encode_texts(self, text: TextBatch) -> dict[str, Tensor]:
        """The parts that are compared."""
        features: TextFeatures = self.model.text_tower(text)
        sources = {name: text if name == "word" else features for name in self.text_parts}
        parts: dict[str, Tensor] = {k: getattr(source, k) for k, source in sources.items()}
        return parts


def patients_of(
    encoded: Encoded, images: Int[Tensor, " row"], negatives: Negatives
) -> Int[Tensor, " row"] | None:
    """The patient of each row, for the losses; None where rows of one patient are negatives too."""
    return encoded.patient[encoded.exam[images]] if negatives == "other_patients" else None
