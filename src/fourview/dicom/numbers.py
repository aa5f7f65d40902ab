"""Numbers that a header writes as text: what the standard allows, and what people wrote instead.

A comma has no meaning in a DS or an IS (PS3.5 6.2), but programs that ran under a German or French
locale wrote one where the point should be. It is read as that.
"""

import re

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = (
    re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d*", re.ASCII),  # 1,500.5
    re.compile(r"[+-]?\d{1,3}(?:[.' ]\d{3})+,\d*", re.ASCII),  # 1.500,5
)
_SEVERAL = re.compile(r"[,;\s]+")
NAN = float("nan")


def read_decimal(text: str) -> list[float] | None:
    """The numbers in one value that is not written as the standard asks.

    Returns:
        One number; several where somebody separated values by commas, semicolons or blanks; None
        where it cannot be understood in one way only.
    """
    word = text.strip()
    one = _one_number(word)
    if one is not None:
        return [one]
    parts = [part for part in _SEVERAL.split(word) if part]
    if len(parts) > 1 and all("." in p and NUMBER.fullmatch(p) for p in parts):
        return [float(part) for part in parts]
    parts = word.replace(";", " ").split()
    if len(parts) > 1 and all(_WITH_COMMA.fullmatch(p) for p in parts):
        return [float(part.replace(",", ".")) for part in parts]
    return None


def _one_number(word: str) -> float | None:
    """A number with a point or a comma, and with or without marks between thousands."""
    if NUMBER.fullmatch(word):
        return float(word)
    if _WITH_COMMA.fullmatch(word):
        return float(word.replace(",", "."))
    if _THOUSANDS[0].fullmatch(word):
        return float(word.replace(",", ""))
    if _THOUSANDS[1].fullmatch(word):
        return float(re.sub(r"[.' ]", "", word).replace(",", "."))
    return None


def read_decimals(parts: tuple[str, ...]) -> tuple[tuple[float, ...], bool]:
    """All values of an attribute, and whether every one could be understood.

    A value that cannot be understood is NaN beside others, so that the others keep their places,
    and none where it stands alone.
    """
    numbers: list[float] = []
    is_whole = True
    for part in parts:
        if not part:
            continue
        values = read_decimal(part)
        is_whole &= values is not None
        numbers += [NAN] if values is None else values
    if all(value != value for value in numbers):  # noqa: PLR0124 - NaN alone differs from itself
        return (), is_whole
    return tuple(numbers), is_whole
