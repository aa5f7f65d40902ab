"""Losses are computed in float32 or better, also within autocast."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
HALVES = (torch.bfloat16, torch.float16)


def in_full_precision(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a loss without autocast, its half-precision tensors raised to float32.

    Cosines times 1 / 0.07 need more than the 8 bits of bfloat16, and a learnable temperature moves
    by less than those bits resolve.

    >>> @in_full_precision
    ... def mean(values):
    ...     return values.mean()
    >>> mean(torch.ones(3, dtype=torch.bfloat16)).dtype
    torch.float32
    """

    @wraps(function)
    def raised(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        values = [*args, *kwargs.values()]
        device = next(value.device.type for value in values if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            positional: list[Any] = [_raised(value) for value in args]
            named: dict[str, Any] = {name: _raised(value) for name, value in kwargs.items()}
            return function(*positional, **named)

    return raised


def _raised(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value
