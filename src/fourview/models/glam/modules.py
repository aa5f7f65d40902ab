"""The parts of GLAM: tokens to super-patches, and super-patches to the other view's columns.

Shapes:  B breasts, R x C super-patches (their rows and columns; M = R C), P tokens, D features.
         A *column* is a depth in front of the chest wall: the same in CC and in an aligned MLO.
"""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cosine_similarity, scaled_dot_product_attention

from fourview.errors import RecipeError

Pooling = Literal["window", "gaussian", "free", "average"]
Pairs = tuple[Float[Tensor, "breast place dim"], Float[Tensor, "breast place dim"]]
DILATION = 1.0  # cells by which a window reaches beyond its own cell


class SuperPatches(nn.Module):
    """M learned queries, each an attention over the tokens of its place (or of all places).

    ``window``: the tokens of its own cell and of those next to it. ``gaussian``: all tokens, less
    likely with the distance from the cell's centre, with a learned width. ``free``: all tokens, as
    in the published code, where nothing ties a query to a place. ``average``: the mean of the cell.

    Args:
        dim: D.
        grid: R and C.
        pooling: See above.
        heads: Of the attention.
    """

    def __init__(self, dim: int, grid: tuple[int, int], pooling: Pooling, heads: int) -> None:
        super().__init__()
        self.grid, self.pooling = grid, pooling
        if pooling == "average":
            return
        self.queries = nn.Parameter(torch.randn(grid[0] * grid[1], dim))
        self.query_norm, self.token_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = Attention(dim, heads)
        if pooling == "gaussian":
            self.log_width = nn.Parameter(torch.zeros(()))  # in cells

    def forward(
        self, tokens: Float[Tensor, "breast token_row token_col dim"]
    ) -> Float[Tensor, "breast place dim"]:
        """Super-patches row by row, as the tokens lie.

        Raises:
            RecipeError: There are fewer tokens than super-patches along an axis.
        """
        if tokens.shape[1] < self.grid[0] or tokens.shape[2] < self.grid[1]:
            raise RecipeError(
                f"{self.grid[0]} x {self.grid[1]} super-patches need at least as many tokens, "
                f"the tower gives {tokens.shape[1]} x {tokens.shape[2]}; lower model.super_patches"
            )
        if self.pooling == "average":
            cell = tuple(t // g for t, g in zip(tokens.shape[1:3], self.grid, strict=True))
            whole = tuple(c * g for c, g in zip(cell, self.grid, strict=True))
            kept = tokens[:, : whole[0], : whole[1]].permute(0, 3, 1, 2)
            return avg_pool2d(kept, cell).flatten(2).transpose(1, 2)
        queries = self.query_norm(self.queries).expand(len(tokens), -1, -1)
        values = self.token_norm(tokens.flatten(1, 2))
        bias = self._bias(tokens.shape[1], tokens.shape[2], tokens.device)
        pooled: Tensor = self.attend(queries, values, bias)
        return pooled

    def _bias(
        self, rows: int, cols: int, device: torch.device
    ) -> Bool[Tensor, "place token"] | Float[Tensor, "place token"] | None:
        """Which tokens a query sees, or what is added to its logits; None sees all alike."""
        if self.pooling == "free":
            return None
        apart = _distances(self.grid, (rows, cols), device)
        if self.pooling == "window":
            return (apart <= 0.5 + DILATION).all(dim=2)
        return -apart.square().sum(dim=2) / (2 * (2 * self.log_width).exp())


def _distances(
    grid: tuple[int, int], tokens: tuple[int, int], device: torch.device
) -> Float[Tensor, "place token 2"]:
    """How far each token's centre is from each cell's, down and across, in cells.

    A cell is a whole number of tokens; those left over at the far edges lie beyond the last cell.
    """
    along = []
    for cells, count in zip(grid, tokens, strict=True):
        centre_of_token = (torch.arange(count, device=device) + 0.5) / (count // cells)
        centre_of_cell = torch.arange(cells, device=device) + 0.5
        along.append((centre_of_cell[:, None] - centre_of_token[None, :]).abs())
    shape = (*grid, *tokens)
    down = along[0][:, None, :, None].expand(shape)
    across = along[1][None, :, None, :].expand(shape)
    return torch.stack([down, across], dim=-1).flatten(0, 1).flatten(1, 2)


class SliceAttention(nn.Module):
    """Each super-patch of one view attends over one column, the same depth, of the other view.

    Args:
        dim: D.
        heads: Of the attention; each direction has its own.
        columns: Attend over the column; else over the whole other view (an ablation).
    """

    def __init__(self, dim: int, heads: int, *, columns: bool) -> None:
        super().__init__()
        self.columns = columns
        self.norm = nn.LayerNorm(dim)
        self.from_cc, self.from_mlo = Attention(dim, heads), Attention(dim, heads)

    def forward(
        self, cc: Float[Tensor, "breast row col dim"], mlo: Float[Tensor, "breast row col dim"]
    ) -> tuple[Pairs, Pairs]:
        """Queries of each view with their matches in the other one, in the same order of places.

        Returns:
            Of CC, then of MLO: (breast, place, dim) twice.
        """
        queries_cc, queries_mlo = self._sequences(self.norm(cc)), self._sequences(self.norm(mlo))
        matched_cc = self.from_cc(queries_cc, queries_mlo)
        matched_mlo = self.from_mlo(queries_mlo, queries_cc)
        shape = (len(cc), cc.shape[1] * cc.shape[2], cc.shape[3])
        return (
            (queries_cc.reshape(shape), matched_cc.reshape(shape)),
            (queries_mlo.reshape(shape), matched_mlo.reshape(shape)),
        )

    def present(
        self, cc: Bool[Tensor, "breast row col"], mlo: Bool[Tensor, "breast row col"]
    ) -> tuple[Bool[Tensor, "breast place"], Bool[Tensor, "breast place"]]:
        """Which places of each view have something to find, in the order of ``forward``.

        Args:
            cc: Super-patches that are filled.
            mlo: The same of the other view.
        """
        along = 1 if self.columns else (1, 2)
        both = [here & there.any(dim=along, keepdim=True) for here, there in ((cc, mlo), (mlo, cc))]
        ordered = [grid.transpose(1, 2) if self.columns else grid for grid in both]
        return ordered[0].flatten(1), ordered[1].flatten(1)

    def agreement(
        self,
        cc: Float[Tensor, "breast row col dim"],
        mlo: Float[Tensor, "breast row col dim"],
        of: Literal["CC", "MLO"] = "CC",
    ) -> tuple[
        Float[Tensor, "breast row col column"], Float[Tensor, "breast row col column other_row"]
    ]:
        """How well each super-patch of a view matches *every* column of the other, and where.

        Args:
            cc: Super-patches of the CC views.
            mlo: Of the MLO views of the same breasts.
            of: The view whose super-patches are looked for in the other.

        Returns:
            Cosines of the super-patch with what it finds in each column, in [-1, 1]; and the
            attention over the column's rows, the mean over heads, which sums to 1.
        """
        own, other, attend = (cc, mlo, self.from_cc) if of == "CC" else (mlo, cc, self.from_mlo)
        own, other = self.norm(own), self.norm(other)
        queries = own.flatten(1, 2)
        cosines, weights = [], []
        for column in other.unbind(dim=2):
            matched = attend(queries, column)
            cosines.append(cosine_similarity(queries, matched, dim=-1))
            weights.append(attend.weights(queries, column))
        by_column, within = torch.stack(cosines, dim=2), torch.stack(weights, dim=2)
        shape = own.shape[:3]
        return (
            by_column.reshape(*shape, *by_column.shape[2:]),
            within.reshape(*shape, *within.shape[2:]),
        )

    def _sequences(
        self, grid: Float[Tensor, "breast row col dim"]
    ) -> Float[Tensor, "sequence place dim"]:
        if self.columns:
            return grid.transpose(1, 2).flatten(0, 1)
        return grid.flatten(1, 2)


class Attention(nn.Module):
    """Multi-head attention with biases, without residual."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is no multiple of heads {heads}")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)  # a bias of keys changes no weight
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(
        self,
        queries: Float[Tensor, "sequence query dim"],
        context: Float[Tensor, "sequence key dim"],
        bias: Bool[Tensor, "query key"] | Float[Tensor, "query key"] | None = None,
    ) -> Float[Tensor, "sequence query dim"]:
        """Mixtures of the context's tokens."""
        query, key = self._split(self.query(queries)), self._split(self.key(context))
        value = self._split(self.value(context))
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        output: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return output

    def weights(
        self,
        queries: Float[Tensor, "sequence query dim"],
        context: Float[Tensor, "sequence key dim"],
    ) -> Float[Tensor, "sequence query key"]:
        """What each query attends to, the mean over heads."""
        query, key = self._split(self.query(queries)), self._split(self.key(context))
        logits = query @ key.mT / math.sqrt(query.shape[-1])
        return logits.softmax(dim=-1).mean(dim=1)

    def _split(self, tokens: Tensor) -> Tensor:
        sequences, count, _ = tokens.shape
        return tokens.reshape(sequences, count, self.heads, -1).transpose(1, 2)
