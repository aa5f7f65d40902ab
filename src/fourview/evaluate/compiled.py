"""How the inner loops of this stage are compiled: by numba, without the interpreter's lock."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile ``function`` on first use; threads may run it side by side.

    The machine code is kept on disk where numba finds a place for it. It does not notice a change
    of a function called from another module, so kernels call only those of their own.
    """
    plain = inspect.unwrap(function)  # run-time shape checks wrap functions; numba needs the body
    loop: Any
    try:
        loop = numba.njit(cache=True, nogil=True, error_model="numpy")(plain)
    except RuntimeError:  # no writable place for the cache
        loop = numba.njit(nogil=True, error_model="numpy")(plain)
    return cast(F, loop)
