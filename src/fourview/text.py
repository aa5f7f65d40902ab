"""Text from outside, made fit to be shown: one line, printable, and short.

A header, a file's name or a table may hold anything: a line break that begins a false line of a
log, control sequences that move a terminal's cursor, marks that turn the direction of what
follows, a million characters.
"""

import unicodedata

MOST = 2000  # characters of a message: room for two paths and a sentence
MOST_VALUE = 512  # characters of one value or note; the longest in a usual header has 64
MOST_QUOTED = 40  # characters of a value that a sentence quotes
_GAP = " ... "
_BREAKS = frozenset("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def printable(text: str, most: int = MOST) -> str:
    r"""The text on one line, without invisible characters, and not longer than ``most``.

    Line breaks and tabs become spaces, all else that cannot be seen is written as Python escapes
    it (``\x1b``). Of a text that is too long the middle is left out: its beginning says where, its
    end what to do.
    """
    if len(text) > most:
        head = (most - len(_GAP)) * 2 // 3
        text = text[:head] + _GAP + text[len(text) - (most - len(_GAP) - head) :]
    if text.isprintable():
        return text
    seen = "".join(_seen(sign) for sign in text)
    return seen if len(seen) <= most else printable(seen, most)


def shown(text: object, most: int = MOST_QUOTED) -> str:
    """A value inside of a sentence: as ``printable``, its blanks joined, its padding cut off."""
    once = printable(str(text).replace("\0", " "), 4 * most)
    return printable(" ".join(once.split()), most)


def _seen(sign: str) -> str:
    if sign.isprintable() or unicodedata.category(sign) == "Zs":
        return sign
    return " " if sign in _BREAKS else sign.encode("unicode_escape").decode("ascii")
