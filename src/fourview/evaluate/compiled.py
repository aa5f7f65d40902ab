"""How the inner loops of this stage are compiled: by numba, without the interpreter's lock."""

import inspect
from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile ``function`` on first use; threads may run it side by side.

    The original is unwrapped first, since run-time shape checks (under pytest) wrap functions in
    Python code that numba cannot read.
    """
    return cast(F, njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function)))
