"""Patient Orientation -> how a file's pixels must be turned to stand as a mammogram hangs.

A mammogram hangs with its rows along the chest wall's normal: the nipple to one side, the head (or
in a view from above the outer half) up. Rows that run to the nipple have A, towards the chest wall
P; both are right, since the chest wall's side is found in the pixels. What is turned here is what
no mirror can mend: rows and columns exchanged, and an image that stands on its head.

References:
    DICOM PS3.3 C.7.6.1.1.1: directions of rows and of columns, the main one first.
"""

from fourview.dicom import tags
from fourview.dicom.elements import Elements
from fourview.entities import Turn, View
from fourview.text import shown

FROM_ABOVE = frozenset({"CC", "XCC", "XCCL", "XCCM"})
FROM_THE_SIDE = frozenset({"MLO", "ML", "LM", "LMO", "SIO", "ISO"})
_MEDIAL = {"L": "R", "R": "L"}  # by the breast's side: where its inner half is


def read_turn(elements: Elements, view: View, notes: list[str]) -> Turn | None:
    """How to turn the pixels; None where they stand, or nothing can be concluded.

    Args:
        elements: The header.
        view: Says which direction is up.
        notes: Gets a sentence where pixels are to be turned.
    """
    words = tuple(word.upper() for word in elements.texts(tags.PATIENT_ORIENTATION))
    if len(words) != 2 or not all(words):
        return None
    across, down = words
    exchanged = down[0] in "AP" and across[0] not in "AP"
    if exchanged:
        across, down = down, across
    if across[0] not in "AP" or down[0] in "AP":
        return None
    upside_down = _is_upside_down(down, view)
    if upside_down is None:
        return None
    if not exchanged and not upside_down:
        return Turn(exchanged=False, upside_down=False, chest_wall=_wall(across))
    what = " and ".join(
        word
        for word, holds in (
            ("rows and columns are exchanged", exchanged),
            ("the image is upside down", upside_down),
        )
        if holds
    )
    notes.append(f"Patient Orientation is {shown(chr(92).join(words))}: {what}; turned upright")
    return Turn(exchanged=exchanged, upside_down=upside_down, chest_wall=_wall(across))


def _wall(across: str) -> str:
    return "left" if across[0] == "A" else "right"


def _is_upside_down(down: str, view: View) -> bool | None:
    if view.position in FROM_THE_SIDE:
        if "F" in down:
            return False
        return True if "H" in down else None
    if view.position in FROM_ABOVE and down[0] in "LR":
        return down[0] != _MEDIAL[view.side]
    return None
