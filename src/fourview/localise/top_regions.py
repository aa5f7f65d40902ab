"""Scored regions of an image -> its best few for each class, as findings in stored pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fourview.entities import Finding, Side
from fourview.localise.findings import RegionRule, findings_from_regions
from fourview.localise.peaks import ScoredRegion

NUM_SHOWN = 3  # regions per class and image, as the figure of Cls-Det-RS shows them
KINDS = {"cancer": "malignant_region", "benign": "benign_region"}
OVERLAPPING = RegionRule(threshold=0.0, most_overlap=1.0)  # neighbours may be shown together


def top_regions(
    by_class: Mapping[str, Sequence[ScoredRegion]],
    side: Side,
    *,
    num_shown: int = NUM_SHOWN,
    rule: RegionRule = OVERLAPPING,
) -> tuple[Finding, ...]:
    """The best regions of every class on every image of a breast.

    Args:
        by_class: Regions with their scores for that class, the first class first.
        side: Which breast.
        num_shown: How many of a class on an image, at most.
        rule: Which of an image's regions count. By default all do, also those that overlap
            the best one.

    Returns:
        Class by class, image by image, best score first; ``kind`` names the class.

    Raises:
        LocaliseError: A score is NaN or outside [0, 1].
    """
    findings: list[Finding] = []
    for name, regions in by_class.items():
        for image_id in dict.fromkeys(region.image_id for region in regions):
            own = [region for region in regions if region.image_id == image_id]
            best = findings_from_regions(own, side, rule=rule, max_findings=num_shown)
            findings += [replace(f, kind=KINDS.get(name, f"{name}_region")) for f in best]
    return tuple(
        replace(finding, finding_id=f"{side}-{number}")
        for number, finding in enumerate(findings, start=1)
    )
