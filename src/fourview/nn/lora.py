"""Low-rank adaptation: train a small product beside frozen matrices, with peft.

Hu et al. 2022, LoRA, arXiv:2106.09685: y = W x + (alpha / r) B A dropout(x), with A random and B
zero at first, so that training starts from the pretrained network. The network stays the same
module: beside an adapted matrix stand ``lora_A`` and ``lora_B``, and its own weight is named
``base_layer``.
"""

import warnings
from dataclasses import dataclass

from torch import nn

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
    alpha: int = 32
    dropout: float = 0.1
    targets: tuple[str, ...] = QUERY_KEY_VALUE


def adapt(network: nn.Module, config: LoraConfig) -> None:
    """Freeze a network and put adapters beside the matrices that ``config`` names.

    Raises:
        RecipeError: The network has none of them, or peft is not installed.
    """
    if config.rank == 0:
        return
    try:
        import peft  # noqa: PLC0415 - an optional extra, slow to import
    except ImportError:
        raise RecipeError(
            "lora.rank above 0 needs peft; install fourview[language], or set lora.rank=0"
        ) from None
    present = {name.rpartition(".")[2] for name, _ in network.named_modules()}
    targets = sorted(present & set(config.targets))
    if not targets:
        raise RecipeError(
            f"lora.targets: {type(network).__name__} has none of {', '.join(config.targets)}"
        )
    plan = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        bias="none",
    )
    with warnings.catch_warnings():  # it sees by itself which way round GPT-2's matrices are
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        peft.inject_adapter_in_model(plan, network)
