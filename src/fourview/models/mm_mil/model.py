"""Two towers whose linear heads act on regions and on sentences.

Paper:    Wang et al. 2023, Using multiple instance learning to build multimodal representations.
Reads:    images, and a caption of each.
Returns:  ``image_features`` and ``text_features`` of length 1: as heads are linear, those of the
          mean region and of the mean token are the projected means. ``sentence_maps``: the scores
          of regions that the local score is a soft maximum of.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from fourview.contract import TextBatch
from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import TwoTower, TwoTowerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MmMilConfig(TwoTowerConfig):
    """Nothing beyond what all have; image.pooled must be the mean of the regions."""

    def __post_init__(self) -> None:
        if self.image.pooled != "mean":
            raise ValueError("MM-MIL reads regions: set image.pooled=mean")


class MmMil(TwoTower):
    """See the module docstring."""

    @property
    def has_sentence_maps(self) -> bool:
        """Always: its losses compare sentences with regions."""
        return True

    def sentence_maps(
        self, pixels: Float[Tensor, "image 1 row col"], text: TextBatch
    ) -> Float[Tensor, "image sentence grid_row grid_col"]:
        """Where each sentence of its caption is in an image: cosines in [-1, 1].

        Args:
            pixels: Of the images.
            text: One caption per image, in the order of the images.

        Returns:
            NaN for sentences that a caption does not have.
        """
        image, words = self.image_tower(pixels), self.text_tower(text)
        regions = normalize(self.image_head(image.tokens), dim=-1)
        sentences = normalize(self.text_head(words.sentences), dim=-1)
        maps = torch.einsum("isd,ind->isn", sentences, regions)
        maps = maps.masked_fill(~words.sentence_mask[..., None], torch.nan)
        return maps.reshape(*maps.shape[:2], *image.grid)


TINY = MmMilConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1),
    dim=8,
)
