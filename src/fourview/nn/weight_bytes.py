"""Weights as bytes, for a digest that tells whether two networks have the same."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def weight_bytes(weights: Iterable[tuple[str, Tensor]]) -> Iterator[bytes]:
    """The name and then the values of each tensor, in the order in which they come."""
    for name, value in weights:
        yield name.encode()
        plain = value.detach().cpu().contiguous().reshape(-1)  # NumPy has no bfloat16
        yield plain.view(torch.uint8).numpy().tobytes()
