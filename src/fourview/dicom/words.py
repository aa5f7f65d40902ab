"""How messages and notes name a tag."""


def number_of(tag: int) -> str:
    """A tag as people write it: (0028,0010)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def name_of(tag: int) -> str:
    """An attribute's name and tag, such as Window Center (0028,1050)."""
    from pydicom.datadict import (  # noqa: PLC0415 - only what is odd is named
        dictionary_description,
        dictionary_has_tag,
    )

    if dictionary_has_tag(tag):
        return f"{dictionary_description(tag)} {number_of(tag)}"
    return f"element {number_of(tag)}"
