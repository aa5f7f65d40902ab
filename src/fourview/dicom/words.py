"""What messages and notes quote from a file: short, and without control characters."""

from pydicom.datadict import dictionary_description, dictionary_has_tag

MOST = 40  # characters that a message quotes


def shown(text: object, most: int = MOST) -> str:
    """A header's text for a message: printable, blanks joined, at most ``most`` characters.

    A header is written by strangers. A line break in it could forge a line of a log, and a text
    of a million characters would fill one.
    """
    start = str(text)[: 4 * most]
    clean = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return clean if len(clean) <= most else clean[: most - 3] + "..."


def number_of(tag: int) -> str:
    """A tag as people write it: (0028,0010)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def name_of(tag: int) -> str:
    """An attribute's name and tag, such as Window Center (0028,1050)."""
    if dictionary_has_tag(tag):
        return f"{dictionary_description(tag)} {number_of(tag)}"
    return f"element {number_of(tag)}"
