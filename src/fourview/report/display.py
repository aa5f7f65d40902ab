"""The picture of an image: its stored frame, windowed and oriented for a person to look at.

This is the only place where pixels become 8 bits, and nothing is computed from them.
"""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from fourview.entities import Image, Turn
from fourview.errors import PixelError, ReportError
from fourview.geometry import Geometry
from fourview.preprocess.upright import stand_up, with_turn
from fourview.preprocess.window import MAX_LEVEL, Ramp, choose_display, is_inverted, to_levels

MAX_ROWS = 1200  # sharp when one view fills a screen; four views stay near one megabyte
JPEG_QUALITY = 92  # no visible blocks on smooth tissue


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An image as displayed.

    Attributes:
        pixels: 0 the darkest; dense tissue is bright.
        geometry: The way from the stored frame to ``pixels``.
        notes: How it is displayed: window, mirrored or not.
    """

    pixels: UInt8[np.ndarray, "row col"]
    geometry: Geometry
    notes: tuple[str, ...]


def show(image: Image, *, max_rows: int = MAX_ROWS) -> Shown:
    """Window, correct the polarity, turn the chest wall to where it hangs, shrink.

    The chest wall is looked for in the pixels, not in the header: it hangs on the right of a right
    breast's image and on the left of a left one's. Where the pixels do not tell, nothing is turned.

    Args:
        image: As read; pixels beyond its breast (labels, air) are kept.
        max_rows: Larger images are shrunk to so many rows; smaller ones stay as they are.
    """
    levels, chest_wall, note, turn = _levels(image)
    geometry = Geometry(image.stored_size)
    if image.pixels.shape != image.stored_size:
        geometry = geometry.resized(*image.pixels.shape)
    geometry = with_turn(geometry, turn)
    rows, cols = levels.shape
    notes = [note]
    if turn is not None:
        notes.append("turned upright for display, as the file's Patient Orientation asks")
    if chest_wall is not None and chest_wall != hanging_wall(image):
        levels, geometry = cv2.flip(levels, 1), geometry.mirrored()
        notes.append("mirrored for display: in the file the chest wall is on the other side")
    elif chest_wall is None:
        notes.append("the pixels do not show the chest wall: displayed as in the file")
    if rows > max_rows:
        small = (max_rows, max(1, round(cols * max_rows / rows)))
        levels = cv2.resize(levels, (small[1], small[0]), interpolation=cv2.INTER_AREA)
        geometry = geometry.resized(*small)
    pixels = np.rint(levels * np.float32(255 / MAX_LEVEL)).astype(np.uint8)
    return Shown(pixels=pixels, geometry=geometry, notes=tuple(notes))


def hanging_wall(image: Image) -> str:
    """Where the chest wall of an image belongs when it hangs: right for R, left for L."""
    return "right" if image.view.side == "R" else "left"


def _levels(image: Image) -> tuple[np.ndarray, str | None, str, Turn | None]:
    """Display levels of the whole frame, where the chest wall is, the window, and the turn."""
    turn: Turn | None = None
    try:
        image, breast, turn, _ = stand_up(image)
        display, note = choose_display(image, breast.mask, range_="window", voi="header")
        levels = to_levels(image.pixels, display, invert=is_inverted(image, display))
        wall = breast.chest_wall
    except PixelError as error:  # a person may still want to see what could not be processed
        display, wall, turn = Ramp(*image.value_range), None, None
        levels = to_levels(image.pixels, display, invert=not image.bright_is_dense)
        note = f"scaled from {display.low:g} to {display.high:g}: {error}"
    if image.padding is not None:
        levels = np.where(image.padding, np.uint16(0), levels)
    return levels, wall, note, turn


def encode(pixels: UInt8[np.ndarray, "..."], kind: str) -> bytes:
    """An image file of grey (row, col), BGR (row, col, 3) or BGRA pixels: jpeg, png or webp.

    Raises:
        ReportError: The codec refused.
    """
    options = {
        "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]),
        "png": (
            ".png",
            [],
        ),  # OpenCV's own choice: a third of the time of zlib's level 4, 30 % larger
        "webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 85]),
    }
    extension, settings = options[kind]
    done, data = cv2.imencode(extension, pixels, settings)
    if not done:
        raise ReportError(f"cannot encode {pixels.shape} pixels as {kind}")
    return bytes(data)


def data_uri(pixels: UInt8[np.ndarray, "..."], kind: str) -> str:
    """An image that is written into a page."""
    return f"data:image/{kind};base64,{base64.b64encode(encode(pixels, kind)).decode()}"
