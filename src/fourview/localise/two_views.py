"""The same finding in CC and MLO becomes one; where a finding is in the breast, in words.

Rule:    two findings of a breast and of one kind, one on a CC and one on an MLO image, are one
         where their depths behind the nipple differ by at most 10 mm. Of several that do, the two
         with the least difference are joined first. Depth is measured along the anterior-posterior
         axis (``preprocess.axis``); a view without an axis takes no part.
Score:   a joined finding has the higher of the two scores; each region keeps its own.
Source:  compression moves tissue across the axis and little along it, so that readers look for a
         finding in the other view at the same distance from the nipple (Sickles, Radiology 1998;
         the posterior nipple lines of CC and MLO agree within 1 cm: ACR Mammography Quality Control
         Manual). ``benchmarks/two_views.py`` measures the rule on phantoms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fourview.entities import Finding, Region
from fourview.preprocess.axis import ALONG, OBLIQUE, PlacedAxis

CENTRAL_MM = 10.0  # no half is named within this distance of the axis
SUBAREOLAR_MM = 20.0  # no quadrant is named within this distance of the nipple


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRule:
    """When two marks are one finding.

    Attributes:
        most_mm: Largest difference of their depths behind the nipple.
    """

    most_mm: float = 10.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """A finding in CC and one in MLO that may be one."""

    difference_mm: float
    cc: int
    mlo: int


def join_views(
    findings: Sequence[Finding],
    axes: Mapping[str, PlacedAxis],
    *,
    rule: JoinRule | None = None,
) -> tuple[Finding, ...]:
    """Join the findings of one breast that are the same in CC and MLO.

    Args:
        findings: Of one breast, best first. Those with several regions stay as they are.
        axes: Of the images, by id.
        rule: When two are one; ``JoinRule()`` where None.

    Returns:
        Best score first, named anew (R-1, R-2, ...) where anything was joined; a joined finding's
        region in CC comes first.
    """
    used = rule or JoinRule()
    depths = [_depth(finding, axes) for finding in findings]
    pairs = sorted(
        (
            _Pair(abs(one[1] - other[1]), i, j)
            for i, one in enumerate(depths)
            for j, other in enumerate(depths)
            if one is not None
            and other is not None
            and one[0] in ALONG
            and other[0] in OBLIQUE
            and findings[i].kind == findings[j].kind
        ),
        key=lambda pair: (pair.difference_mm, pair.cc, pair.mlo),
    )
    partner: dict[int, int] = {}
    for pair in pairs:
        if pair.difference_mm <= used.most_mm and not {pair.cc, pair.mlo} & partner.keys():
            partner[pair.cc], partner[pair.mlo] = pair.mlo, pair.cc
    if not partner:
        return tuple(findings)
    joined: list[Finding] = []
    for number, finding in enumerate(findings):
        other = partner.get(number)
        if other is None:
            joined.append(finding)
        elif number < other:  # where the better of the two stood
            cc, mlo = (number, other) if depths[number][0] in ALONG else (other, number)  # type: ignore[index]
            joined.append(_one(finding, findings[cc], findings[mlo]))
    return tuple(
        replace(finding, finding_id=f"{finding.side}-{number}")
        for number, finding in enumerate(joined, start=1)
    )


def with_places(finding: Finding, axes: Mapping[str, PlacedAxis]) -> Finding:
    """The finding with depth and distance from the nipple of each region, and its quadrant.

    Args:
        finding: Of one breast.
        axes: Of the images, by id; regions on others are left as they are.
    """
    regions: list[Region] = []
    lateral: list[float] = []
    superior: list[float] = []
    distances: list[float] = []
    for region in finding.regions:
        placed = axes.get(region.image_id)
        if placed is None:
            regions.append(region)
            continue
        depth, across = placed.place(region.box)
        distances.append(math.hypot(depth, across))
        (superior if placed.position in OBLIQUE else lateral).append(across)
        regions.append(replace(region, depth_mm=depth, nipple_mm=distances[-1]))
    if not distances:
        return finding
    nipple_mm = sum(distances) / len(distances)
    words = quadrant(_mean(lateral), _mean(superior), nipple_mm)
    return replace(finding, regions=tuple(regions), nipple_mm=nipple_mm, quadrant=words)


def quadrant(lateral_mm: float | None, superior_mm: float | None, nipple_mm: float) -> str:
    """Where a finding is, as readers say it.

    Args:
        lateral_mm: From the axis of a CC view towards the outer side; None without such a view.
        superior_mm: From the axis of an MLO view upwards; None without such a view.
        nipple_mm: From the nipple.

    >>> quadrant(25.0, 30.0, 60.0), quadrant(-25.0, None, 60.0), quadrant(3.0, 30.0, 60.0)
    ('upper outer quadrant', 'inner half', 'upper central')
    >>> quadrant(3.0, -4.0, 60.0), quadrant(9.0, 3.0, 14.0)
    ('central', 'subareolar')
    """
    if nipple_mm <= SUBAREOLAR_MM:
        return "subareolar"
    halves = [
        "" if abs(value) <= CENTRAL_MM else names[int(value < 0)]
        for value, names in (
            (superior_mm, ("upper", "lower")),
            (lateral_mm, ("outer", "inner")),
        )
        if value is not None
    ]
    named = [half for half in halves if half]
    if not named:
        return "central"
    if len(halves) == 1:
        return f"{named[0]} half"
    return f"{' '.join(named)} quadrant" if len(named) == 2 else f"{named[0]} central"


def _depth(finding: Finding, axes: Mapping[str, PlacedAxis]) -> tuple[str, float] | None:
    """Position and depth of a finding with one region on an image whose axis is known."""
    placed = axes.get(finding.regions[0].image_id) if len(finding.regions) == 1 else None
    return None if placed is None else (placed.position, placed.place(finding.regions[0].box)[0])


def _one(better: Finding, cc: Finding, mlo: Finding) -> Finding:
    scores = [f.score for f in (cc, mlo) if f.score is not None]
    regions = tuple(replace(f.regions[0], score=f.score) for f in (cc, mlo))
    return replace(
        better,
        regions=regions,
        score=max(scores, default=None),
        patches=(*cc.patches, *mlo.patches),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
