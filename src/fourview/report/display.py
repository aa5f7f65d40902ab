"""The picture of an image: its stored frame, windowed and oriented for a person to look at.

Here pixels become the 8 bits of reports and of the reading room; nothing is computed from those.
"""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from fourview.entities import Image, Turn, Voi
from fourview.errors import PixelError, ReportError
from fourview.geometry import Geometry
from fourview.preprocess.breast import find_breast
from fourview.preprocess.upright import stand_up, with_turn
from fourview.preprocess.window import (
    MAX_LEVEL,
    Display,
    Ramp,
    VoiChoice,
    check_window,
    choose_display,
    is_inverted,
    to_levels,
)

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
        max_rows: Larger images are shrunk to this many rows; smaller ones stay as they are.
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
    return Shown(pixels=greys(levels), geometry=geometry, notes=tuple(notes))


def hanging_wall(image: Image) -> str:
    """Where the chest wall of an image belongs when it hangs: right for R, left for L."""
    return "right" if image.view.side == "R" else "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hung:
    """What is decided about an image, in the file's own frame, before it is displayed.

    Attributes:
        display: The window, table or ramp that is applied.
        inverted: Whether the scale is turned round behind it, so that dense tissue is bright.
        chest_wall: The side of the frame the chest wall is on; None where the pixels do not tell.
        note: How it is windowed.
    """

    display: Display
    inverted: bool
    chest_wall: str | None
    note: str

    def is_mirrored(self, image: Image) -> bool:
        """Whether left and right are exchanged for display."""
        return self.chest_wall is not None and self.chest_wall != hanging_wall(image)


def decide(image: Image, *, voi: VoiChoice = "header") -> Hung:
    """Look for the chest wall and choose the window; a person may see what models cannot read."""
    try:
        breast = find_breast(image)
        display, note = choose_display(image, breast.mask, range_="window", voi=voi)
        if isinstance(display, Voi):
            check_window(display)
    except PixelError as error:
        low, high = image.value_range
        note = f"scaled from {low:g} to {high:g}: {error}"
        return Hung(
            display=Ramp(low, high), inverted=not image.bright_is_dense, chest_wall=None, note=note
        )
    if image.turn is not None and image.turn.moves_pixels:
        note += "; shown as stored, though the file's Patient Orientation asks for a turn"
    inverted = is_inverted(image, display)
    return Hung(display=display, inverted=inverted, chest_wall=breast.chest_wall, note=note)


def greys(levels: UInt16[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Levels of 16 bits as the 8 bits that a screen shows; halves go to the even value."""
    return np.asarray(np.rint(levels * np.float32(255 / MAX_LEVEL)).astype(np.uint8))


def _levels(image: Image) -> tuple[np.ndarray, str | None, str, Turn | None]:
    """Display levels of the whole frame, where the chest wall is, the window, and the turn."""
    turn: Turn | None = None
    try:
        standing, _, turn, _ = stand_up(image)
    except PixelError:  # a person may still want to see what could not be processed
        standing = image
    hung = decide(standing)
    levels = to_levels(standing.pixels, hung.display, invert=hung.inverted)
    if standing.padding is not None:
        levels = np.where(standing.padding, np.uint16(0), levels)
    return levels, hung.chest_wall, hung.note, turn


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
