"""What every language-image network must have, so that one program embeds, searches, explains."""

from abc import ABC, abstractmethod
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from fourview.contract.batch import TextBatch


class LanguageImageModel(nn.Module, ABC):
    """Images and texts to one joint space.

    Attributes:
        image_tower: Pixels to tokens over a grid (``nn.image_tower.ImageTower``).
        text_tower: Texts to features (``nn.text_tower.TextTower``); it names its tokenizer.
        logit_scale: Logarithm of the factor of their cosines.
    """

    image_tower: Any
    text_tower: Any
    logit_scale: nn.Parameter

    @property
    def has_sentence_maps(self) -> bool:
        """Whether ``sentence_maps`` can be asked: the network aligns sentences with places."""
        return False

    @property
    def has_slice_maps(self) -> bool:
        """Whether ``patch_to_slice`` can be asked: the network aligns CC with MLO."""
        return False

    @abstractmethod
    def image_features(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image dim"]:
        """Features of images, of length 1, in the joint space."""

    @abstractmethod
    def text_features(self, text: TextBatch) -> Float[Tensor, "text dim"]:
        """Features of texts, of length 1, in the joint space."""

    def sentence_maps(
        self, pixels: Float[Tensor, "image 1 row col"], text: TextBatch
    ) -> Float[Tensor, "image sentence grid_row grid_col"]:
        """Where each sentence of its caption is in an image: cosines in [-1, 1].

        Raises:
            ValueError: The network has no such maps.
        """
        raise ValueError(
            f"this {type(self).__name__} places none of {len(text.tokens)} texts in "
            f"{len(pixels)} images"
        )

    def patch_to_slice(
        self,
        cc: Float[Tensor, "breast 1 row col"],
        mlo: Float[Tensor, "breast 1 row col"],
        of: Literal["CC", "MLO"] = "CC",
    ) -> tuple[
        Float[Tensor, "breast patch_row patch_col column"],
        Float[Tensor, "breast patch_row patch_col column other_row"],
    ]:
        """How places of one view agree with columns of the other, and where in the column.

        Args:
            cc: Pixels of the CC views.
            mlo: Pixels of the MLO views of the same breasts.
            of: The view whose places are looked for.

        Raises:
            ValueError: The network has no such maps.
        """
        raise ValueError(
            f"this {type(self).__name__} does not align {len(cc)} CC with {len(mlo)} MLO views, "
            f"nor find places of {of}"
        )
