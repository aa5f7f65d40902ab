"""Multi-head attention with a free choice of its scale, and position codes of a grid's cells."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

LONGEST_PERIOD = 10_000  # times two pi, in cells (Vaswani et al. 2017, section 3.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionConfig:
    """Sizes of an attention block.

    Attributes:
        dim: Width of the result.
        heads: Divides ``dim``.
        scale: ``paper`` divides scores by the square root of the *input* width, ``head`` by that
            of a head's width, the usual choice.
        layer_norm: Normalise the tokens before projecting them.
        mlp: Follow with Linear, GELU, Linear of twice the width; else a plain output projection.
    """

    dim: int = 512
    heads: int = 8
    scale: str = "paper"
    layer_norm: bool = True
    mlp: bool = True

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is no multiple of heads {self.heads}")
        if self.scale not in ("paper", "head"):
            raise ValueError(f"scale '{self.scale}' is none of paper, head")


class AttentionBlock(nn.Module):
    """MLP(MHA(Q, K, V)) without a residual, as the widths differ."""

    def __init__(self, input_dim: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (input_dim if config.scale == "paper" else config.dim // config.heads) ** -0.5
        self.norm = nn.LayerNorm(input_dim) if config.layer_norm else nn.Identity()
        self.query = nn.Linear(input_dim, config.dim, bias=False)
        self.key = nn.Linear(input_dim, config.dim, bias=False)
        self.value = nn.Linear(input_dim, config.dim, bias=False)
        self.out = (
            nn.Sequential(
                nn.Linear(config.dim, 2 * config.dim),
                nn.GELU(),
                nn.Linear(2 * config.dim, config.dim),
            )
            if config.mlp
            else nn.Linear(config.dim, config.dim)
        )

    def forward(
        self,
        queries: Float[Tensor, "pair query input"],
        context: Float[Tensor, "pair key input"],
    ) -> Float[Tensor, "pair query dim"]:
        """Each query token as a mixture of the context's tokens (keys and values)."""
        queries, context = self.norm(queries), self.norm(context)
        mixed = scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(context)),
            self._split(self.value(context)),
            scale=self.scale,
        )
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined

    def uniform(self, context: Float[Tensor, "pair key input"]) -> Float[Tensor, "pair dim"]:
        """What every query would get if it attended to all of the context alike."""
        mean: Tensor = self.out(self.value(self.norm(context)).mean(dim=1))
        return mean

    def _split(self, tokens: Tensor) -> Tensor:
        pairs, count, _ = tokens.shape
        return tokens.reshape(pairs, count, self.heads, -1).transpose(1, 2)


def position_codes(
    features: Float[Tensor, "image dim grid_row grid_col"],
) -> Float[Tensor, "token dim"]:
    """Sines and cosines of each cell's row and column, in the order of ``features.flatten(2)``.

    Vaswani et al. 2017, section 3.5, on two axes: one half of the features codes the column (along
    the AP axis), the other the row; features beyond a multiple of four are 0.
    """
    _, dim, num_rows, num_cols = features.shape
    count = dim // 4
    order, rows, cols = (
        torch.arange(n, device=features.device, dtype=features.dtype)
        for n in (count, num_rows, num_cols)
    )
    rate = LONGEST_PERIOD ** -(order / max(count, 1))
    row = rows.repeat_interleave(num_cols)[:, None] * rate
    col = cols.repeat(num_rows)[:, None] * rate
    codes = torch.cat([col.sin(), col.cos(), row.sin(), row.cos()], dim=1)
    return torch.nn.functional.pad(codes, (0, dim - 4 * count))
