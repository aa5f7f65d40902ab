"""Compiled loops: numba where its disk cache can be written, and where it cannot."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a loop and keep the machine code on disk.

    The cache lies beside the module or, where that is read-only, in the user's cache folder; with
    neither writable the code is compiled again in each process. A cached kernel does not notice a
    change of a function it calls in *another* module: keep callees in the kernel's own module.
    """
    plain = inspect.unwrap(function)  # the tests' type checks wrap functions; numba needs the body
    compiled: Any
    try:
        compiled = numba.njit(fastmath=True, cache=True)(plain)
    except RuntimeError:  # numba found no writable place for its cache
        compiled = numba.njit(fastmath=True)(plain)
    return cast(Function, compiled)


def inlined(function: Function) -> Function:
    """A part of kernels of the same module, pasted into them when they are compiled."""
    compiled: Any = numba.njit(fastmath=True, inline="always")(inspect.unwrap(function))
    return cast(Function, compiled)
