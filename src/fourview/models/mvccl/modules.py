"""The parts of BRAIxMVCCL: global consistency, local co-occurrence, and what stands in its place.

Shapes:  P ordered pairs (main view, auxiliary view), D features of a cell, T cells.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fourview.nn.attention import AttentionBlock, AttentionConfig

COSINE_EPS = 1e-8  # the paper leaves it open; this is torch's


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalConsistencyConfig:
    """Choices that the paper leaves open (README of this folder).

    Attributes:
        map: The two maps between the views' global features: ``mlp`` or ``linear``.
        shared: One map for both directions.
        stop_gradient: Do not train the features that a map has to reach.
    """

    map: Literal["mlp", "linear"] = "mlp"
    shared: bool = False
    stop_gradient: bool = False


class GlobalConsistency(nn.Module):
    """Predict each view's global features from the other's; the paper's Eq. 2."""

    def __init__(self, dim: int, config: GlobalConsistencyConfig) -> None:
        super().__init__()
        self.stop_gradient = config.stop_gradient
        self.aux_to_main = _feature_map(dim, config.map)
        self.main_to_aux = self.aux_to_main if config.shared else _feature_map(dim, config.map)

    def forward(
        self, main: Float[Tensor, "pair dim"], aux: Float[Tensor, "pair dim"]
    ) -> tuple[Float[Tensor, "pair dim"], Float[Tensor, " pair"]]:
        """Global features of the pair, and its loss in [-1, 1].

        Args:
            main: g_m, the max pooled features of the main view.
            aux: g_a, of the auxiliary view.

        Returns:
            z_G = g_m + f_am(g_a), and l_sim = -(cos(f_am(g_a), g_m) + cos(f_ma(g_m), g_a)) / 2.
        """
        from_aux, from_main = self.aux_to_main(aux), self.main_to_aux(main)
        goal_main, goal_aux = (main.detach(), aux.detach()) if self.stop_gradient else (main, aux)
        loss = -(cosine(from_aux, goal_main) + cosine(from_main, goal_aux)) / 2
        return main + from_aux, loss


def cosine(a: Float[Tensor, "pair dim"], b: Float[Tensor, "pair dim"]) -> Float[Tensor, " pair"]:
    """<a, b> / max(|a| |b|, eps), the paper's form: the product of the norms is what is clamped."""
    norms: Tensor = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    return (a * b).sum(dim=1) / norms.clamp(min=COSINE_EPS)


def _feature_map(dim: int, kind: str) -> nn.Module:
    if kind == "linear":
        return nn.Linear(dim, dim)
    return nn.Sequential(
        nn.Linear(dim, dim), nn.LayerNorm(dim), nn.ReLU(inplace=True), nn.Linear(dim, dim)
    )


class LocalCoOccurrence(nn.Module):
    """Each cell of one view described by the cells of the other: f_A(U, U', U'), Eq. 3 and 4.

    Queries come from the view itself, keys **and values** from the other one.
    """

    def __init__(self, input_dim: int, config: AttentionConfig) -> None:
        super().__init__()
        self.attend = AttentionBlock(input_dim, config)
        self.dim = config.dim

    def forward(
        self,
        tokens: Float[Tensor, "pair token input"],
        other: Float[Tensor, "pair token input"],
    ) -> Float[Tensor, "pair dim"]:
        """z: the mean over a view's cells of what they find in the other view."""
        attended: Tensor = self.attend(tokens, other)
        return attended.mean(dim=1)


class JointSelfAttention(nn.Module):
    """The ablation's SA: one attention block over the cells of both views together (Table 2)."""

    def __init__(self, input_dim: int, config: AttentionConfig, on: str) -> None:
        super().__init__()
        self.attend = AttentionBlock(input_dim, config)
        self.dim = config.dim
        self.on = on

    def forward(
        self,
        main: Float[Tensor, "pair token input"],
        aux: Float[Tensor, "pair token input"],
    ) -> tuple[Float[Tensor, "pair dim"], Float[Tensor, "pair dim"]]:
        """s_m and s_a: the mean over each view's cells after the block."""
        both = self.joined(main, aux)
        attended: Tensor = self.attend(both, both)
        half = both.shape[1] // 2
        return attended[:, :half].mean(dim=1), attended[:, half:].mean(dim=1)

    def joined(
        self,
        main: Float[Tensor, "pair token input"],
        aux: Float[Tensor, "pair token input"],
    ) -> Float[Tensor, "pair both input"]:
        """The cells of both views, main first; of each view one where it attends to those."""
        if self.on == "global":
            main, aux = main.amax(dim=1, keepdim=True), aux.amax(dim=1, keepdim=True)
        return torch.cat([main, aux], dim=1)


class DepthSlices(nn.Module):
    """Each column of one view beside the same column of the other; not in the paper.

    A column is a depth along the AP axis, which both views share, so this is what tells one
    finding from two at different depths. Max over a column's rows, both views joined, one MLP for
    all columns, max over the columns.
    """

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.fuse = nn.Sequential(
            nn.LayerNorm(2 * input_dim),
            nn.Linear(2 * input_dim, 2 * dim),
            nn.GELU(),
            nn.Linear(2 * dim, dim),
        )

    def forward(
        self,
        main: Float[Tensor, "pair input row col"],
        aux: Float[Tensor, "pair input row col"],
    ) -> Float[Tensor, "pair dim"]:
        """What the depths hold, the strongest of all depths in each feature."""
        columns = torch.cat([main.amax(dim=2), aux.amax(dim=2)], dim=1).transpose(1, 2)
        fused: Tensor = self.fuse(columns)
        return fused.amax(dim=1)
