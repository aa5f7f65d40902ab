"""Non-maximum suppression: of boxes that mark the same place, keep the one with the best score."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from fourview.errors import LocaliseError
from fourview.geometry import Box

Overlap = Literal["iou", "iom"]


def nms(
    boxes: Sequence[Box],
    scores: Sequence[float],
    *,
    most: float,
    overlap: Overlap = "iou",
    max_kept: int | None = None,
) -> tuple[int, ...]:
    """Keep the best box of every place, greedily.

    The box with the best score is kept and every other box that overlaps it by more than ``most``
    is dropped; then the best of the rest, and so on. Of equal scores the earlier box wins, so the
    result depends on nothing but the arguments.

    Args:
        boxes: In one frame of one image.
        scores: One per box; any finite numbers, since only their order counts.
        most: Overlap above which the lesser box is dropped, in [0, 1].
        overlap: ``iou``, intersection over union; or ``iom``, intersection over the smaller area,
            which also drops a small box inside a large one.
        max_kept: How many are kept at most; None for no limit.

    Returns:
        Indices of the boxes kept, best first.

    Raises:
        LocaliseError: A score is not finite, or there is not one score per box.
    """
    if len(boxes) != len(scores):
        raise LocaliseError(f"{len(boxes)} boxes have {len(scores)} scores; need one a box")
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise LocaliseError(f"the score of box {first} is {values[first]}; need a finite number")
    corners = np.array([(b.x0, b.y0, b.x1, b.y1) for b in boxes], dtype=np.float64).reshape(-1, 4)
    order = np.argsort(-values, kind="stable")
    kept: list[int] = []
    while order.size and (max_kept is None or len(kept) < max_kept):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[_overlaps(corners[best], corners[rest], overlap) <= most]
    return tuple(kept)


def _overlaps(
    one: Float[np.ndarray, "4"], many: Float[np.ndarray, "box 4"], overlap: Overlap
) -> Float[np.ndarray, " box"]:
    """Overlap of one box with each of many, in [0, 1]."""
    size = np.minimum(one[2:], many[:, 2:]) - np.maximum(one[:2], many[:, :2])
    shared = size.clip(0).prod(axis=1)
    area = (one[2:] - one[:2]).prod()
    areas = (many[:, 2:] - many[:, :2]).prod(axis=1)
    whole = area + areas - shared if overlap == "iou" else np.minimum(area, areas)
    return np.asarray(shared / whole)
