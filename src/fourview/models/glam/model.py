"""Two towers, and on the image side super-patches of CC and MLO that look for each other.

Paper:    Du, Chen, Dvornek, Geometry-guided local alignment, MICCAI 2025, section 2.
Reads:    CC and MLO of a breast, MLO turned so that columns are AP depths, with captions.
Returns:  ``image_features`` and ``text_features`` of length 1; ``patch_to_slice``.
Shapes:   B breasts, R x C super-patches, D features.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from fourview.models.glam.modules import Pooling, SliceAttention, SuperPatches
from fourview.nn.image_tower import ImageTowerConfig
from fourview.nn.text_tower import TextTowerConfig
from fourview.nn.two_tower import Norm, Projector, TwoTower, TwoTowerConfig, log_scale


@dataclass(frozen=True, slots=True, kw_only=True)
class GlamConfig(TwoTowerConfig):
    """Defaults are those of the README.

    Attributes:
        view_loss: How CC and MLO are compared: ``nt_xent`` with a head of its own (the code) or
            ``info_nce`` on the joint features (the paper's Eq. 2).
        view_temperature: Of ``nt_xent``; ``info_nce`` takes the learned one of the captions.
        view_norm: Of the head for image pairs; ``batch`` is the code's.
        local: Align super-patches; off for the ablation without it.
        super_patches: R and C; 9 x 9 over 37 x 37 tokens, the ablation has 4 x 4 and 18 x 18.
        pooling: How tokens become super-patches (``modules.SuperPatches``).
        pooling_heads: Of that attention.
        columns: Look for a super-patch in its column of the other view, else in the whole view.
        slice_heads: Of the attention between views.
    """

    view_loss: Literal["nt_xent", "info_nce"] = "nt_xent"
    view_temperature: float = 0.5
    view_norm: Norm = "layer"
    local: bool = True
    super_patches: tuple[int, int] = (9, 9)
    pooling: Pooling = "window"
    pooling_heads: int = 8
    columns: bool = True
    slice_heads: int = 4


class Glam(TwoTower):
    """See the module docstring.

    Attributes:
        patch_scale: log(1 / temperature) of the local losses.
    """

    def __init__(self, config: GlamConfig) -> None:
        super().__init__(config)
        dim = self.image_tower.dim
        self.projector = (
            Projector(dim, dim, config.dim, config.view_norm)
            if config.view_loss == "nt_xent"
            else None
        )
        self.slices: SliceAttention | None = None
        if config.local:
            how = config.super_patches, config.pooling, config.pooling_heads
            self.pool_cc, self.pool_mlo = SuperPatches(dim, *how), SuperPatches(dim, *how)
            self.slices = SliceAttention(dim, config.slice_heads, columns=config.columns)
            self.patch_scale = log_scale(config.temperature)
        self.super_patches = config.super_patches
        self.view_temperature = config.view_temperature

    def super_patch_grids(
        self,
        cc: Float[Tensor, "breast token_row token_col dim"],
        mlo: Float[Tensor, "breast token_row token_col dim"],
    ) -> tuple[
        Float[Tensor, "breast row col dim"],
        Float[Tensor, "breast row col dim"],
    ]:
        """Super-patches of both views where they lie."""
        grid = self.super_patches
        return self.pool_cc(cc).unflatten(1, grid), self.pool_mlo(mlo).unflatten(1, grid)

    def tissue(
        self, pixels: Float[Tensor, "image 1 row col"]
    ) -> Float[Tensor, "image patch_row patch_col"]:
        """The part of each super-patch that is breast, in [0, 1]; pixels outside of it are 0."""
        stride = self.image_tower.stride
        tall, wide = (  # whole tokens, as the pooling takes them
            stride * max(1, -(-side // stride) // cells)
            for side, cells in zip(pixels.shape[2:], self.super_patches, strict=True)
        )
        rows, cols = self.super_patches[0] * tall, self.super_patches[1] * wide
        inside = (pixels > 0).to(pixels.dtype)[:, :, :rows, :cols]
        beyond = (0, cols - inside.shape[3], 0, rows - inside.shape[2])
        return avg_pool2d(pad(inside, beyond), (tall, wide))[:, 0]

    @property
    def has_slice_maps(self) -> bool:
        """Whether it was made with the local alignment."""
        return self.slices is not None

    def patch_to_slice(
        self,
        cc: Float[Tensor, "breast 1 row col"],
        mlo: Float[Tensor, "breast 1 row col"],
        of: Literal["CC", "MLO"] = "CC",
    ) -> tuple[
        Float[Tensor, "breast patch_row patch_col column"],
        Float[Tensor, "breast patch_row patch_col column other_row"],
    ]:
        """For each super-patch of a view, its agreement with each column of the other, and where.

        Args:
            cc: Pixels of the CC views.
            mlo: Pixels of the MLO views of the same breasts.
            of: The view whose super-patches are looked for in the other.

        Returns:
            Cosines in [-1, 1], and weights over the rows of each column that sum to 1.

        Raises:
            ValueError: The model has no local alignment.
        """
        if self.slices is None:
            raise ValueError("this GLAM was trained without local alignment and has no maps")
        tokens = [self.image_tower(pixels) for pixels in (cc, mlo)]
        grids = [t.tokens.unflatten(1, t.grid) for t in tokens]
        return self.slices.agreement(*self.super_patch_grids(*grids), of)


TINY = GlamConfig(
    image=ImageTowerConfig(name="small", weights="none", widths=(4, 4, 8, 8, 8)),
    text=TextTowerConfig(dim=16, heads=2, layers=1),
    dim=8,
    super_patches=(4, 2),
    pooling_heads=2,
    slice_heads=2,
)
