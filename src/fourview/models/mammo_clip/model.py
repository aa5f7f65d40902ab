"""EfficientNet-B2 or B5 with BioClinicalBERT, as in Mammo-CLIP.

Paper:    Ghosh et al. 2024, Mammo-CLIP, section 2.
Reads:    images, and captions of some of them.
Returns:  ``image_features`` and ``text_features`` of length 1 in the joint space.
"""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from fourview.nn.image_tower import ImageFeatures, ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import TwoTower, TwoTowerConfig

MEAN, STD = 0.3089279, 0.25053555  # of the published training images
DARKEST = 1e-6  # an image without any signal stays 0 instead of NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class MammoClipConfig(TwoTowerConfig):
    """Defaults are B2's.

    Attributes:
        image: ``tf_efficientnet_b2`` (1,408 features) or ``tf_efficientnet_b5`` (2,048).
        text: BioClinicalBERT's last token, its [SEP].
        max_scale: The published temperature has no bound.
        dropout: After pooling: 0.3 with B2, 0.4 with B5.
    """

    image: ImageTowerConfig = field(
        default_factory=lambda: ImageTowerConfig(
            name="tf_efficientnet_b2", mean=(MEAN,) * 3, std=(STD,) * 3
        )
    )
    text: TextTowerConfig = field(
        default_factory=lambda: TextTowerConfig(
            name="Bio_ClinicalBERT", weights="pretrained", pooled="last"
        )
    )
    max_scale: float | None = None
    dropout: float = 0.3


class MammoClip(TwoTower):
    """See the module docstring."""

    def __init__(self, config: MammoClipConfig) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(config.dropout)

    def image_features(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim"]:
        """Of length 1, in the joint space."""
        return normalize(self.image_head(self.look(pixels).pooled), dim=-1)

    def look(self, pixels: Float[Tensor, "image 1 row col"]) -> ImageFeatures:
        """The image tower on pixels that are divided by each image's own maximum."""
        brightest = pixels.amax(dim=(2, 3), keepdim=True).clamp(min=DARKEST)
        features: ImageFeatures = self.image_tower(pixels / brightest)
        return features


TINY = MammoClipConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1, pooled="last"),
    dim=8,
    dropout=0.0,
)
