"""How a file asks to be displayed: its first VOI LUT, else its first window (PS3.3 C.11.2)."""

import math
from collections.abc import Iterator
from typing import Literal

from fourview.dicom import tags
from fourview.dicom.elements import Elements
from fourview.dicom.modality import read_table, true_bits
from fourview.dicom.views import functional_groups
from fourview.entities import Voi
from fourview.errors import UnsupportedImageError
from fourview.text import shown

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
_FUNCTIONS: dict[str, Function] = {
    "": "LINEAR",
    "LINEAR": "LINEAR",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}


def read_voi(elements: Elements, *, ends: tuple[float, float], notes: list[str]) -> Voi | None:
    """Find what the file offers and take the first; nothing is applied here.

    Args:
        elements: The header.
        ends: Lowest and highest modality value that can occur.
        notes: Gets a sentence for whatever is offered but cannot be used.

    Returns:
        A table before a window; ``alternatives`` counts what else is offered. None where the file
        offers nothing that can be used.
    """
    offers = [*_tables(elements, ends=ends, notes=notes), *_windows(elements, notes)]
    if not offers:
        return None
    first = offers[0]
    return Voi(
        function=first.function,
        center=first.center,
        width=first.width,
        table=first.table,
        first=first.first,
        table_bits=first.table_bits,
        explanation=first.explanation,
        alternatives=len(offers) - 1,
    )


def _tables(elements: Elements, *, ends: tuple[float, float], notes: list[str]) -> Iterator[Voi]:
    for item in elements.items.get(tags.VOI_LUTS, []):
        try:
            table, first, bits = read_table(item, ends=ends)
        except UnsupportedImageError as error:
            notes.append(f"a VOI LUT was ignored: {error}")
            continue
        bits = true_bits(item, table, bits)
        explanation = item.text(tags.LUT_EXPLANATION) or ""
        yield Voi(
            function="TABLE", table=table, first=first, table_bits=bits, explanation=explanation
        )


def _windows(elements: Elements, notes: list[str]) -> Iterator[Voi]:
    for holder in (elements, *functional_groups(elements, tags.FRAME_VOI)):
        word = (holder.text(tags.VOI_FUNCTION) or "").upper()
        if word not in _FUNCTIONS:
            notes.append(f"VOI LUT Function is '{shown(word)}', which is unknown; taken as LINEAR")
        function = _FUNCTIONS.get(word, "LINEAR")
        centers, widths = holder.numbers(tags.WINDOW_CENTER), holder.numbers(tags.WINDOW_WIDTH)
        if len(centers) != len(widths):
            notes.append(f"there are {len(centers)} window centres for {len(widths)} widths")
        names = holder.texts(tags.WINDOW_EXPLANATION)
        for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
            if not _usable(function, center, width):
                notes.append(
                    f"window {center:g}/{width:g} was ignored: {function} needs a width "
                    f"{'of at least 1' if function == 'LINEAR' else 'above 0'}"
                )
                continue
            name = names[index] if index < len(names) else ""
            yield Voi(function=function, center=center, width=width, explanation=name)


def _usable(function: Function, center: float, width: float) -> bool:
    if not (math.isfinite(center) and math.isfinite(width)):
        return False
    return width >= 1 if function == "LINEAR" else width > 0
