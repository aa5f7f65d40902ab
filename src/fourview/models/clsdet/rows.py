"""Regions of a batch, ragged by image, laid out as a row of regions for each image.

Shapes:  P regions of the batch, I images, R regions of the image that has most.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Where each region of the batch goes.

    Attributes:
        image: Row of each region: whose it is.
        place: Its place in the row: 0, 1, ... in the order of the batch.
        present: Which places of which rows hold a region.
    """

    image: Int[Tensor, " region"]
    place: Int[Tensor, " region"]
    present: Bool[Tensor, "image place"]

    @classmethod
    def of(cls, image: Int[Tensor, " region"], num_images: int) -> "Rows":
        """Lay out regions by the index of their image."""
        counts = torch.bincount(image, minlength=num_images)
        order = torch.argsort(image, stable=True)
        here = torch.arange(len(image), device=image.device)
        place = torch.empty_like(image)
        place[order] = here - (counts.cumsum(0) - counts)[image[order]]
        widest = int(counts.max()) if len(image) else 0
        columns = torch.arange(max(widest, 1), device=image.device)
        return cls(image, place, columns < counts[:, None])

    def lay(self, values: Float[Tensor, "region channel"]) -> Float[Tensor, "image place channel"]:
        """Values of regions in rows; 0 where there is no region."""
        rows = values.new_zeros((*self.present.shape, values.shape[1]))
        return rows.index_put((self.image, self.place), values)

    def gather(self, rows: Float[Tensor, "image place channel"]) -> Float[Tensor, "region channel"]:
        """What ``lay`` laid out."""
        return rows[self.image, self.place]
