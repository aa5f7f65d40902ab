"""What is said where a name is unknown: the nearest known one, and the list."""

from collections.abc import Iterable
from difflib import get_close_matches

NEAR = 0.5  # share of letters in common; "lrate" and "lr" have 0.57


def no_such(what: str, name: str, names: Iterable[str]) -> str:
    """The message for a name that is not among ``names``.

    >>> no_such("source", "vinder", ["rsna", "vindr"])
    "no source 'vinder'; did you mean 'vindr'? there are: rsna, vindr"
    """
    known = tuple(names)
    return f"no {what} '{name}'; {did_you_mean(name, known)}there are: {', '.join(known) or 'none'}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``did you mean 'x'? `` where a name is near, else nothing."""
    near = nearest(name, names)
    return "" if near is None else f"did you mean '{near}'? "


def nearest(name: str, names: Iterable[str], *, at_least: float = NEAR) -> str | None:
    """The name that is most alike, whether in capitals or not; None where none is.

    Args:
        name: What was written.
        names: What there is.
        at_least: How much they must be alike, from 0 to 1, as ``difflib`` measures it.
    """
    # Reversed, so that of names that differ only in case the first one is suggested.
    by_fold = {known.casefold(): known for known in reversed(tuple(names))}
    near = get_close_matches(name.casefold(), by_fold, n=1, cutoff=at_least)
    return by_fold[near[0]] if near else None
