"""Patients and breasts: the draws that make one woman's two breasts.

Ranges are those of the phantom's specification (docs/phantom.md); lengths in mm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from fourview.entities import Side
from fourview.phantom.strands import Strands, grow_strands
from fourview.phantom.streams import clipped_normal, stream
from fourview.phantom.tiles import NUM_VARIANTS, SIDE, flat_tile
from fourview.phantom.tissue import Noise, Tissue, TissueParams
from fourview.phantom.truth import DENSITIES, Density

VOLUMETRIC_DENSITY: dict[Density, tuple[float, float]] = {  # mean and sd of the glandular fraction
    "a": (0.045, 0.012),
    "b": (0.10, 0.025),
    "c": (0.20, 0.04),
    "d": (0.36, 0.06),
}
THICKNESS_OFFSET: dict[Density, float] = {"a": 3, "b": 0, "c": -1, "d": -5}  # mm, compressed
GLAND_SHARE = 0.92  # of the target that the thresholded gland gives; sheets and strands the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineDraws:
    """A patient's silhouette, mm and exponents; see ``fourview.phantom.outline``."""

    cc_half: float
    cc_p: float
    cc_q: float
    cc_asymmetry: float
    upper_scale: float
    upper_power: float
    upper_half: float
    axilla: float
    lower_half: float
    lower_p: float
    lower_q: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What both breasts share.

    Attributes:
        length: Chest plane to nipple.
        radius: Half-radius at the chest plane.
        exponent: Exponent of the neutral profile.
        thickness: Compressed, before the views' own variation.
        volumetric_density: Target glandular fraction of the volume.
    """

    seed: int
    density: Density
    age: int
    length: float
    radius: float
    exponent: float
    thickness: float
    volumetric_density: float
    outline: OutlineDraws


@dataclass(frozen=True, slots=True, kw_only=True)
class Breast:
    """One side's anatomy; findings come on top of it.

    Attributes:
        length: Chest plane to nipple; the two sides differ by 1.5 %.
        pectoral_texture: Variant of the band tile that muscle fibres are cut from.
    """

    patient: Patient
    side: Side
    length: float
    tissue: Tissue
    strands: Strands
    pectoral_texture: int

    def half_radius(self, x: Float[np.ndarray, "*many"] | float) -> Float64[np.ndarray, "*many"]:
        """Half-radius (mm) of the neutral breast at AP position x; never below 3 % of the base."""
        ratio = np.maximum(np.asarray(x, np.float64), 0.5) / self.length
        share = np.clip(1 - ratio**self.patient.exponent, 1e-3, 1)
        return np.asarray(self.patient.radius * np.sqrt(share))


def draw_patient(seed: int, density: Density) -> Patient:
    """The patient of a seed, with breasts of that density class."""
    rng = stream(seed, "patient")
    length = clipped_normal(rng, 86, 13, 52, 106)
    thickness = 22 + 0.38 * length + rng.normal(0, 8) + THICKNESS_OFFSET[density]
    mean, sd = VOLUMETRIC_DENSITY[density]
    outline = OutlineDraws(
        cc_half=length * rng.uniform(1.10, 1.32),
        cc_p=rng.uniform(1.65, 2.2),
        cc_q=rng.uniform(1.2, 1.9),
        cc_asymmetry=rng.normal(0, 0.05),
        upper_scale=length * rng.uniform(0.62, 0.85),
        upper_power=rng.uniform(1.2, 2.2),
        upper_half=length * rng.uniform(1.05, 1.3),
        axilla=rng.uniform(14, 24),
        lower_half=length * rng.uniform(0.80, 1.02),
        lower_p=rng.uniform(2.0, 2.4),
        lower_q=rng.uniform(1.6, 2.0),
    )
    younger = 3.0 * DENSITIES.index(density)  # dense breasts are of younger women, on average
    return Patient(
        seed=seed,
        density=density,
        length=length,
        radius=length * rng.uniform(1.0, 1.15),
        exponent=rng.uniform(1.8, 2.3),
        thickness=min(max(thickness, 25.0), 90.0),
        volumetric_density=clipped_normal(rng, mean, sd, 0.5 * mean, 1.6 * mean),
        outline=outline,
        age=round(clipped_normal(rng, 62 - younger, 9, 40, 85)),
    )


def draw_breast(patient: Patient, side: Side) -> Breast:
    """One side of a patient: parameters and the coarse octave are shared, finer ones its own."""
    shared = stream(patient.seed, "anatomy")
    own = stream(patient.seed, "anatomy", side)
    length = patient.length * (1 + own.normal(0, 0.015))
    params = _draw_params(shared, patient, length)
    offsets = np.empty((5, 3))
    turn = _random_rotation(shared)
    offsets[2] = shared.uniform(0, SIDE, 3)  # coarse octave; lateral is positive, so it mirrors
    offsets[:2] = own.uniform(0, SIDE, (2, 3))
    offsets[3:] = own.uniform(0, SIDE, (2, 3))
    variant = int(shared.integers(NUM_VARIANTS))
    power = flat_tile("power", int(shared.integers(NUM_VARIANTS)))
    noise = Noise(turn=turn, offsets=offsets, power=power, band=flat_tile("band", variant))
    tissue = _at_density(Tissue(params=params, noise=noise), patient, side)
    density = DENSITIES.index(patient.density)
    strands = grow_strands(stream(patient.seed, "strands", side), tissue.params, density)
    return Breast(
        patient=patient,
        side=side,
        length=length,
        tissue=tissue,
        strands=strands,
        pectoral_texture=variant,
    )


def _draw_params(rng: np.random.Generator, patient: Patient, length: float) -> TissueParams:
    """The tissue function's numbers, but for the threshold."""
    density = DENSITIES.index(patient.density)
    return TissueParams(
        length=length,
        radius=patient.radius,
        exponent=patient.exponent,
        skin_gap=rng.uniform(5, 9) - 0.8 * density,
        skin_ramp=rng.uniform(12, 22),
        chest_gap=rng.uniform(0, 12) - 3 * density,
        chest_ramp=rng.uniform(18, 36),
        wobble=rng.uniform(1.5, 3.5),
        envelope=2.6,
        sheets=rng.uniform(1.0, 1.6),
        upper_outer=rng.uniform(0.2, 0.8),
        central=rng.uniform(0.2, 0.9),
        ap_scale=rng.uniform(0.75, 1.0),
        convergence=rng.uniform(0.3, 0.6),
        medium=rng.uniform(0.40, 0.60),
        fine=rng.uniform(0.18, 0.28),
        threshold=0.0,
        softness=rng.uniform(0.18, 0.30),
        sheet_in_gland=rng.uniform(0.50, 0.75),
        sheet_in_fat=rng.uniform(0.20, 0.32),
        sheet_width=rng.uniform(0.07, 0.11),
    )


def random_points(
    rng: np.random.Generator, params: TissueParams, num: int
) -> Float64[np.ndarray, "point 3"]:
    """Points (x, eta, zeta) uniform in the volume of the neutral breast, about half of ``num``."""
    draws = rng.random((num, 3))
    keep = rng.random(num) < 1 - draws[:, 0] ** params.exponent  # area of the cross-section
    angle = 2 * np.pi * draws[:, 2]
    rho = np.sqrt(draws[:, 1])
    points = [params.length * draws[:, 0], rho * np.cos(angle), rho * np.sin(angle)]
    return np.stack(points, axis=1)[keep]


def _at_density(tissue: Tissue, patient: Patient, side: Side) -> Tissue:
    """Set the threshold to the quantile of the drive that gives the patient's density."""
    points = random_points(stream(patient.seed, "threshold", side), tissue.params, 5000)
    quantile = 1 - GLAND_SHARE * patient.volumetric_density
    threshold = float(np.quantile(tissue.drive(points), quantile))
    return Tissue(params=tissue.params._replace(threshold=threshold), noise=tissue.noise)


def _random_rotation(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """A rotation, uniform over all of them (from a random unit quaternion)."""
    w, x, y, z = (q := rng.standard_normal(4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
