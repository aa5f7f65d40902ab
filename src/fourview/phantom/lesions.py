"""Findings as 3-D objects: masses, calcification clusters, distortions, summation shadows, covers.

All positions are mm of the neutral breast. Findings are stiff: compression moves their centre but
does not squeeze them. What a view shows of them is in ``fourview.phantom.draw``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from fourview.phantom.anatomy import Breast
from fourview.phantom.streams import clipped_lognormal
from fourview.phantom.truth import Kind, Mode, Position
from fourview.phantom.view import Acquisition

Point3 = tuple[float, float, float]
# Median (mm) and standard deviation of the logarithm, of diameters that nobody asks for.
DEFAULT_SIZE = {"malignant": (13.0, 0.35), "benign": (11.0, 0.35), "calc": (12.0, 0.4)}
COVERED = 0.3  # share of a finding's contrast that is left where it is covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """The body of a mass: an ellipsoid with a wavy contour.

    Attributes:
        axes: Half-axes x, y, z, mm.
        harmonics: Waves of the contour: order and amplitude, relative to the radius.
        exponent: Exponent of the thickness profile (1 - q^2)^exponent; 0.5 is a solid ellipsoid.
        density: Glandular fraction that it is as dense as.
        has_halo: Whether a thin dark line surrounds it.
    """

    axes: Point3
    harmonics: tuple[tuple[int, float], ...]
    exponent: float
    density: float
    has_halo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spicules:
    """Rays from the centre, mm.

    Attributes:
        direction: Unit vectors.
        start: Distance from the centre at which rays begin.
        bend: Unit vectors that rays curve towards.
        curvature: How much rays curve, 1/mm.
    """

    direction: Float64[np.ndarray, "ray 3"]
    start: float
    length: Float64[np.ndarray, " ray"]
    radius: Float64[np.ndarray, " ray"]
    curvature: Float64[np.ndarray, " ray"]
    bend: Float64[np.ndarray, "ray 3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """Calcifications: rods from ``start`` to ``end``, mm from the centre; grains where equal."""

    start: Float64[np.ndarray, "particle 3"]
    end: Float64[np.ndarray, "particle 3"]
    radius: Float64[np.ndarray, " particle"]
    attenuation: Float64[np.ndarray, " particle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One finding of a breast.

    Attributes:
        name: Its name in the breast: cancer, mass, calc, shadow_cc, shadow_mlo.
        contrast: Factor on all it adds.
        local_gland: Glandular fraction around it, which it displaces.
        pin: Strength and sigma (mm) of the retraction it causes; None for none.
        parts: Where the parts of a summation shadow really are; None for whole findings.
        weights: Share of the mass that each part holds.
        only_in: The view that a summation shadow is made for; None for real findings.
        gains: Factor on the contrast in views where it is covered.
    """

    name: str
    kind: Kind
    position: Point3
    diameter: float
    contrast: float
    local_gland: float = 0.0
    mode: Mode = "both"
    mass: Mass | None = None
    spicules: Spicules | None = None
    particles: Particles | None = None
    pin: tuple[float, float] | None = None
    parts: Float64[np.ndarray, "part 3"] | None = None
    weights: tuple[float, ...] = (1.0,)
    only_in: Position | None = None
    gains: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_malignant(self) -> bool:
        """Whether it makes the breast one with cancer."""
        return self.kind in ("mass_malignant", "calc_malignant", "distortion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Normal dense strands on a place's ray in one view, away from its depth: no finding."""

    view: Position
    center: Float64[np.ndarray, "strand 3"]
    direction: Float64[np.ndarray, "strand 3"]
    bend: Float64[np.ndarray, "strand 3"]
    length: Float64[np.ndarray, " strand"]
    radius: Float64[np.ndarray, " strand"]
    curvature: Float64[np.ndarray, " strand"]
    strength: Float64[np.ndarray, " strand"]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was put into one breast."""

    lesions: tuple[Lesion, ...] = ()
    covers: tuple[Cover, ...] = ()

    def pins(self) -> Float64[np.ndarray, "pin 5"]:
        """Retraction centres for ``Tissue.project``: x, y, z, strength, sigma."""
        rows = [(*lesion.position, *lesion.pin) for lesion in self.lesions if lesion.pin]
        return np.array(rows, np.float64).reshape(-1, 5)


def make_lesion(
    rng: np.random.Generator,
    breast: Breast,
    kind: Kind,
    position: Point3,
    *,
    name: str,
    contrast: float = 1.0,
    diameter: float | None = None,
) -> Lesion:
    """A finding of any kind but summation.

    Args:
        rng: Used for nothing else.
        breast: Breast that it is made for; gives the glandular fraction around the place.
        kind: Kind of finding.
        position: Position of its centre.
        name: See ``Lesion``.
        contrast: 1 is physical.
        diameter: mm; None draws it by kind.
    """
    local = _local_gland(rng, breast, position)
    if kind.startswith("mass"):
        size = diameter or _default_size(rng, kind.removeprefix("mass_"), 5, 35)
        return _mass_lesion(rng, kind, position, size, name=name, contrast=contrast, local=local)
    if kind.startswith("calc"):
        size = diameter or _default_size(rng, "calc", 4, 35)
        draw = _malignant_particles if kind == "calc_malignant" else _benign_particles
        return Lesion(
            name=name,
            kind=kind,
            position=position,
            diameter=size,
            contrast=contrast,
            local_gland=local,
            particles=draw(rng, size),
        )
    size = diameter or rng.uniform(14, 30)
    num = int(rng.integers(26, 44))
    spicules = Spicules(
        direction=_directions(rng, num),
        start=1.0,
        length=size * rng.uniform(0.45, 0.95, num),
        radius=rng.uniform(0.25, 0.6, num),
        curvature=rng.normal(0, 0.006, num),
        bend=_directions(rng, num),
    )
    return Lesion(
        name=name,
        kind=kind,
        position=position,
        diameter=size,
        contrast=contrast,
        local_gland=local,
        spicules=spicules,
        pin=(rng.uniform(0.5, 0.8), 0.45 * size),
    )


def make_summation(
    rng: np.random.Generator,
    view: Acquisition,
    position: Point3,
    *,
    name: str,
    contrast: float,
    diameter: float,
) -> Lesion:
    """An exploded malignant mass: whole in ``view``, in parts along one AP row in the other.

    Core and spicules are those of a malignant mass, so ``view`` alone holds no cue; the parts lie
    at different depths on one ray of it.
    """
    breast = view.breast
    mass = make_lesion(
        rng, breast, "mass_malignant", position, name=name, contrast=contrast, diameter=diameter
    )
    half = float(breast.half_radius(position[0]))
    in_plane = np.array([0.0, math.cos(view.gantry), math.sin(view.gantry)])
    in_depth = np.array([0.0, -math.sin(view.gantry), math.cos(view.gantry)])
    e = float(in_plane @ position) / half
    num = int(rng.integers(5, 9))
    depth = np.linspace(-0.78, 0.78, num) * math.sqrt(max(0.05, 1 - e * e))
    depth = rng.permutation(depth + rng.normal(0, 0.04, num))
    parts = e * half * in_plane + half * depth[:, None] * in_depth
    parts += rng.normal(0, 0.5, (num, 1)) * in_plane
    parts[:, 0] = position[0] + rng.normal(0, 0.5, num)
    return Lesion(
        name=name,
        kind="summation",
        position=position,
        diameter=mass.diameter,
        contrast=contrast,
        local_gland=mass.local_gland,
        mode="cc_only" if view.position == "CC" else "mlo_only",
        mass=mass.mass,
        spicules=mass.spicules,
        parts=parts,
        weights=tuple(float(w) for w in rng.dirichlet(np.full(num, 8.0))),
        only_in=view.position,
    )


def make_cover(
    rng: np.random.Generator, view: Acquisition, position: Point3, diameter: float
) -> Cover:
    """18 to 27 strands that hide a place in ``view`` and fall apart along AP in the other view."""
    half = float(view.breast.half_radius(position[0]))
    in_plane = np.array([0.0, math.cos(view.gantry), math.sin(view.gantry)])
    in_depth = np.array([0.0, -math.sin(view.gantry), math.cos(view.gantry)])
    along = np.array([1.0, 0.0, 0.0])
    e = float(in_plane @ position) / half
    place_depth = float(in_depth @ position)
    reach = 0.8 * half * math.sqrt(max(0.05, 1 - e * e))
    num = int(rng.integers(18, 28))
    depth = _away_from(rng, place_depth, diameter / 2 + 3, reach, num)
    spread = 2.1 * diameter / 2 * np.sqrt(rng.random(num))
    turn = rng.uniform(0, 2 * np.pi, num)
    heading = rng.uniform(0, np.pi, num)
    direction = np.cos(heading)[:, None] * along + np.sin(heading)[:, None] * in_plane
    center = position[0] * along + e * half * in_plane + depth[:, None] * in_depth
    center = center + (spread * np.cos(turn))[:, None] * along
    center = center + (spread * np.sin(turn))[:, None] * in_plane
    return Cover(
        view=view.position,
        center=center,
        direction=direction,
        bend=np.cross(direction, _directions(rng, num)),
        length=rng.uniform(8, 20, num),
        radius=rng.uniform(0.9, 1.9, num),
        curvature=rng.normal(0, 0.02, num),
        strength=rng.uniform(0.7, 1.3, num),
    )


def _away_from(
    rng: np.random.Generator, middle: float, gap: float, reach: float, num: int
) -> Float64[np.ndarray, " strand"]:
    """Uniform draws in (-reach, reach), at least ``gap`` from ``middle``; the ends if none are."""
    below, above = max(middle - gap + reach, 0.0), max(reach - middle - gap, 0.0)
    draws = rng.uniform(0, 1, num) * (below + above)
    if below + above == 0:
        return np.where(rng.random(num) < 0.5, -reach, reach)
    return np.where(draws < below, -reach + draws, middle + gap + draws - below)


def _mass_lesion(
    rng: np.random.Generator,
    kind: Kind,
    position: Point3,
    diameter: float,
    *,
    name: str,
    contrast: float,
    local: float,
) -> Lesion:
    """A mass of either kind."""
    radius = diameter / 2
    malignant = kind == "mass_malignant"
    ratio = rng.uniform(0.75, 1.1, 3) if malignant else rng.uniform(0.7, 1.0, 3)
    density = rng.uniform(1.0, 1.15) if malignant else rng.uniform(0.75, 1.0)
    scale, decay, last = (0.20, 0.95, 11) if malignant else (0.05, 0.6, 3)
    harmonics = tuple(
        (k, scale * k**-decay * min(abs(rng.normal()), 1.6)) for k in range(2, last + 1)
    )
    spicules, pin = None, None
    exponent = rng.uniform(0.8, 1.3) if malignant else 0.5
    if malignant:
        num = int(rng.integers(22, 46))
        spicules = Spicules(
            direction=_directions(rng, num),
            start=0.75 * radius * float(ratio.mean()),
            length=radius * rng.uniform(0.6, 2.2, num),
            radius=rng.uniform(0.22, 0.60, num),
            curvature=rng.normal(0, 0.02, num),
            bend=_directions(rng, num),
        )
        pin = (rng.uniform(0.15, 0.4), 0.8 * diameter)
    axes = (radius * float(ratio[0]), radius * float(ratio[1]), radius * float(ratio[2]))
    return Lesion(
        name=name,
        kind=kind,
        position=position,
        diameter=diameter,
        contrast=contrast,
        local_gland=local,
        mass=Mass(
            axes=axes,
            harmonics=harmonics,
            exponent=exponent,
            density=density,
            has_halo=not malignant and bool(rng.random() < 0.4),
        ),
        spicules=spicules,
        pin=pin,
    )


def _malignant_particles(rng: np.random.Generator, diameter: float) -> Particles:
    """Pleomorphic: grains and rods of mixed size along a duct."""
    num = int(rng.integers(10, 35))
    duct = _directions(rng, 1)[0]
    start = rng.normal(0, 0.28 * diameter, (num, 3))
    start += duct * rng.normal(0, 0.35, (num, 1)) * 0.6 * diameter
    rod = rng.random(num) < 0.55
    length = np.where(rod, rng.gamma(1.6, 0.28, num), 0.0)
    heading = duct + rng.normal(0, 0.6, (num, 3))
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    radius = np.clip(rng.lognormal(math.log(0.13), 0.42, num), 0.05, 0.35)
    return Particles(
        start=start,
        end=start + heading * length[:, None],
        radius=radius * np.where(rod, 0.75, 1.0),
        attenuation=rng.uniform(0.5, 1.15, num),
    )


def _benign_particles(rng: np.random.Generator, diameter: float) -> Particles:
    """Round grains of one size."""
    num = int(rng.integers(5, 16))
    start = rng.normal(0, 0.36 * 0.9 * diameter, (num, 3))
    size = rng.uniform(0.14, 0.42)
    return Particles(
        start=start,
        end=start,
        radius=np.clip(size * rng.normal(1, 0.12, num), 0.1, 0.7),
        attenuation=rng.uniform(0.85, 1.0, num),
    )


def _default_size(rng: np.random.Generator, law: str, low: float, high: float) -> float:
    median, sd = DEFAULT_SIZE[law]
    return clipped_lognormal(rng, median, sd, low, high)


def _directions(rng: np.random.Generator, num: int) -> Float64[np.ndarray, "many 3"]:
    """Unit vectors, uniform over the sphere."""
    vectors = rng.normal(size=(num, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _local_gland(rng: np.random.Generator, breast: Breast, position: Point3) -> float:
    """Mean glandular fraction of 64 points around a place."""
    points = np.asarray(position) + rng.normal(0, 3.0, (64, 3))
    half = float(breast.half_radius(position[0]))
    points[:, 0] = np.clip(points[:, 0], 1, breast.length - 1)
    points[:, 1:] /= half
    return float(breast.tissue.fraction(points).mean())
