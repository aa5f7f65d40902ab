"""Options that only matter beside another one are refused without it, not dropped in silence."""

import inspect
from collections.abc import Callable

from fourview.errors import FourviewError


def refuse_unused(command: Callable[..., object], *, needs: str, **given: object) -> None:
    """Refuse values that the command would not read, since what they belong to was not asked for.

    Args:
        command: The command's function; a value that is its default was not given.
        needs: What reads them, in words: ``--contact-sheet``.
        given: Values by the names of the function's parameters.

    Raises:
        FourviewError: One of them was given.
    """
    parameters = inspect.signature(command).parameters
    for name, value in given.items():
        if value != parameters[name].default:
            option = option_of(parameters[name])
            raise FourviewError(f"{option}: is read only with {needs}; leave it out or add that")


def option_of(parameter: inspect.Parameter) -> str:
    """A parameter's name on the command line: ``--sheet-images``.

    The long one, where an annotation gives it names of its own.
    """
    for about in getattr(parameter.annotation, "__metadata__", ()):
        named = [n for n in getattr(about, "name", None) or () if str(n).startswith("--")]
        if named:
            return str(named[0])
    return f"--{parameter.name.strip('_').replace('_', '-')}"
