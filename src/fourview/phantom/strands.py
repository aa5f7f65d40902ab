"""Fine bright structures: Cooper strands, fibrous bands, ducts and vessels as 3-D curves.

A curve is a row of points that carry volume (cross-section times step). A view projects the points
and spreads each volume as a small Gaussian, so brightness does not depend on the pixel size.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from fourview.phantom.tissue import TissueParams

STEPS = 72  # points of a Cooper strand


@dataclass(frozen=True, slots=True, kw_only=True)
class Strands:
    """Points of all curves of a breast.

    Attributes:
        points: x, y, z of the neutral breast, mm.
        volume: Volume that each point carries, mm^3.
        sigma: Width of its Gaussian, mm.
    """

    points: Float64[np.ndarray, "point 3"]
    volume: Float64[np.ndarray, " point"]
    sigma: Float64[np.ndarray, " point"]


def grow_strands(rng: np.random.Generator, params: TissueParams, density: int) -> Strands:
    """All curves of one breast.

    Args:
        rng: Used for nothing else.
        params: Tissue parameters of the breast.
        density: Density class, 0 for a to 3 for d; denser breasts have thicker strands.
    """
    curves = [_cooper_strands(rng, params, density)]
    curves += [_duct(rng, params) for _ in range(int(rng.integers(7, 12)))]
    curves += [_vessel(rng, params) for _ in range(int(rng.integers(3, 7)))]
    points = np.concatenate([c.points for c in curves])
    radius2 = (points[:, 1:] ** 2).sum(axis=1)
    keep = (points[:, 0] > 0) & (points[:, 0] < params.length - 0.5)
    keep &= radius2 < (0.985 * _half(params, points[:, 0])) ** 2
    return Strands(
        points=points[keep],
        volume=np.concatenate([c.volume for c in curves])[keep],
        sigma=np.concatenate([c.sigma for c in curves])[keep],
    )


def _cooper_strands(rng: np.random.Generator, params: TissueParams, density: int) -> Strands:
    """Curves of correlated heading, grown together; the first ones thick bands to the nipple."""
    num, bands = int(rng.integers(330, 480)), int(rng.integers(25, 50))
    point, heading = _starts(rng, params, num, bands)
    reach = np.clip(rng.gamma(2.6, 8.5, num), 5, 75)
    reach[:bands] = rng.uniform(25, 70, bands)
    step = (reach / STEPS)[:, None]
    bend = rng.normal(0, 1, (num, 3)) * rng.gamma(2, 0.018, num)[:, None]
    bend[:bands] *= 0.5
    curves = np.empty((num, STEPS, 3))
    for i in range(STEPS):
        curves[:, i] = point
        point = point + heading * step
        bend = bend + rng.normal(0, 1, (num, 3)) * 0.028 * np.sqrt(step)
        heading = _unit(heading + np.cross(bend, heading) * step)
    area = np.clip(rng.lognormal(np.log(0.10 + 0.015 * density), 0.8, num), 0.02, 1.2)
    area[:bands] = np.clip(rng.lognormal(np.log(0.8 + 0.2 * density), 0.6, bands), 0.2, 4)
    taper = np.sin(np.pi * (np.arange(STEPS) + 0.5) / STEPS) ** 0.6
    return Strands(
        points=curves.reshape(-1, 3),
        volume=(area[:, None] * taper * step).ravel(),
        sigma=np.repeat(np.clip(0.55 * np.sqrt(area / np.pi), 0.07, 0.75), STEPS),
    )


def _starts(
    rng: np.random.Generator, params: TissueParams, num: int, bands: int
) -> tuple[Float64[np.ndarray, "strand 3"], Float64[np.ndarray, "strand 3"]]:
    """Where strands begin and in which direction; bands are aimed at the nipple."""
    x = params.length * rng.beta(1.3, 1.1, num)
    rho = np.sqrt(rng.uniform(0.03, 0.97, num))
    angle = rng.uniform(0, 2 * np.pi, num)
    rho[:bands] *= 0.8
    x[:bands] *= 0.8
    radius = rho * _half(params, x)
    point = np.stack([x, radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    heading = rng.normal(0, 0.75, (num, 3))
    heading[:, 0] += rng.normal(0.9, 0.7, num)
    nipple = np.array([0.95 * params.length, 0.0, 0.0])
    heading[:bands] = _unit(nipple - point[:bands]) + rng.normal(0, 0.28, (bands, 3))
    return point, _unit(heading)


def _duct(rng: np.random.Generator, params: TissueParams) -> Strands:
    """A duct that fans out from the nipple and tapers."""
    along = np.linspace(0, 1, int(0.75 * params.length / 0.25))
    opening = rng.uniform(0.15, 0.65)
    x = params.length - 2 - along * params.length * rng.uniform(0.35, 0.75)
    radius = opening * _half(params, x) * np.sqrt(along)
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.02, len(along)))
    return _tube(x, radius, angle, area=0.55 * (1 - 0.8 * along), sigma=0.30)


def _vessel(rng: np.random.Generator, params: TissueParams) -> Strands:
    """A vessel in the fat below the skin."""
    along = np.linspace(0, 1, int(params.length / 0.25))
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.008, len(along)))
    angle += rng.uniform(-0.8, 0.8) * along
    angle += 0.06 * np.sin(along * rng.uniform(8, 20) + rng.uniform(0, 6))
    x = params.length * (rng.uniform(0.0, 0.2) + along * rng.uniform(0.4, 0.75))
    radius = rng.uniform(0.82, 0.93) * _half(params, x)
    area = rng.uniform(0.5, 1.6) * (1 - 0.6 * along)
    return _tube(x, radius, angle, area=area, sigma=rng.uniform(0.3, 0.55))


def _tube(
    x: Float64[np.ndarray, " point"],
    radius: Float64[np.ndarray, " point"],
    angle: Float64[np.ndarray, " point"],
    *,
    area: Float64[np.ndarray, " point"],
    sigma: float,
) -> Strands:
    """A curve in cylinder coordinates around the AP axis, with its cross-section (mm^2)."""
    points = np.stack([x, radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    step = np.append(step, step[-1])
    return Strands(points=points, volume=area * step, sigma=np.full(len(x), sigma))


def _half(params: TissueParams, x: Float64[np.ndarray, " point"]) -> Float64[np.ndarray, " point"]:
    """Half-radius (mm) of the neutral breast."""
    ratio = np.maximum(x, 0.5) / params.length
    return np.asarray(params.radius * np.sqrt(np.clip(1 - ratio**params.exponent, 1e-3, 1)))


def _unit(vectors: Float64[np.ndarray, "many 3"]) -> Float64[np.ndarray, "many 3"]:
    """The same directions, of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
