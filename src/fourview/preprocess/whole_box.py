"""The breast's box in 8 bits, as networks see it that read whole images as they hang.

Values:  the file's window or table, polarity, then floor(255 (v - min) / (max - min)) over all
         pixels of the image, air and labels too.
Box:     of the breast, ``MARGIN`` stored pixels wider on each side, cut at the image's edge.
         Nothing in it is set to 0, and nothing is mirrored.
Size:    ``stretched``: a box that is too tall for the frame gets columns of 0 on both sides, then
         it is resized to the frame, whatever that does to its aspect. ``square``: its longer side
         becomes that of the frame, and 0 is added around it.
         Bilinear without antialiasing (OpenCV's INTER_LINEAR), as the weights have seen it.

Source: hub model ``ianpan/mammoscreen`` (Apache-2.0): what its preprocessing does, by description.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8, UInt16

from fourview.entities import Image
from fourview.geometry import Geometry, Size
from fourview.preprocess.window import TABLE_SPAN, Display, Ramp, is_inverted, to_display

MARGIN = 5  # stored pixels: the published boxes come from an image without its outermost 5
EIGHT_BITS = 255
TO_LEVELS = 257  # 65535 / 255: an 8-bit value as a level of 16 bits, without loss

Corners = tuple[int, int, int, int]
Fit = Literal["stretched", "square"]


class Placed(NamedTuple):
    """A box in its frame.

    Attributes:
        levels: 257 times the 8-bit value, at least 1 in the box; 0 where the frame was filled up.
        mask: True where the box is.
        geometry: The way from the file's own pixels to the frame.
    """

    levels: UInt16[np.ndarray, "row col"]
    mask: Bool[np.ndarray, "row col"]
    geometry: Geometry


def display_of(image: Image, *, ignored: bool) -> Display:
    """The file's window or table; all values that there are without one, or if it is ignored."""
    if image.voi is not None and not ignored:
        return image.voi
    return Ramp(float(image.pixels.min()), float(image.pixels.max()))


def eight_bits(image: Image, display: Display) -> UInt8[np.ndarray, "row col"]:
    """Every pixel of an image in 8 bits, by the image's own extremes."""
    invert = is_inverted(image, display)
    pixels = image.pixels
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind not in "ui" or int(high) - int(low) >= TABLE_SPAN:
        return _scaled(_shown(pixels, display, invert=invert))
    index = pixels.astype(np.int64) - int(low)
    shown = _shown(np.arange(int(low), int(high) + 1), display, invert=invert)
    present = shown[np.bincount(index.ravel(), minlength=len(shown)) > 0]
    return _scaled(shown, float(present.min()), float(present.max()))[index]


def placed_box(
    image: Image,
    values: UInt8[np.ndarray, "tall wide"],
    box: Corners,
    geometry: Geometry,
    *,
    size: Size,
    fit: Fit,
) -> Placed:
    """Cut the box out and lay it into a frame.

    Args:
        image: Upright; gives the edge where the box is cut.
        values: Pixels of the image in 8 bits.
        box: Box of the breast; x0, y0, x1, y1, half-open.
        geometry: The way from the file's own pixels to the upright image.
        size: Rows and columns of the frame.
        fit: See the module docstring.
    """
    rows, cols = image.pixels.shape
    x0, y0 = max(box[0] - MARGIN, 0), max(box[1] - MARGIN, 0)
    x1, y1 = min(box[2] + MARGIN, cols), min(box[3] + MARGIN, rows)
    cut, geometry = values[y0:y1, x0:x1], geometry.cropped(x0, y0, x1, y1)
    if fit == "stretched":
        padding = _padding_cols(cut.shape, size)
        cut, inside, geometry = _framed(cut, np.ones(cut.shape, bool), (0, 0, *padding), geometry)
        cut, geometry = _resized(cut, size), geometry.resized(*size)
        share = _resized(inside.view(np.uint8) * np.uint8(EIGHT_BITS), size)
        inside = share > 0  # a pixel that is mixed with the filling stays
    else:
        scale = min(size[0] / cut.shape[0], size[1] / cut.shape[1])
        small = (max(1, round(cut.shape[0] * scale)), max(1, round(cut.shape[1] * scale)))
        cut, geometry = _resized(cut, small), geometry.resized(*small)
        missing = size[0] - small[0], size[1] - small[1]
        border = (missing[0] // 2, -(-missing[0] // 2), missing[1] // 2, -(-missing[1] // 2))
        cut, inside, geometry = _framed(cut, np.ones(cut.shape, bool), border, geometry)
    levels = np.maximum(cut.astype(np.uint16) * np.uint16(TO_LEVELS), 1) * inside
    return Placed(levels.astype(np.uint16), inside, geometry)


def _shown(
    values: Shaped[np.ndarray, "*shape"], display: Display, *, invert: bool
) -> Float[np.ndarray, "*shape"]:
    shown = to_display(values, display)
    return 1 - shown if invert else shown


def _scaled(
    shown: Float[np.ndarray, "*shape"], low: float | None = None, high: float | None = None
) -> UInt8[np.ndarray, "*shape"]:
    low = float(shown.min()) if low is None else low
    high = float(shown.max()) if high is None else high
    part = np.clip((shown - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(np.floor(part * EIGHT_BITS)).astype(np.uint8)


def _padding_cols(cut: tuple[int, ...], size: Size) -> tuple[int, int]:
    """Columns left and right that make a box no taller than the frame."""
    ratio = size[0] / size[1]
    missing = max(round(cut[0] / ratio) - cut[1], 0)
    return missing // 2, missing - missing // 2


def _framed(
    values: UInt8[np.ndarray, "tall wide"],
    inside: Bool[np.ndarray, "tall wide"],
    border: tuple[int, int, int, int],
    geometry: Geometry,
) -> tuple[UInt8[np.ndarray, "row col"], Bool[np.ndarray, "row col"], Geometry]:
    """The picture with so many rows and columns of 0 above, below, left and right."""
    if not any(border):
        return values, inside, geometry
    above, below, left, right = border
    rows, cols = values.shape
    values = cv2.copyMakeBorder(values, *border, cv2.BORDER_CONSTANT, value=0)
    inside = np.pad(inside, ((above, below), (left, right)))
    return values, inside, geometry.cropped(-left, -above, cols + right, rows + below)


def _resized(values: UInt8[np.ndarray, "tall wide"], size: Size) -> UInt8[np.ndarray, "row col"]:
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
