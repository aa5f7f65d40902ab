"""From modality values to display levels: VOI window or table, polarity and scale, in one look-up.

Levels:  uint16, 0 the darkest and 65535 the brightest, so that no depth of a detector is squeezed.
         With ``MONOCHROME1`` the scale is turned round after the window, never before it.
How:     integers go through a table with one entry for every value that they can have; one gather
         does window, polarity and scale together. Floating-point pixels go through the formulas.
"""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt16

from fourview.entities import Image, Voi
from fourview.errors import PixelError

MAX_LEVEL = 65535
TABLE_SPAN = 1 << 20  # integers that span more than this go through the formulas instead


@dataclass(frozen=True, slots=True)
class Ramp:
    """A straight line from ``low`` (level 0) to ``high`` (the top level), in modality values."""

    low: float
    high: float


Display = Voi | Ramp


def to_display(
    values: Shaped[np.ndarray, "*shape"], display: Display
) -> Float[np.ndarray, "*shape"]:
    """Map modality values to [0, 1] by the formulas; polarity is not touched.

    Args:
        values: Modality values, that is, after slope and intercept or the modality table.
        display: The file's window or table, or a plain ramp.

    Raises:
        PixelError: A window that the standard forbids: LINEAR below width 1, others not above 0.

    References:
        DICOM PS3.3 C.11.2.1.1 (table), C.11.2.1.2.1 (LINEAR; the half-pixel offsets are the
        standard's), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if isinstance(display, Voi) and display.function == "TABLE":
        return _by_voi_table(values, display)
    x = values.astype(np.float64)
    if isinstance(display, Ramp):
        return np.clip((x - display.low) / max(display.high - display.low, 1e-12), 0, 1)
    center, width = display.center, display.width
    check_window(display)
    if display.function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (x - center) / width, -700, 700))))
    if display.function == "LINEAR_EXACT":
        return np.clip((x - center) / width + 0.5, 0, 1)
    if width == 1:  # the ramp has no length: a step at the centre
        return (x > center - 0.5).astype(np.float64)
    return np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def check_window(voi: Voi) -> None:
    """Refuse windows that the standard forbids.

    Raises:
        PixelError: Centre or width is no number, the width is too small, or the table is empty.
    """
    if voi.function == "TABLE":
        if voi.table is None or len(voi.table) == 0 or not 1 <= voi.table_bits <= 16:
            raise PixelError(
                f"VOI LUT has {0 if voi.table is None else len(voi.table)} entries of "
                f"{voi.table_bits} bits, need at least 1 of 1 to 16; set voi to 'ignore'"
            )
        return
    least = 1.0 if voi.function == "LINEAR" else 0.0
    wide_enough = voi.width >= least if voi.function == "LINEAR" else voi.width > least
    if not (np.isfinite(voi.center) and np.isfinite(voi.width) and wide_enough):
        raise PixelError(
            f"window centre {voi.center}, width {voi.width} cannot be used for {voi.function}, "
            f"need a width {'of at least 1' if least else 'above 0'}; set voi to 'ignore'"
        )


def is_inverted(image: Image, display: Display) -> bool:
    """Whether the scale must be turned round behind ``display`` to make dense tissue bright.

    A table that falls has turned it round already.
    """
    falls = isinstance(display, Voi) and display.falls
    return image.bright_is_dense == falls


def _by_voi_table(values: Shaped[np.ndarray, "*shape"], voi: Voi) -> Float[np.ndarray, "*shape"]:
    """Look up; values below the first entry get the first, values above the last the last."""
    check_window(voi)
    assert voi.table is not None
    index = np.clip(np.rint(values.astype(np.float64)) - voi.first, 0, len(voi.table) - 1)
    shown = np.clip(voi.table.astype(np.float64) / (2**voi.table_bits - 1), 0, 1)
    return np.asarray(shown[index.astype(np.intp)])


def to_levels(
    pixels: Shaped[np.ndarray, "row col"], display: Display, *, invert: bool
) -> UInt16[np.ndarray, "row col"]:
    """Map modality values to display levels 0 to 65535.

    Args:
        pixels: Modality values of any integer or floating type; a view is fine.
        display: What decides which values become dark and bright.
        invert: Turn the scale round (MONOCHROME1).
    """
    if pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2:
        return _gather_small(pixels, display, invert=invert)
    if pixels.dtype.kind in "ui" and pixels.size:
        low, high = int(pixels.min()), int(pixels.max())
        if high - low < TABLE_SPAN:
            table = _levels(np.arange(low, high + 1), display, invert=invert)
            return np.asarray(table[pixels.astype(np.int64) - low])
    return _levels(pixels, display, invert=invert)


def _gather_small(
    pixels: Shaped[np.ndarray, "row col"], display: Display, *, invert: bool
) -> UInt16[np.ndarray, "row col"]:
    """One gather; the table is laid out by bit pattern, so signed values need no shift."""
    unsigned = np.dtype(f"u{pixels.dtype.itemsize}")
    patterns = np.arange(1 << 8 * pixels.dtype.itemsize, dtype=unsigned)
    table = _levels(patterns.view(pixels.dtype), display, invert=invert)
    return np.asarray(cv2.LUT(pixels.view(unsigned), table))  # four times as fast as indexing


def _levels(
    values: Shaped[np.ndarray, "*shape"], display: Display, *, invert: bool
) -> UInt16[np.ndarray, "*shape"]:
    shown = to_display(values, display)
    if invert:
        shown = 1 - shown
    return np.asarray(np.rint(shown * MAX_LEVEL)).astype(np.uint16)


def extremes(pixels: Shaped[np.ndarray, "row col"], mask: Bool[np.ndarray, "row col"]) -> Ramp:
    """The ramp between the lowest and the highest modality value inside ``mask``."""
    if pixels.dtype in (np.uint8, np.uint16, np.int16, np.float32):
        low, high, _, _ = cv2.minMaxLoc(np.ascontiguousarray(pixels), mask.view(np.uint8))
    else:
        inside = pixels[mask]
        low, high = inside.min(), inside.max()
    return Ramp(float(low), float(high))


Range = Literal["window", "min_max", "bits"]
VoiChoice = Literal["header", "ignore"] | Voi


def choose_display(
    image: Image,
    mask: Bool[np.ndarray, "row col"],
    *,
    range_: Range,
    voi: VoiChoice,
) -> tuple[Display, str]:
    """Decide what becomes dark and bright, with a sentence that says so.

    A window that is ignored is replaced by the whole range of the file's bits; a window that is
    missing, by the extremes inside the breast (the bits of such a file are often far from used).

    Args:
        image: Gives its window and the range of its bits.
        mask: Where the breast is, in the frame of ``image.pixels``.
        range_: Range that a spec asks for: window, min_max or bits.
        voi: The file's own window, none, or the user's.

    Returns:
        The way to display, and the note.
    """
    if range_ == "min_max":
        ramp = extremes(image.pixels, mask)
        return ramp, f"scaled from {ramp.low:g} to {ramp.high:g}, the extremes inside the breast"
    if range_ == "window" and isinstance(voi, Voi):
        return voi, f"shown with the user's {_describe(voi)}"
    if range_ == "window" and voi == "header":
        if image.voi is not None:
            return image.voi, f"shown with the file's {_describe(image.voi)}"
        ramp = extremes(image.pixels, mask)
        return ramp, f"no window in the file: scaled from {ramp.low:g} to {ramp.high:g}"
    ramp = Ramp(*image.value_range)
    return ramp, f"scaled from {ramp.low:g} to {ramp.high:g}, all that {image.bits} bits can hold"


def _describe(voi: Voi) -> str:
    words: dict[str, Any] = {"TABLE": "VOI LUT"}
    name = words.get(voi.function, f"{voi.function} window {voi.center:g}/{voi.width:g}")
    label = f" ({voi.explanation})" if voi.explanation else ""
    others = f", the first of {voi.alternatives + 1}" if voi.alternatives else ""
    return f"{name}{label}{others}"
