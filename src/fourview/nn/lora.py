"""Low-rank adaptation: train a small product beside a frozen matrix.

Hu et al. 2022, LoRA, arXiv:2106.09685: y = W x + (alpha / r) B A dropout(x), with A random and B
zero at first, so that training starts from the pretrained network.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from fourview.errors import RecipeError

QUERY_KEY_VALUE = ("c_attn", "qkv", "query", "key", "value", "q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """What is adapted and how much.

    Attributes:
        rank: r; 0 adapts nothing and trains the whole network.
        alpha: Scale, divided by the rank.
        dropout: Of the adapter's input.
        targets: Last names of the matrices; queries, keys and values of common networks.
    """

    rank: int = 0
    alpha: float = 32.0
    dropout: float = 0.1
    targets: tuple[str, ...] = QUERY_KEY_VALUE


class LoraLinear(nn.Module):
    """A frozen linear map with its adapter.

    Args:
        base: ``nn.Linear``, or a map with the weight the other way round, as GPT-2's have.
        config: Rank above 0.
    """

    def __init__(self, base: nn.Module, config: LoraConfig) -> None:
        super().__init__()
        weight = cast("Tensor", base.weight)
        out_dim, in_dim = weight.shape if isinstance(base, nn.Linear) else weight.shape[::-1]
        self.base = base.requires_grad_(False)
        self.scale = config.alpha / config.rank
        self.dropout = nn.Dropout(config.dropout)
        self.down = nn.Parameter(weight.new_empty(config.rank, in_dim))
        self.up = nn.Parameter(weight.new_zeros(out_dim, config.rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """The frozen map plus the scaled product."""
        low = nn.functional.linear(self.dropout(values), self.down)
        result: Tensor = self.base(values)
        return result + self.scale * nn.functional.linear(low, self.up)


def adapt(network: nn.Module, config: LoraConfig) -> None:
    """Freeze a network and put adapters beside the matrices that ``config`` names.

    Raises:
        RecipeError: The network has none of them.
    """
    if config.rank == 0:
        return
    network.requires_grad_(False)
    found = [
        (name, module)
        for name, module in network.named_modules()
        if name.rpartition(".")[2] in config.targets and _is_matrix(module)
    ]
    if not found:
        raise RecipeError(
            f"lora.targets: {type(network).__name__} has none of {', '.join(config.targets)}"
        )
    for name, module in found:
        holder, _, last = name.rpartition(".")
        setattr(network.get_submodule(holder), last, LoraLinear(module, config))


def _is_matrix(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2
