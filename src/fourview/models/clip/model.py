"""Two towers, and what SLIP and ConVIRT add: a head for image pairs, heads with a hidden layer.

Paper:    Radford et al. 2021; Mu et al. 2022, SLIP; Zhang et al. 2022, ConVIRT.
Reads:    images, and captions of some of them.
Returns:  ``image_features`` and ``text_features`` of length 1 in the joint space.
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import Norm, Projector, TwoTower, TwoTowerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipConfig(TwoTowerConfig):
    """Defaults are CLIP's.

    Attributes:
        heads: ``linear``, or ``mlp`` with a hidden layer and ReLU (ConVIRT).
        learn_temperature: Learn it; else it stays at ``temperature`` (ConVIRT: 0.1).
        projector: A head for pairs of images (SLIP).
        projector_norm: Of that head; ``batch`` is SimCLR's.
    """

    heads: Literal["linear", "mlp"] = "linear"
    learn_temperature: bool = True
    projector: bool = False
    projector_norm: Norm = "layer"


class Clip(TwoTower):
    """See the module docstring."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__(config)
        widths = self.image_tower.dim, self.text_tower.dim
        if config.heads == "mlp":
            self.image_head, self.text_head = (_mlp(width, config.dim) for width in widths)
        self.logit_scale.requires_grad_(config.learn_temperature)
        self.projector = (
            Projector(widths[0], widths[0], config.dim, config.projector_norm)
            if config.projector
            else None
        )


def _mlp(width: int, dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, dim), nn.ReLU(inplace=True), nn.Linear(dim, dim))


TINY = ClipConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1),
    dim=8,
    projector=True,
)
