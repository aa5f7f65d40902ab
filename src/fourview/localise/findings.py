"""Regions in processed pixels -> findings in stored pixels, one breast at a time.

A heatmap or a detector speaks of one image, so each finding has one region here; ``two_views``
joins those that CC and MLO show of one abnormality.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fourview.entities import Finding, Region, Side
from fourview.errors import LocaliseError
from fourview.geometry import Box, Geometry
from fourview.localise.peaks import ScoredRegion
from fourview.localise.suppress import Overlap, nms

MAX_FINDINGS = 5  # per breast; a reader given more marks than that stops looking at them


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which of many scored regions become findings.

    Attributes:
        threshold: Least score. 0.5 is where a score says "rather yes than no"; a threshold chosen
            on the regions of validation data is better wherever there is one.
        overlap: How two regions of an image are compared. Intersection over the smaller area is
            the measure by which Cls-Det-RS counts hits, and also merges a small region in a large.
        most_overlap: Above it the one with the lesser score is dropped. Its hits begin at 0.5.
    """

    threshold: float = 0.5
    overlap: Overlap = "iom"
    most_overlap: float = 0.5


def findings_from_regions(
    regions: Sequence[ScoredRegion],
    side: Side,
    *,
    rule: RegionRule | None = None,
    max_findings: int = MAX_FINDINGS,
) -> tuple[Finding, ...]:
    """Turn one breast's scored regions (of heatmaps, a detector or patches) into findings.

    Regions below the threshold go, then those that overlap a better one of their image.

    Args:
        regions: Of one breast, scored for the class whose findings are wanted.
        side: Which breast.
        rule: Which become findings; ``RegionRule()`` where None.
        max_findings: How many are kept at most, those with the best scores.

    Returns:
        Best score first (of equal scores, in the order given); regions in the stored frame, inside
        the image. Empty where no region reaches the threshold.

    Raises:
        LocaliseError: A score is NaN or outside [0, 1].
    """
    used = rule or RegionRule()
    for region in regions:
        if not 0 <= region.score <= 1:  # NaN too
            raise LocaliseError(
                f"a region of image {region.image_id} has score {region.score}, need [0, 1]"
            )
    kept: list[ScoredRegion] = []
    for image_id in dict.fromkeys(region.image_id for region in regions):
        own = [r for r in regions if r.image_id == image_id and r.score >= used.threshold]
        indices = nms(
            [r.box for r in own],
            [r.score for r in own],
            most=used.most_overlap,
            overlap=used.overlap,
        )
        kept.extend(own[i] for i in indices)
    return _to_findings(kept, side, max_findings)


def stored_box(region: ScoredRegion) -> Box | None:
    """A region's box in the stored frame, clipped to the image; None where all of it is padding."""
    box = region.box
    corners = np.array([[box.x0, box.y0, box.x1, box.y1]], dtype=np.float64)
    x0, y0, x1, y1 = stored_boxes(region.geometry, corners)[0].tolist()
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def stored_boxes(
    geometry: Geometry, boxes: Float[np.ndarray, "region 4"]
) -> Float[np.ndarray, "region 4"]:
    """Boxes x0 y0 x1 y1 in the stored frame, clipped to the image; empty where all is padding.

    Around the corners moved back: exact where nothing was turned.
    """
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    moved = geometry.to_stored(corners)
    rows, cols = geometry.stored_size
    limit = np.array([cols, rows], dtype=np.float64)
    low, high = moved.min(axis=1), moved.max(axis=1)
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)], axis=1)


def _to_findings(
    regions: Iterable[ScoredRegion], side: Side, max_findings: int
) -> tuple[Finding, ...]:
    placed = [(region, box) for region in regions if (box := stored_box(region)) is not None]
    placed.sort(key=lambda item: -item[0].score)  # stable: ties stay in the order given
    return tuple(
        Finding(
            finding_id=f"{side}-{number}",
            side=side,
            regions=(Region(image_id=region.image_id, box=box),),
            score=region.score,
        )
        for number, (region, box) in enumerate(placed[:max_findings], start=1)
    )
