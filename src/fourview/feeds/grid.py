"""Squares over the breast at native resolution: the regions of Cls-Det-RS.

A square slides over the processed image; the last of a row or column is moved to end with it. A
square is kept where enough of it is breast and, in MLO views, its centre lies in front of the
pectoral line: the axilla and the muscle are left out.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt16

from fourview.entities import SLOTS
from fourview.feeds.pixels import Pixels
from fourview.fingerprint import fingerprint_of
from fourview.preprocess.pectoral import find_pectoral
from fourview.preprocess.pipeline import from_levels

REVISION = 1  # raised when the same rule would give other regions than before


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which squares are regions. Defaults are the paper's where it gives them.

    Attributes:
        side: Of a square, in processed pixels.
        stride: From one square to the next, in processed pixels.
        least_breast: Share of a square's area that is breast, at least; the paper says "inside the
            breast".
        leave_out_axilla: Leave out squares of MLO views whose centre is behind the pectoral line;
            where no line is found nothing is left out.
    """

    side: int = 224
    stride: int = 112
    least_breast: float = 0.5
    leave_out_axilla: bool = True

    def __post_init__(self) -> None:
        if self.side < 1 or not 1 <= self.stride <= self.side:
            raise ValueError(
                f"squares of side {self.side} at stride {self.stride}: need 1 <= stride <= side"
            )
        if not 0 <= self.least_breast <= 1:
            raise ValueError(f"least_breast is {self.least_breast}, need 0 to 1")

    @property
    def fingerprint(self) -> str:
        """Hash of the rule and of the code that applies it."""
        return fingerprint_of({"revision": REVISION, **asdict(self)})


def find_regions(
    levels: UInt16[np.ndarray, "row col"], slot: int, rule: RegionRule
) -> Int[np.ndarray, "region 4"]:
    """The regions of one processed image, row by row.

    Args:
        levels: As a store holds them: 0 outside the breast.
        slot: Index into SLOTS; MLO views have a pectoral muscle.
        rule: What is a region.

    Returns:
        x0 y0 x1 y1 in processed pixels. At least one: where no square has enough breast, the one
        that has most. Squares of an image smaller than ``side`` reach beyond it.
    """
    mask = levels > 0
    boxes = squares(mask.shape, rule)
    share = _breast_share(mask, boxes)
    keep = share >= rule.least_breast
    if rule.leave_out_axilla and SLOTS[slot].endswith("MLO"):
        line = find_pectoral(from_levels(levels), mask)
        if line is not None:
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            keep &= line.depth(centres) >= 0
    if not keep.any():
        keep = np.arange(len(boxes)) == share.argmax()
    return boxes[keep]


def squares(size: tuple[int, int], rule: RegionRule) -> Int[np.ndarray, "square 4"]:
    """All squares over an image of ``size`` (rows, cols), row by row."""
    tops, lefts = (_starts(length, rule) for length in size)
    y0, x0 = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([x0, y0, x0 + rule.side, y0 + rule.side], axis=1)


def _starts(length: int, rule: RegionRule) -> Int[np.ndarray, " start"]:
    last = max(length - rule.side, 0)
    regular = np.arange(0, last + 1, rule.stride, dtype=np.int64)
    return regular if regular[-1] == last else np.append(regular, last)


def _breast_share(
    mask: Bool[np.ndarray, "row col"], boxes: Int[np.ndarray, "square 4"]
) -> Float[np.ndarray, " square"]:
    """Breast in each square, over the square's area also where it reaches beyond the image."""
    total = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = mask.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    x0, y0 = boxes[:, 0], boxes[:, 1]
    x1, y1 = np.minimum(boxes[:, 2], mask.shape[1]), np.minimum(boxes[:, 3], mask.shape[0])
    inside = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(inside / area)


def cut_regions(
    levels: UInt16[np.ndarray, "row col"], boxes: Int[np.ndarray, "region 4"]
) -> UInt16[np.ndarray, "region side_row side_col"]:
    """The levels of squares of one size; what lies beyond the image is 0."""
    side_row, side_col = (int(n) for n in (boxes[0, 3] - boxes[0, 1], boxes[0, 2] - boxes[0, 0]))
    before = np.maximum(-boxes[:, 1::-1].min(axis=0), 0)
    beyond = boxes[:, :1:-1].max(axis=0) - np.array(levels.shape)
    after = np.maximum(beyond, 0)
    if before.any() or after.any():
        levels = np.pad(levels, list(zip(before.tolist(), after.tolist(), strict=True)))
    view = np.lib.stride_tricks.sliding_window_view(levels, (side_row, side_col))
    return np.asarray(view[boxes[:, 1] + before[0], boxes[:, 0] + before[1]])


def read_regions(
    pixels: Pixels, image_id: str, boxes: Int[np.ndarray, "region 4"]
) -> UInt16[np.ndarray, "region side_row side_col"]:
    """The levels of some squares of an image; each chunk that lies under any is decoded once.

    Raises:
        StoreError: The store has no such image, or its shard is damaged.
    """
    rows, cols = pixels.chunk
    grid = np.array([cols, rows])
    first, last = boxes[:, :2] // grid, (boxes[:, 2:] - 1) // grid
    low, high = first.min(axis=0), last.max(axis=0) + 1
    frame = np.zeros(((high[1] - low[1]) * rows, (high[0] - low[0]) * cols), dtype=np.uint16)
    places = {
        (y, x)
        for (x0, y0), (x1, y1) in zip(first.tolist(), last.tolist(), strict=True)
        for y in range(y0, y1 + 1)
        for x in range(x0, x1 + 1)
    }
    for (y, x), levels in pixels.chunks(image_id, sorted(places)):
        top, left = (y - int(low[1])) * rows, (x - int(low[0])) * cols
        frame[top : top + rows, left : left + cols] = levels
    return cut_regions(frame, boxes - np.tile(low * grid, 2))
