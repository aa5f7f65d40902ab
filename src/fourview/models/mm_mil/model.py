"""Two towers whose linear heads act on regions and on sentences.

Paper:    Wang et al. 2023, Using multiple instance learning to build multimodal representations.
Reads:    images, and a caption of each.
Returns:  ``image_features`` and ``text_features`` of length 1: as heads are linear, those of the
          mean region and of the mean token are the projected means.
"""

from dataclasses import dataclass

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


TINY = MmMilConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1),
    dim=8,
)
