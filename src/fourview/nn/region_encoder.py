"""From square windows of an image to one code each: VGG-M-128, or any encoder averaged."""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from fourview.nn.encoder import Encoder, EncoderConfig
from fourview.nn.vgg_m import NAME as VGG_M
from fourview.nn.vgg_m import vgg_m_128


class RegionEncoder(nn.Module):
    """Processed pixels of windows to codes; ``dim`` numbers each.

    ``vgg_m_128`` gives its fc7 after the ReLU, the code of Cls-Det-RS; windows are 224 pixels wide.
    Any other encoder gives the mean over its grid, and takes windows of any size.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.body: nn.Module
        if config.name == VGG_M:
            self.body = vgg_m_128(config.weights)
            self.dim = self.body.dim
            self.is_grid = False
        else:
            self.body = encoder = Encoder(config)
            self.dim = encoder.dim
            self.is_grid = True

    def forward(self, pixels: Float[Tensor, "region 1 row col"]) -> Float[Tensor, "region dim"]:
        """One code a window, from pixels in [0, 1]."""
        found = cast("Tensor", self.body(pixels))
        return found.mean(dim=(2, 3)) if self.is_grid else found
