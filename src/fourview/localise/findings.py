"""Regions in processed pixels -> findings in stored pixels, a breast at a time.

A heatmap or a detector speaks of one image, so each finding has one region here; joining the two
views of a lesion is a model's business. Overlapping regions of one image become one finding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fourview.entities import Finding, Heatmap, Region, Side
from fourview.errors import LocaliseError
from fourview.geometry import Box
from fourview.localise.peaks import PeakRule, ScoredRegion, heatmap_regions
from fourview.localise.suppress import Overlap, nms

MAX_FINDINGS = 5  # a breast; a reader given more marks than that stops looking at them


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """Which of many scored regions become findings.

    Attributes:
        threshold: Least score; see ``PeakRule.threshold``.
        overlap: How two regions of an image are compared. Intersection over the smaller area is
            the measure by which Cls-Det-RS counts hits, and also merges a small region in a large.
        most_overlap: Above it the one with the lesser score is dropped. Its hits begin at 0.5.
    """

    threshold: float = 0.5
    overlap: Overlap = "iom"
    most_overlap: float = 0.5


def findings_from_heatmaps(
    heatmaps: Sequence[Heatmap],
    side: Side,
    *,
    rule: PeakRule | None = None,
    max_findings: int = MAX_FINDINGS,
) -> tuple[Finding, ...]:
    """Turn the peaks of one breast's heatmaps into findings.

    Args:
        heatmaps: Of one breast, and of the class that findings are wanted of; one an image.
        side: Which breast.
        rule: What counts as a peak; ``PeakRule()`` where None.
        max_findings: At most so many, those with the best scores.

    Returns:
        Best score first (of equal scores, by order of the heatmaps, then of the peaks); regions
        in the stored frame, inside the image. None where no peak reaches the threshold.

    Raises:
        LocaliseError: A heatmap has NaN or a value outside [0, 1], or an image two heatmaps.
    """
    used = rule or PeakRule()
    ids = [h.image_id for h in heatmaps]
    twice = next((i for n, i in enumerate(ids) if i in ids[:n]), None)
    if twice is not None:
        raise LocaliseError(f"image {twice} has two heatmaps; pass those of one class only")
    regions = (region for heatmap in heatmaps for region in heatmap_regions(heatmap, used))
    return _to_findings(regions, side, max_findings)


def findings_from_regions(
    regions: Sequence[ScoredRegion],
    side: Side,
    *,
    rule: RegionRule | None = None,
    max_findings: int = MAX_FINDINGS,
) -> tuple[Finding, ...]:
    """Turn one breast's scored regions (of a detector or region classifier) into findings.

    Regions below the threshold go, then those that overlap a better one of their image.

    Returns:
        As ``findings_from_heatmaps``.

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
    return region.geometry.box_to_stored(region.box).clipped(region.geometry.stored_size)


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
