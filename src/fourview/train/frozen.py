"""Weights that a stage leaves as they are: kept once, and in half the memory where asked.

A saved state and a checkpoint of a run with a frozen text tower hold what is trained (adapters,
heads), not 11 GB of what every run begins with.
"""

import torch
from torch import nn

from fourview.fingerprint import digest_of_parts, short
from fourview.nn.weight_bytes import weight_bytes


def frozen_names(model: nn.Module) -> set[str]:
    """Names of the parameters that are not trained."""
    return {name for name, p in model.named_parameters() if not p.requires_grad}


def lower_frozen(module: nn.Module) -> None:
    """Keep matrices that are not trained in bfloat16; vectors (norms, biases) stay float32."""
    for parameter in module.parameters():
        if not parameter.requires_grad and parameter.ndim > 1:
            parameter.data = parameter.data.to(torch.bfloat16)


def digest_of_frozen(model: nn.Module) -> str:
    """Digest of the weights that are not trained; empty where all are."""
    names = sorted(frozen_names(model))
    if not names:
        return ""
    weights = dict(model.named_parameters())
    return short(digest_of_parts(weight_bytes((name, weights[name]) for name in names)))
