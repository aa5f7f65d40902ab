"""An image as it stands in its file -> upright, as a mammogram hangs, and the way back.

Only what the file's Patient Orientation asks for is done, and only where the pixels do not refute
it: the chest wall must then be where the orientation says.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fourview.entities import Image, Turn
from fourview.geometry import Geometry
from fourview.preprocess.breast import Breast, find_breast


class Upright(NamedTuple):
    """An image that stands.

    Attributes:
        image: Image with turned pixels, padding, spacing and size; its ``turn`` moves nothing now.
        breast: Where the breast is in it.
        turn: What was done; None where nothing was.
        notes: What was decided.
    """

    image: Image
    breast: Breast
    turn: Turn | None
    notes: tuple[str, ...]


def stand_up(image: Image) -> Upright:
    """Turn an image upright and find its breast.

    Raises:
        PixelError: The image is blank or has no breast.
    """
    turn = image.turn
    if turn is None or not turn.moves_pixels:
        return Upright(image, find_breast(image), None, ())
    standing = turned(image)
    breast = find_breast(standing)
    agrees = None in (breast.chest_wall, turn.chest_wall) or breast.chest_wall == turn.chest_wall
    if turn.exchanged or agrees:
        return Upright(standing, breast, turn, ())
    note = (
        f"Patient Orientation has the chest wall on the {turn.chest_wall}, the pixels have it on "
        f"the {breast.chest_wall}: the orientation is not true, and the image was not turned"
    )
    image = replace(image, turn=None)
    return Upright(image, find_breast(image), None, (note,))


def turned(image: Image) -> Image:
    """The image with its pixels turned as its ``turn`` says."""
    turn = image.turn
    if turn is None or not turn.moves_pixels:
        return image
    size, spacing = image.stored_size, image.spacing_mm
    if turn.exchanged:
        size = (size[1], size[0])
        spacing = None if spacing is None else (spacing[1], spacing[0])
    return replace(
        image,
        pixels=_moved(image.pixels, turn),
        padding=None if image.padding is None else _moved(image.padding, turn),
        stored_size=size,
        spacing_mm=spacing,
        turn=Turn(chest_wall=turn.chest_wall),
    )


def with_turn(geometry: Geometry, turn: Turn | None) -> Geometry:
    """The geometry with the steps of a turn."""
    if turn is None:
        return geometry
    if turn.exchanged:
        geometry = geometry.exchanged()
    return geometry.upside_down() if turn.upside_down else geometry


def _moved(values: np.ndarray, turn: Turn) -> np.ndarray:
    if turn.exchanged:
        values = values.T
    return np.ascontiguousarray(values[::-1] if turn.upside_down else values)
