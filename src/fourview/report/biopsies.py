"""Which biopsies a score would avoid, and the patches that it is made of, for the exam's report."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from fourview.entities import Finding, Patch
from fourview.geometry import Box
from fourview.report.display import Shown, data_uri

RULE = "sensitivity-"  # operating points of findings: the part of cancers that is not missed
PROPOSED = "proposed"
THUMBNAIL = 64  # pixels of each side


def miss_rates(points: Mapping[str, float]) -> dict[float, float]:
    """Thresholds by the part of cancers that they miss, of operating points by rule."""
    rates = {
        round(1 - float(name.removeprefix(RULE)), 6): value
        for name, value in points.items()
        if name.startswith(RULE)
    }
    return dict(sorted(rates.items()))


def avoided_biopsies(
    findings: Sequence[Finding],
    thresholds: Mapping[float, float],
    not_biopsied: Collection[str] = (),
) -> list[dict[str, Any]]:
    """For each miss rate the named findings whose score is below its threshold.

    Findings that a model proposed are not counted: nobody asked for their biopsy.

    Args:
        findings: Of an exam.
        thresholds: On a finding's score, by miss rate.
        not_biopsied: Names of other findings whose biopsy nobody asked for.

    Returns:
        ``miss_rate``, ``threshold``, ``avoided`` (ids) and ``of`` (how many have a score); empty
        where no finding was named and scored.
    """
    named = [f for f in findings if _is_up_for_biopsy(f, not_biopsied)]
    if not named:
        return []
    return [
        {
            "miss_rate": rate,
            "threshold": threshold,
            "avoided": [f.finding_id for f in named if _is_below(f, threshold)],
            "of": len(named),
        }
        for rate, threshold in thresholds.items()
    ]


def verdict(
    finding: Finding,
    thresholds: Mapping[float, float],
    miss_rate: float | None,
    not_biopsied: Collection[str] = (),
) -> str | None:
    """What the chosen miss rate says of a named finding; None where there is nothing to say."""
    if miss_rate is None or not _is_up_for_biopsy(finding, not_biopsied):
        return None
    word = "avoided" if _is_below(finding, thresholds[miss_rate]) else "kept"
    return f"biopsy {word} at {100 * miss_rate:g} % missed"


def thumbnails(finding: Finding, shown: Mapping[str, tuple[str, Shown]]) -> list[dict[str, Any]]:
    """The patches of the highest and the lowest score on each image, as pictures.

    Args:
        finding: With patches in the stored frame; they are shown upright.
        shown: Key and pixels of displayed images, by id.
    """
    by_image: dict[str, list[Patch]] = {}
    for patch in finding.patches:
        by_image.setdefault(patch.image_id, []).append(patch)
    chosen = []
    for image_id, patches in by_image.items():
        ordered = sorted(patches, key=lambda p: -p.score)
        if image_id in shown:
            key, image = shown[image_id]
            ends = ordered[:1] + ordered[-1:] if len(ordered) > 1 else ordered
            chosen += [
                {"key": key, "score": p.score, "picture": _picture(p.box, image)} for p in ends
            ]
    return chosen


def _is_up_for_biopsy(finding: Finding, not_biopsied: Collection[str]) -> bool:
    named = finding.source != PROPOSED and finding.finding_id not in not_biopsied
    return named and finding.score is not None


def _is_below(finding: Finding, threshold: float) -> bool:
    return finding.score is not None and finding.score < threshold


def _picture(box: Box, shown: Shown) -> str:
    """What the displayed image shows in a box of the stored frame; black beyond it."""
    at = shown.geometry.box_to_processed(box)
    (x, y), size = at.center, max(at.width, at.height)
    scale = size / THUMBNAIL
    shift = (scale - 1) / 2 - size / 2  # OpenCV counts from the centre of the first pixel
    matrix = np.array([[scale, 0.0, x + shift], [0.0, scale, y + shift]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(shown.pixels, matrix, (THUMBNAIL, THUMBNAIL), flags=flags)
    return data_uri(picture, "jpeg")
