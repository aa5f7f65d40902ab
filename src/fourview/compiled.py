"""How inner loops are compiled: by numba, with the machine code kept on disk where it can be.

A compiled function does not notice a change of a function that it calls in *another* module, so
keep what a loop calls in the loop's own module.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a loop on first use; it lets go of the interpreter's lock, so threads run at once.

    Arithmetic is exact to the order that is written, and a division by 0 gives inf or NaN as in
    numpy.
    """
    return _kept(function, nogil=True, error_model="numpy")


def compiled_fast(function: Function) -> Function:
    """Compile a loop on first use; sums may be taken in another order than is written."""
    return _kept(function, fastmath=True)


def inlined(function: Function) -> Function:
    """Inline a function into the ``compiled_fast`` loops of its module that call it."""
    loop: Any = numba.njit(fastmath=True, inline="always")(inspect.unwrap(function))
    return cast(Function, loop)


def _kept(function: Function, **options: Any) -> Function:
    """The cache lies beside the module or, where that is read-only, in the user's cache folder."""
    plain = inspect.unwrap(function)  # run-time shape checks wrap functions; numba needs the body
    loop: Any
    try:
        loop = numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # neither place can be written: compiled again in each process
        loop = numba.njit(**options)(plain)
    return cast(Function, loop)
