"""Peaks of a heatmap, each with the box around the cells that belong to it.

A peak is a cell from which one can go down to ``fraction`` of its height without meeting a higher
one; its region is the connected set of cells at or above that value. This is the full width at
half maximum of spectra and point sources, in two dimensions: unlike one threshold for the whole
heatmap, it gives a weak peak its own box beside a strong one, and does not split the ripples of a
strong peak.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from fourview.entities import Heatmap
from fourview.errors import LocaliseError
from fourview.geometry import Box, Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakRule:
    """What counts as a region of a heatmap.

    Attributes:
        threshold: Least value of a peak. 0.5 is where a score says "rather yes than no"; a
            threshold chosen on validation data is better wherever there is one.
        fraction: Share of the peak's value that a cell needs to belong to it. 0.5 is the half
            maximum, the usual width of a peak.
        largest_part: Share of the processed frame above which a box is too large to tell a place;
            a heatmap that is high everywhere gives none. Half of the frame is more than any finding
            takes.
        score: A region's score: the value of its peak (the suspicion at its worst place), or the
            mean over its cells.
    """

    threshold: float = 0.5
    fraction: float = 0.5
    largest_part: float = 0.5
    score: Literal["peak", "mean"] = "peak"

    def __post_init__(self) -> None:
        for name in ("threshold", "fraction", "largest_part"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}, need a number above 0 and at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRegion:
    """A box on one processed image with its score, as a model or a heatmap gives it.

    Attributes:
        box: In the **processed** frame.
        score: In [0, 1].
        geometry: The way between the stored frame and the processed one.
    """

    image_id: str
    box: Box
    score: float
    geometry: Geometry


def heatmap_regions(
    heatmap: Heatmap, rule: PeakRule, *, most: int | None = None
) -> tuple[ScoredRegion, ...]:
    """The regions of one heatmap, highest peak first.

    Equal peaks come in reading order (row by row, from the left). A lower threshold, or a larger
    ``most``, only adds regions at the end.

    Args:
        heatmap: Of one image and class.
        rule: What counts as a region.
        most: How many are kept at most; None for no limit.

    Raises:
        LocaliseError: A value is NaN or outside [0, 1].
    """
    values = _checked(heatmap)
    size = heatmap.geometry.processed_size
    frame_area = size[0] * size[1]
    claimed = np.zeros(values.shape, dtype=np.bool_)
    regions: list[ScoredRegion] = []
    for cell in np.argsort(-values, axis=None, kind="stable"):
        row, col = divmod(int(cell), values.shape[1])
        if values[row, col] < rule.threshold or len(regions) == most:
            break
        if claimed[row, col]:
            continue
        member = _component(values >= rule.fraction * values[row, col], row, col)
        is_shoulder = bool((member & claimed).any())  # a higher peak lies within reach
        claimed |= member  # whatever is lower in here would reach that peak too
        box = cells_box(member, size)
        if is_shoulder or box.area > rule.largest_part * frame_area:
            continue
        score = values[row, col] if rule.score == "peak" else values[member].mean()
        regions.append(
            ScoredRegion(
                image_id=heatmap.image_id, box=box, score=float(score), geometry=heatmap.geometry
            )
        )
    return tuple(regions)


def cells_box(member: Bool[np.ndarray, "row col"], size: tuple[int, int]) -> Box:
    """The box around some cells of a grid that covers an image of ``size`` (rows, cols) evenly.

    Cell (i, j) of R x C covers [j W / C, (j + 1) W / C) x [i H / R, (i + 1) H / R).
    """
    rows, cols = np.flatnonzero(member.any(axis=1)), np.flatnonzero(member.any(axis=0))
    height, width = size[0] / member.shape[0], size[1] / member.shape[1]
    return Box(
        float(cols[0] * width),
        float(rows[0] * height),
        float((cols[-1] + 1) * width),
        float((rows[-1] + 1) * height),
    )


def _component(above: Bool[np.ndarray, "row col"], row: int, col: int) -> Bool[np.ndarray, "r c"]:
    """The cells connected with (row, col)."""
    _, labels = cv2.connectedComponents(above.view(np.uint8), connectivity=8)
    return np.asarray(labels == labels[row, col])


def _checked(heatmap: Heatmap) -> Float[np.ndarray, "row col"]:
    values = heatmap.values.astype(np.float64)
    bad = ~((values >= 0) & (values <= 1))  # NaN too
    if bad.any():
        row, col = np.argwhere(bad)[0]
        raise LocaliseError(
            f"heatmap '{heatmap.class_name}' of image {heatmap.image_id}: cell ({row}, {col}) is "
            f"{values[row, col]}, need values in [0, 1]; "
            f"{int(bad.sum())} of {values.size} cells are not"
        )
    return values
