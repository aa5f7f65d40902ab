"""Findings that are alike in both views, or are not; see ``preset.Families``."""

from dataclasses import replace

import numpy as np

from fourview.entities import Side
from fourview.phantom.anatomy import Breast
from fourview.phantom.lesions import Lesion, make_lesion
from fourview.phantom.place import Survey, find_place
from fourview.phantom.preset import Families, Look
from fourview.phantom.streams import stream
from fourview.phantom.truth import POSITIONS, Mode, Position

ONLY_IN: dict[Position, Mode] = {"CC": "cc_only", "MLO": "mlo_only"}
OTHER: dict[Position, Position] = {"CC": "MLO", "MLO": "CC"}


def plan_families(seed: int, side: Side, rule: Families, *, alike: bool) -> dict[Position, Look]:
    """The look of each view's finding.

    Args:
        seed: Of the patient.
        side: Of the breast.
        rule: The families there are.
        alike: Whether both are of one family.
    """

    def draw(name: str, count: int) -> int:
        return int(stream(seed, "families", side, name).integers(count))

    first = draw("first", len(rule.looks))
    further = 1 + draw("second", len(rule.looks) - 1)
    second = first if alike else (first + further) % len(rule.looks)
    return {"CC": rule.looks[first], "MLO": rule.looks[second]}


def family_findings(surveyed: Survey, rule: Families, *, alike: bool) -> tuple[Lesion, ...]:
    """The findings of a breast: one that CC alone shows, one that MLO alone shows.

    A breast without room for two depths 12 mm apart has them where there is room; one without any
    has neither.
    """
    breast = surveyed.breast
    looks = plan_families(breast.patient.seed, breast.side, rule, alike=alike)
    findings: list[Lesion] = []
    taken: tuple[float, ...] = ()
    for position in POSITIONS:
        rng = _rng(breast, position, "site")
        place = find_place(rng, surveyed, radius=rule.radius_mm, avoid=taken)
        place = place or find_place(rng, surveyed, radius=rule.radius_mm)
        if place is None:
            return ()
        taken = (place[0],)
        findings.append(_finding(breast, place, looks[position], position, malignant=alike))
    return tuple(findings)


def _finding(
    breast: Breast,
    place: tuple[float, float, float],
    look: Look,
    position: Position,
    *,
    malignant: bool,
) -> Lesion:
    """One finding, of whose contrast the other view has nothing: no halo and no retraction there.

    Its random streams know neither label nor family, so breasts differ by what was put in alone.
    """
    size = float(_rng(breast, position, "size").uniform(*look.diameter_mm))
    lesion = make_lesion(
        _rng(breast, position, "shape"),
        breast,
        "mass_malignant" if look.spiculated else "mass_benign",
        place,
        name=f"focus_{position.lower()}",
        contrast=look.conspic,
        diameter=size,
    )
    assert lesion.mass is not None
    return replace(
        lesion,
        kind="mass_malignant" if malignant else "mass_benign",
        mass=replace(lesion.mass, has_halo=False),
        mode=ONLY_IN[position],
        gains={OTHER[position]: 0.0},
        pin=None,
    )


def _rng(breast: Breast, position: Position, purpose: str) -> np.random.Generator:
    return stream(breast.patient.seed, "families", breast.side, position, purpose)
