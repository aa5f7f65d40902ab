"""Two towers with heads for words and tokens, and prototypes.

Paper:    Wang et al. 2022, Multi-granularity cross-modal alignment, section 3.
Reads:    images, and a caption of each.
Returns:  ``image_features`` and ``text_features`` of length 1 in the joint space.
"""

from dataclasses import dataclass, field

import torch
from torch import nn

from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import LocalHead, Norm, TwoTower, TwoTowerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MgcaConfig(TwoTowerConfig):
    """Defaults: the published sizes, in the engine of all families (README).

    Attributes:
        text: The text tower; it must give the attention of its first token.
        dim: Of the joint space; the published code has 128.
        hidden: Width of the hidden layer of all heads.
        norm: Of the heads; ``batch`` is the code's.
        prototypes: K.
    """

    text: TextTowerConfig = field(default_factory=lambda: TextTowerConfig(attention=True))
    dim: int = 128
    hidden: int = 2048
    norm: Norm = "layer"
    prototypes: int = 500

    def __post_init__(self) -> None:
        if not self.text.attention:
            raise ValueError("MGCA weighs words by attention: set text.attention=true")


class Mgca(TwoTower):
    """See the module docstring."""

    def __init__(self, config: MgcaConfig) -> None:
        super().__init__(config)
        self.logit_scale.requires_grad_(False)  # the temperature stays what it is
        sizes = config.hidden, config.dim, config.norm
        image, text = self.image_tower.dim, self.text_tower.dim
        self.image_head, self.text_head = LocalHead(image, *sizes), LocalHead(text, *sizes)
        self.local_image, self.local_text = LocalHead(image, *sizes), LocalHead(text, *sizes)
        self.prototypes = nn.Parameter(torch.randn(config.prototypes, config.dim))


TINY = MgcaConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1, attention=True),
    dim=8,
    hidden=8,
    prototypes=5,
)
