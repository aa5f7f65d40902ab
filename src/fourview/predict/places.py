"""Findings of an exam -> the same with their place in the breast, one for what two views show."""

from collections.abc import Sequence

from fourview.entities import SIDES, Exam, Finding
from fourview.localise.two_views import join_views, with_places
from fourview.preprocess.axis import PlacedAxis, find_axis


def placed_findings(
    exam: Exam, findings: Sequence[Finding], *, join: bool
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Findings with depth, distance from the nipple and quadrant, joined over CC and MLO.

    Args:
        exam: Exam whose images the regions are on; only those with a region are looked at again.
        findings: Findings in the stored frame.
        join: Whether findings of one depth in both views of a breast become one.

    Returns:
        The findings, right breast first, and a note for each reason why an axis is not known.
    """
    marked = {region.image_id for finding in findings for region in finding.regions}
    axes: dict[str, PlacedAxis] = {}
    without: dict[str, list[str]] = {}
    for image in exam.images:
        if image.image_id not in marked:
            continue
        axis = find_axis(image)
        if isinstance(axis, str):
            without.setdefault(axis, []).append(image.view.name)
        else:
            axes[image.image_id] = axis
    placed: list[Finding] = []
    for side in SIDES:
        own = [finding for finding in findings if finding.side == side]
        joined = join_views(own, axes) if join else own
        placed += [with_places(finding, axes) for finding in joined]
    notes = (
        f"no distance from the nipple on {', '.join(views)}: {reason}"
        for reason, views in without.items()
    )
    return tuple(placed), tuple(notes)
