"""The window of the NYU classifiers (GMIC, DMV-CNN, NYU GLAM): native resolution, no resizing.

Steps:   A. crop: open the mask of pixels above 0 with a diamond of radius 100, keep its largest
            component, take its box and 50 pixels more on every side but the chest wall's.
         B. centre: CC: the window ends at the farthest point of the breast and lies where it holds
            most pixels above 0; MLO: it ends at the farthest and at the lowest point.
         C. window: shifted into the crop, or filled up with zeros where the crop is smaller.
Frame:   oriented: chest wall at the left, also for what the NYU lists give for right breasts.
Sizes:   pixels, as published, whatever the spacing is (0.07 and 0.094 mm in the NYU data).
Differs: nothing with ``nyu_parity``. ``nyu`` runs the same steps on the breast's mask alone, so
         that labels and a grey background do not count, and without the column by which the
         published coordinates of mirrored views are off; a breast that is too small to open keeps
         its mask.
Source:  Wu et al. 2019 (arXiv:1903.08297) and Shen et al. 2020 (arXiv:2002.07613).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int

from fourview.errors import NoBreastError
from fourview.geometry import Size

RADIUS = 100  # of the diamond that opens the mask: as many erosions, then dilations, by a cross
BUFFER = 50  # pixels kept around the opened mask
NIPPLE_FROM = 1 / 3  # of the crop's height: the farthest point is looked for below it

Mask = Bool[np.ndarray, "row col"]
Corners = tuple[int, int, int, int]  # x0, y0, x1, y1, half-open


@dataclass(frozen=True, slots=True)
class NyuCrop:
    """Step A, in the oriented image; the fields that the NYU exam lists have.

    Attributes:
        corners: Corners of the crop in the image ("window_location").
        rightmost: First and last row, and column, of the mask's farthest points, in the crop.
        bottommost: Row, and first and last column, of the mask's lowest points, in the crop.
        distance_from_starting_side: Columns between the chest wall's edge of the image and the
            opened mask; above 0 suggests that the view is mirrored the wrong way.
    """

    corners: Corners
    rightmost: tuple[tuple[int, int], int]
    bottommost: tuple[int, tuple[int, int]]
    distance_from_starting_side: int


@dataclass(frozen=True, slots=True)
class NyuWindow:
    """Where the processed frame lies in the oriented image.

    Attributes:
        corners: Corners of the frame; beyond the image where zeros are filled in.
        visible: The part of it that shows pixels: inside the crop and inside the window.
        crop: Step A.
        center: Step B: row and column in the crop ("best_center"); a column below 0 is the
            published outcome for a crop that is narrower than the window.
    """

    corners: Corners
    visible: Corners
    crop: NyuCrop
    center: tuple[int, int]

    @property
    def note(self) -> str:
        """One sentence for the report."""
        x0, y0, x1, y1 = self.crop.corners
        return (
            f"NYU window: crop rows {y0}-{y1}, columns {x0}-{x1} from the chest wall's side; "
            f"centre {self.center} in it"
        )


def nyu_window(
    inside: Mask, *, window: Size, frame: Size, from_above: bool, shift: int = 0, strict: bool
) -> NyuWindow:
    """Steps A to C on one image.

    Args:
        inside: Mask of what counts as not 0, oriented: chest wall at the left.
        window: Rows and columns of the window.
        frame: Rows and columns of the processed image; the window is its upper left part.
        from_above: CC and its like; any other view goes as MLO does.
        shift: Columns that are added to what is reported of the mask's points: 1 for mirrored
            views reproduces the published lists.
        strict: Whether a mask that opening removes is an error, or is taken as it is.

    Raises:
        PixelError: ``strict``, and nothing is left of the mask.
    """
    crop = nyu_crop(inside, shift=shift, strict=strict)
    x0, y0, x1, y1 = crop.corners
    center = best_center(inside[y0:y1, x0:x1], crop, window=window, from_above=from_above)
    top, left = _corner((y1 - y0, x1 - x0), center, window, from_above=from_above)
    left, top = x0 + left, y0 + top
    visible = (
        max(x0, left),
        max(y0, top),
        min(x1, left + window[1]),
        min(y1, top + window[0]),
    )
    return NyuWindow((left, top, left + frame[1], top + frame[0]), visible, crop, center)


def nyu_crop(inside: Mask, *, shift: int = 0, strict: bool = True) -> NyuCrop:
    """Step A; see ``nyu_window``."""
    opened = opened_by_diamond(inside, RADIUS)
    if opened is None and strict:
        raise NoBreastError(
            f"no part of the image above 0 holds a diamond of radius {RADIUS} pixels, need a "
            "breast at native resolution; exclude it"
        )
    mask = inside if opened is None else opened
    rows, cols = mask.shape
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    right, bottom = left + width, top + height
    y0, y1, x1 = max(0, top - BUFFER), min(rows, bottom + BUFFER), min(cols, right + BUFFER)
    lowest = np.flatnonzero(mask[bottom - 1, left:right]) + shift
    cropped = mask[y0:y1, left:x1]
    first = int((y1 - y0) * NIPPLE_FROM)
    farthest = int(np.flatnonzero(cropped[first:].any(axis=0))[-1])
    touching = first + np.flatnonzero(cropped[first:, farthest])
    return NyuCrop(
        corners=(left, y0, x1, y1),
        rightmost=((int(touching[0]), int(touching[-1])), farthest + shift),
        bottommost=(bottom - 1 - y0, (int(lowest[0]), int(lowest[-1]))),
        distance_from_starting_side=left,
    )


def opened_by_diamond(inside: Mask, radius: int) -> Mask | None:
    """Erode ``radius`` times by a cross, keep the largest component, dilate as often.

    What is beyond the image counts as outside. Eroding so often by a cross keeps the pixels whose
    city-block distance to the outside is above ``radius``, so one distance transform does it.

    Args:
        inside: The mask.
        radius: How often to erode; below 255, where the distances saturate.

    Returns:
        The opened component; None where nothing is left.
    """
    x0, y0, width, height = cv2.boundingRect(inside.view(np.uint8))
    part = np.s_[y0 : y0 + height, x0 : x0 + width]
    framed = cv2.copyMakeBorder(
        inside[part].view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0
    )
    distance = cv2.distanceTransform(framed, cv2.DIST_L1, 3, dstType=cv2.CV_8U)
    core = np.ascontiguousarray(distance[1:-1, 1:-1] > radius).view(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    if count < 2:
        return None
    outside = labels != 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    distance = cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L1, 3, dstType=cv2.CV_8U)
    opened = np.zeros_like(inside)
    opened[part] = distance <= radius
    return opened


def best_center(inside: Mask, crop: NyuCrop, *, window: Size, from_above: bool) -> tuple[int, int]:
    """Step B: row and column, in the crop, of the window's centre.

    Args:
        inside: Mask of what counts as not 0, in the crop.
        crop: Step A.
        window: Rows and columns of the window.
        from_above: CC and its like.
    """
    rows, cols = inside.shape
    center_x = crop.rightmost[1] - window[1] // 2 - 1  # the one column of the published search
    if not from_above:
        filled = np.flatnonzero(inside[:, max(0, cols - window[1]) :].any(axis=1))
        return min(crop.bottommost[0], int(filled[-1])) - window[0] // 2 - 1, center_x
    middle = rows // 2
    if rows < window[0]:  # nothing to search: ``_corner`` adds zeros above and below
        return middle, center_x
    left, right = max(0, center_x - window[1] // 2), center_x - window[1] // 2 + window[1]
    return _fullest(inside[:, left : max(left, right)], window[0], middle), center_x


def _fullest(inside: Mask, height: int, middle: int) -> int:
    """Centre of the ``height`` rows with most of the mask; of equals the nearest ``middle``."""
    so_far: Int[np.ndarray, " row"] = np.concatenate(([0], inside.sum(axis=1).cumsum()))
    counts = so_far[height:] - so_far[:-height]
    centers = np.arange(len(counts)) + height // 2
    best = centers[counts == counts.max()]
    return int(best[np.abs(best - middle).argmin()])


def _corner(
    crop: Size, center: tuple[int, int], window: Size, *, from_above: bool
) -> tuple[int, int]:
    """Step C: first row and column of the window in the crop; below 0 where zeros come first."""
    top, left = (
        min(max(middle - side // 2, 0), max(length - side, 0))
        for middle, side, length in zip(center, window, crop, strict=True)
    )
    if crop[0] < window[0]:  # zeros above and below in CC, below only in MLO, as published
        top = -((window[0] - crop[0]) // 2) if from_above else 0
    return top, left
