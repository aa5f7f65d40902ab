"""Two towers with heads for image pairs and for the alignment of tokens with sentences.

Paper:    Du, Onofrey, Dvornek, Multi-view and multi-scale alignment, IPMI 2025, section 3.
Reads:    images, and captions of some of them.
Returns:  ``image_features`` and ``text_features`` of length 1; ``sentence_maps``.
Shapes:   I images, S texts (one per image in ``sentence_maps``), N sentences, D features.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fourview.contract import TextBatch
from fourview.losses.mama import sentence_to_patch
from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import LocalHead, Norm, Projector, TwoTower, TwoTowerConfig, log_scale


@dataclass(frozen=True, slots=True, kw_only=True)
class MamaConfig(TwoTowerConfig):
    """Defaults are those of the README; the published sizes, with LayerNorm for batch norm.

    Attributes:
        view_loss: How two images of an exam are compared: ``nt_xent`` with a head of its own (the
            code that made the numbers), ``info_nce`` on the joint features (the paper's Eq. 1), or
            ``none``.
        view_temperature: Of that loss, at the start.
        learn_view_temperature: Learn it; else it stays.
        view_norm: Of the head for image pairs; ``batch`` is the code's.
        local: Heads for tokens and sentences; without them there is no local alignment.
        local_hidden: Their hidden width.
        local_norm: ``batch`` is the code's.
    """

    view_loss: Literal["nt_xent", "info_nce", "none"] = "nt_xent"
    view_temperature: float = 0.5
    learn_view_temperature: bool = False
    view_norm: Norm = "layer"
    local: bool = True
    local_hidden: int = 2048
    local_norm: Norm = "layer"


class Mama(TwoTower):
    """See the module docstring.

    Attributes:
        local_scale: log(1 / temperature) of the local alignment.
        view_scale: log(1 / temperature) of image pairs.
    """

    def __init__(self, config: MamaConfig) -> None:
        super().__init__(config)
        image, text = self.image_tower.dim, self.text_tower.dim
        self.projector = (
            Projector(image, image, config.dim, config.view_norm)
            if config.view_loss == "nt_xent"
            else None
        )
        self.view_scale = log_scale(config.view_temperature)
        self.view_scale.requires_grad_(config.learn_view_temperature)
        self.local_image: LocalHead | None = None
        self.local_text: LocalHead | None = None
        if config.local:
            sizes = config.local_hidden, config.dim, config.local_norm
            self.local_image, self.local_text = LocalHead(image, *sizes), LocalHead(text, *sizes)
            self.local_scale = log_scale(config.temperature)

    @property
    def has_sentence_maps(self) -> bool:
        """Whether it was made with the heads of the local alignment."""
        return self.local_text is not None

    def sentence_maps(
        self, pixels: Float[Tensor, "image 1 row col"], text: TextBatch
    ) -> Float[Tensor, "image sentence grid_row grid_col"]:
        """Where each sentence of its caption is in an image: cosines in [-1, 1].

        Args:
            pixels: Of the images.
            text: One caption per image, in the order of the images.

        Returns:
            NaN for sentences that a caption does not have.

        Raises:
            ValueError: The model has no local heads.
        """
        if self.local_image is None or self.local_text is None:
            raise ValueError("this MaMA was trained without local alignment and has no maps")
        image, words = self.image_tower(pixels), self.text_tower(text)
        maps = sentence_to_patch(
            self.local_image.of_tokens(image.tokens),
            self.local_text.of_sentences(words.sentences, words.sentence_mask),
        )
        maps = maps.masked_fill(~words.sentence_mask[..., None], torch.nan)
        return maps.reshape(*maps.shape[:2], *image.grid)


TINY = MamaConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1),
    dim=8,
    local_hidden=8,
    learn_view_temperature=True,
)
