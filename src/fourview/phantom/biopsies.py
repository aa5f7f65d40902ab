"""Masses with a biopsy, and what their odds depend on; see ``preset.Biopsies``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fourview.entities import Side
from fourview.phantom.lesions import Point3
from fourview.phantom.place import Survey, find_place
from fourview.phantom.preset import Biopsies
from fourview.phantom.streams import stream
from fourview.phantom.truth import Kind

TRIES = 16  # places looked at for each satellite; a breast without room gets fewer
RADIUS_MM = 3.0  # of a satellite, when a place is looked for
BETWEEN_MM = 8.0  # least distance of two satellites


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMass:
    """What is drawn of a mass before it is known where it goes.

    Attributes:
        chance: Uniform in [0, 1): the mass is malignant where this is below its odds.
        is_lookalike: Whether it has the shape of the other kind.
    """

    chance: float
    is_lookalike: bool

    def kinds(self, odds: float) -> tuple[Kind, Kind]:
        """Its kind, and the kind that it looks like."""
        malignant = self.chance < odds
        return _mass(malignant=malignant), _mass(malignant=malignant != self.is_lookalike)


@dataclass(frozen=True, slots=True, kw_only=True)
class BiopsyPlan:
    """What of it one breast is to hold.

    Attributes:
        masses: In the order in which they are put in.
        num_satellites: 0 in a breast without.
    """

    masses: tuple[PlannedMass, ...]
    num_satellites: int


def plan_biopsies(seed: int, side: Side, rule: Biopsies) -> BiopsyPlan:
    """Draw the plan of a breast; every item has its own stream."""

    def draw(*names: str | int) -> float:
        return float(stream(seed, "biopsies", side, *names).random())

    num = int(np.searchsorted(np.cumsum(rule.num_masses), draw("num"), side="right"))
    has_satellites = draw("satellites") < rule.p_satellites
    masses = [
        PlannedMass(
            chance=draw("malignant", index),
            is_lookalike=draw("lookalike", index) < rule.p_lookalike,
        )
        for index in range(min(num, len(rule.num_masses) - 1))
    ]
    low, high = rule.num_satellites
    some = low + int(draw("how many") * (high - low + 1))
    return BiopsyPlan(masses=tuple(masses), num_satellites=some if has_satellites else 0)


def satellite_places(
    rng: np.random.Generator,
    surveyed: Survey,
    masses: Sequence[Point3],
    *,
    num: int,
    apart_mm: float,
) -> list[Point3]:
    """Places at least ``apart_mm`` from every mass and apart from each other, in each view.

    Args:
        rng: Used for nothing else.
        surveyed: The breast.
        masses: Where the masses are, mm of the neutral breast.
        num: How many are wanted; fewer where there is no room.
        apart_mm: In the image plane, centre to centre.
    """
    places: list[Point3] = []
    for _ in range(num):
        for _ in range(TRIES):
            place = find_place(rng, surveyed, radius=RADIUS_MM)
            if place is None:
                return places
            far = _distance(surveyed, place, masses) >= apart_mm
            if far and _distance(surveyed, place, places) >= BETWEEN_MM:
                places.append(place)
                break
    return places


def _mass(*, malignant: bool) -> Kind:
    return "mass_malignant" if malignant else "mass_benign"


def _distance(surveyed: Survey, place: Point3, others: Sequence[Point3]) -> float:
    """To the nearest of the others, in the view where it is nearer; infinite without any."""
    if not others:
        return float("inf")
    nearest = []
    for view in surveyed.views.values():
        x, y = view.project(np.array([place, *others]))
        nearest.append(float(np.hypot(x[1:] - x[0], y[1:] - y[0]).min()))
    return min(nearest)
