"""What one breast holds: drawn by a preset's rates, and put where there is room."""

from dataclasses import dataclass, replace

import numpy as np

from fourview.entities import Side
from fourview.phantom.anatomy import Breast
from fourview.phantom.biopsies import plan_biopsies, satellite_places
from fourview.phantom.families import family_findings
from fourview.phantom.lesions import (
    COVERED,
    Contents,
    Cover,
    Lesion,
    Point3,
    make_cover,
    make_lesion,
)
from fourview.phantom.lesions import make_summation as summation
from fourview.phantom.place import Survey, find_place, survey
from fourview.phantom.preset import Biopsies, Preset, SizeLaw
from fourview.phantom.streams import clipped_lognormal, stream
from fourview.phantom.truth import POSITIONS, Kind, Mode, Position

CLUSTER_RADIUS_MM = 4.0  # assumed of calcification clusters when a place is looked for
HIDDEN_IN: dict[Mode, Position | None] = {"both": None, "cc_only": "MLO", "mlo_only": "CC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one breast is to hold, drawn before anything is placed.

    Attributes:
        cancer: Kind of the malignant finding; None for none.
        cancer_mode: How the malignant finding, or the empty place in its stead, is covered.
        benign_mass: Mode of the benign mass; None for none.
        benign_calc: Whether there is a benign cluster.
        shadows: Views with a summation shadow.
    """

    cancer: Kind | None
    cancer_mode: Mode
    benign_mass: Mode | None
    benign_calc: bool
    shadows: tuple[Position, ...]


def plan_breast(seed: int, side: Side, preset: Preset) -> Plan:
    """Draw what a breast is to hold; every item has its own stream, so none depends on another."""

    def draw(*names: str) -> float:
        return float(stream(seed, "plan", side, *names).random())

    kinds = list(preset.cancer_kinds)
    weights = np.cumsum(list(preset.cancer_kinds.values()))
    kind = kinds[int(np.searchsorted(weights, draw("kind") * weights[-1], side="right"))]
    has_mass = draw("mass") < preset.p_benign_mass
    cancer = kind if draw("cancer") < preset.p_cancer else None
    p_shadow = preset.p_summation
    if cancer is not None and preset.p_summation_beside is not None:
        p_shadow = preset.p_summation_beside
    return Plan(
        cancer=cancer,
        cancer_mode=_mode(draw("cancer", "mode"), preset),
        benign_mass=_mode(draw("mass", "mode"), preset) if has_mass else None,
        benign_calc=draw("calc") < preset.p_benign_calc,
        shadows=tuple(p for p in POSITIONS if draw("shadow", p) < p_shadow),
    )


def fill_breast(breast: Breast, preset: Preset) -> Contents:
    """Put a plan's findings into a breast.

    The place of the cancer is looked for in every breast, and stays empty (or under a cover with
    nothing below) in those without: with or without it all else is the same, to the bit.
    """
    plan = plan_breast(breast.patient.seed, breast.side, preset)
    surveyed = survey(breast)
    if preset.families is not None:
        alike = plan.cancer is not None
        return Contents(family_findings(surveyed, preset.families, alike=alike))
    filler = _Filler(breast, surveyed)
    filler.add_cancer(plan, preset)
    if plan.benign_mass is not None:
        size = filler.size("mass", preset.benign_size)
        filler.add("mass", "mass_benign", plan.benign_mass, size, preset.conspic_benign)
    if plan.benign_calc:
        filler.add("calc", "calc_benign", "both", None, preset.conspic_benign)
    for position in plan.shadows:
        filler.add_shadow(position, preset)
    if preset.biopsies is not None:
        filler.add_biopsies(preset, preset.biopsies)
    return Contents(tuple(filler.lesions), tuple(filler.covers))


class _Filler:
    """Findings of one breast as they are put in, with the AP depths that are taken."""

    def __init__(self, breast: Breast, surveyed: Survey) -> None:
        self.breast = breast
        self.surveyed = surveyed
        self.lesions: list[Lesion] = []
        self.covers: list[Cover] = []
        self.taken: tuple[float, ...] = ()

    def rng(self, name: str, purpose: str) -> np.random.Generator:
        """The stream of one purpose of one finding; "site" is that of its place."""
        return stream(self.breast.patient.seed, "contents", self.breast.side, name, purpose)

    def size(self, name: str, law: SizeLaw) -> float:
        """A diameter, mm."""
        return clipped_lognormal(self.rng(name, "size"), *law)

    def place(self, name: str, mode: Mode, radius: float) -> Point3 | None:
        """Where a finding goes, the same each time until another is put in; None for no room."""
        rng = self.rng(name, "site")
        return find_place(rng, self.surveyed, radius=radius, mode=mode, avoid=self.taken)

    def add_cancer(self, plan: Plan, preset: Preset) -> None:
        """The malignant finding, or its empty place with the same cover."""
        size = self.size("cancer", preset.malignant_size)
        kind = plan.cancer
        self.add("cancer", kind, plan.cancer_mode, size, preset.conspic)

    def add_biopsies(self, preset: Preset, rule: Biopsies) -> None:
        """Masses with a biopsy, and the satellites that their odds may depend on."""
        plan = plan_biopsies(self.breast.patient.seed, self.breast.side, rule)
        for index, mass in enumerate(plan.masses):
            name = f"biopsy_{index}"
            size = self.size(name, preset.malignant_size)
            place = self.place(name, "both", size / 2)
            if place is None:
                continue
            odds = rule.odds(beside_satellites=plan.num_satellites > 0, depth_mm=place[0])
            kind, looks = mass.kinds(odds)
            self.add(name, kind, "both", size, preset.conspic, looks=looks)
        places = satellite_places(
            self.rng("satellites", "site"),
            self.surveyed,
            [lesion.position for lesion in self.lesions],
            num=plan.num_satellites,
            apart_mm=rule.apart_mm,
        )
        for index, place in enumerate(places):
            shape = self.rng(f"satellite_{index}", "shape")
            lesion = make_lesion(
                shape,
                self.breast,
                "mass_benign",
                place,
                name=f"satellite_{index}",
                contrast=rule.conspic,
                diameter=float(shape.uniform(*rule.satellite_mm)),
            )
            self.lesions.append(replace(lesion, kind="satellite"))

    def add(
        self,
        name: str,
        kind: Kind | None,
        mode: Mode,
        diameter: float | None,
        contrast: float,
        *,
        looks: Kind | None = None,
    ) -> None:
        """A finding of a kind with its cover; without a kind, the cover alone.

        Args:
            name: See ``Lesion``.
            kind: What it is.
            mode: In which views it can be seen.
            diameter: mm; None where its shape decides it.
            contrast: 1 is physical.
            looks: The kind that it is drawn as; None draws what it is.
        """
        radius = CLUSTER_RADIUS_MM if diameter is None else diameter / 2
        place = self.place(name, mode, radius)
        if place is None:
            return
        self.taken += (place[0],)
        hidden = HIDDEN_IN[mode]
        if hidden is not None:
            view = self.surveyed.views[hidden]
            self.covers.append(make_cover(self.rng(name, "cover"), view, place, 2 * radius))
        if kind is None:
            return
        lesion = make_lesion(
            self.rng(name, "shape"),
            self.breast,
            looks or kind,
            place,
            name=name,
            contrast=contrast,
            diameter=diameter if kind.startswith("mass") else None,
        )
        gains: dict[str, float] = {} if hidden is None else {hidden: COVERED}
        self.lesions.append(replace(lesion, kind=kind, mode=mode, gains=gains))

    def add_shadow(self, position: Position, preset: Preset) -> None:
        """A summation shadow in one view."""
        name = f"shadow_{position.lower()}"
        size = self.size(name, preset.malignant_size)
        rng = self.rng(name, "site")
        place = find_place(rng, self.surveyed, radius=size / 2, avoid=self.taken)
        if place is None:
            return
        self.taken += (place[0],)
        view = self.surveyed.views[position]
        shape = self.rng(name, "shape")
        self.lesions.append(
            summation(shape, view, place, name=name, contrast=preset.conspic, diameter=size)
        )


def _mode(draw: float, preset: Preset) -> Mode:
    """In which views a finding can be seen, of a uniform draw."""
    if draw < preset.p_cc_only:
        return "cc_only"
    return "mlo_only" if draw < preset.p_cc_only + preset.p_mlo_only else "both"
