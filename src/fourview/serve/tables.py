"""What the browser gets of an image: one 16-bit index per pixel, and one table from index to grey.

Index:   value - low, a uint16, where modality values are integers that span no more than 65,536;
         otherwise rint((value - low) 65535 / (high - low)), at most half a step from the value.
Table:   65,536 greys of 8 bits: what ``report.display`` shows of each index, by the image's own
         window, function or table, inverted for MONOCHROME1. Beyond the range the end value.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8, UInt16, UInt32

from fourview.entities import Image
from fourview.preprocess.window import Display, to_levels
from fourview.report.display import greys

ENTRIES = 65536


@dataclass(frozen=True, slots=True)
class Scale:
    """Which modality value an index stands for.

    Attributes:
        low: Modality value of index 0.
        high: Modality value of the last index that stands for one.
        is_exact: Whether indices are modality values less ``low``.
    """

    low: float
    high: float
    is_exact: bool

    @property
    def count(self) -> int:
        """Indices that stand for a value; the others show what the last one does."""
        return int(self.high - self.low) + 1 if self.is_exact else ENTRIES

    @property
    def step(self) -> float:
        """Modality values between two indices."""
        return 1.0 if self.is_exact else (self.high - self.low) / (ENTRIES - 1)

    def values(self) -> Shaped[np.ndarray, " entry"]:
        """The modality value of every index that stands for one."""
        index = np.arange(self.count)
        return index + int(self.low) if self.is_exact else self.low + index * self.step


def scale_of(image: Image) -> Scale:
    """The scale of an image: by the range that its bits can hold, widened to what it does hold."""
    low, high = image.value_range
    if image.pixels.size:
        low, high = min(low, float(image.pixels.min())), max(high, float(image.pixels.max()))
    is_exact = image.pixels.dtype.kind in "ui" and high - low < ENTRIES
    # 1e-12, since the values of a constant image would be divided by 0.
    return Scale(low, max(high, low + 1e-12), is_exact and low == int(low))


def indices(image: Image, scale: Scale) -> UInt16[np.ndarray, "row col"]:
    """The index of every pixel; padding is not touched."""
    if not scale.is_exact:
        part = (image.pixels.astype(np.float64) - scale.low) * (ENTRIES - 1)
        return np.rint(part / (scale.high - scale.low)).astype(np.uint16)
    if image.pixels.dtype == np.uint16 and scale.low == 0:
        return np.ascontiguousarray(image.pixels)  # no copy: pixels are held once
    return (image.pixels.astype(np.int64) - int(scale.low)).astype(np.uint16)


def grey_table(scale: Scale, display: Display, *, invert: bool) -> UInt8[np.ndarray, " entry"]:
    """The grey of every index.

    Args:
        scale: Of the image.
        display: Its window, table or ramp.
        invert: Turn the scale round (MONOCHROME1).
    """
    known = greys(to_levels(scale.values()[None], display, invert=invert)[0])
    return np.concatenate([known, np.full(ENTRIES - len(known), known[-1], np.uint8)])


def darkest(table: UInt8[np.ndarray, " entry"], scale: Scale) -> int:
    """The index that displays darkest: what padding gets."""
    return int(table[: scale.count].argmin())


def halved(
    index: UInt16[np.ndarray, "row col"], halvings: int
) -> UInt16[np.ndarray, "small_row small_col"]:
    """A smaller copy: floor(mean + .5) of every block of 2^k x 2^k pixels, cut at the edge.

    Args:
        index: As ``indices`` gives it.
        halvings: k; 0 gives the array itself.
    """
    if halvings == 0:
        return index
    side = 1 << halvings
    rows, cols = index.shape
    whole_rows, whole_cols = rows // side * side, cols // side * side
    out = np.empty((-(-rows // side), -(-cols // side)), np.uint16)
    total = _sums(index[:whole_rows, :whole_cols], side)
    out[: rows // side, : cols // side] = (total + side * side // 2) // (side * side)
    for block, place in (
        (index[whole_rows:, :whole_cols], np.s_[rows // side :, : cols // side]),
        (index[:whole_rows, whole_cols:], np.s_[: rows // side, cols // side :]),
        (index[whole_rows:, whole_cols:], np.s_[rows // side :, cols // side :]),
    ):
        if block.size:
            out[place] = _means(block, side)
    return out


def _sums(whole: UInt16[np.ndarray, "row col"], side: int) -> UInt32[np.ndarray, "r c"]:
    """Sums of whole blocks; rows first, which lie together in memory."""
    tall = whole[0::side].astype(np.uint32)
    for row in range(1, side):
        tall += whole[row::side]
    total = tall[:, 0::side].copy()
    for col in range(1, side):
        total += tall[:, col::side]
    return total


def _means(block: UInt16[np.ndarray, "row col"], side: int) -> UInt16[np.ndarray, "r c"]:
    """Means of the blocks along an edge, which has fewer rows or columns than a block."""
    down = np.arange(0, block.shape[0], side)
    across = np.arange(0, block.shape[1], side)
    total = np.add.reduceat(np.add.reduceat(block.astype(np.uint64), down, axis=0), across, axis=1)
    heights = np.diff(np.append(down, block.shape[0]))
    widths = np.diff(np.append(across, block.shape[1]))
    number = np.outer(heights, widths).astype(np.uint64)
    return ((2 * total + number) // (2 * number)).astype(np.uint16)
