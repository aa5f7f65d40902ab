"""The tissue function: glandular fraction anywhere in a neutral breast, and rays through it.

Coordinates: x (mm) from the chest plane to the nipple, and (eta, zeta), lateral and superior
position over the half-radius at x, so that eta^2 + zeta^2 <= 1 inside the breast. One function,
not a voxel array: both views march through the same tissue at every resolution.
Kernels call each other; they stay in this module (see ``fourview.compiled``).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64

from fourview.compiled import compiled_fast, inlined


class TissueParams(NamedTuple):
    """Numbers of the tissue function, mm where not a ratio; drawn by ``fourview.phantom.anatomy``.

    Attributes:
        length: Chest plane to nipple.
        radius: Half-radius at the chest plane.
        exponent: Exponent of the profile radius * sqrt(1 - (x / length)^exponent).
        skin_gap: Depth below the skin at which gland begins.
        skin_ramp: Depth over which it becomes full.
        chest_gap: AP position at which gland begins (retromammary fat behind it).
        chest_ramp: AP distance over which it becomes full.
        wobble: How far noise moves both borders.
        envelope: How strongly glandular drive falls outside the envelope.
        sheets: Gland away from the sheets between fat cells.
        upper_outer: Preference for the upper outer quadrant.
        central: Preference for the centre.
        ap_scale: Stretch of the texture along AP.
        convergence: How much the texture narrows towards the nipple.
        medium: Weight of the medium octave.
        fine: Weight of the fine octave.
        threshold: Drive above which tissue is glandular; sets the density.
        softness: Width of that transition.
        sheet_in_gland: Fibrous fraction of a sheet inside the gland.
        sheet_in_fat: The same outside.
        sheet_width: Width of the sheets, in units of the noise they are the zeros of.
    """

    length: float
    radius: float
    exponent: float
    skin_gap: float
    skin_ramp: float
    chest_gap: float
    chest_ramp: float
    wobble: float
    envelope: float
    sheets: float
    upper_outer: float
    central: float
    ap_scale: float
    convergence: float
    medium: float
    fine: float
    threshold: float
    softness: float
    sheet_in_gland: float
    sheet_in_fat: float
    sheet_width: float


class Noise(NamedTuple):
    """The noise that a tissue function looks up.

    Attributes:
        turn: Rotation of the texture, 3 x 3.
        offsets: Where each of the five lookups starts, 5 x 3: two of the band tile, three of the
            power tile (coarse, medium, fine).
        power: Flattened power-law tile.
        band: Flattened band tile.
    """

    turn: np.ndarray
    offsets: np.ndarray
    power: np.ndarray
    band: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """One breast's tissue function."""

    params: TissueParams
    noise: Noise

    def drive(self, points: Float64[np.ndarray, "point 3"]) -> Float32[np.ndarray, " point"]:
        """Glandular drive at points (x, eta, zeta), before the threshold; -1000 far outside."""
        return _drive_points(points, self.params, self.noise)

    def fraction(self, points: Float64[np.ndarray, "point 3"]) -> Float32[np.ndarray, " point"]:
        """Glandular fraction in [0, 1] at points (x, eta, zeta)."""
        return _fraction_points(points, self.params, self.noise)

    def project(
        self,
        x: Float64[np.ndarray, " ray"],
        across: Float64[np.ndarray, " ray"],
        thickness: Float[np.ndarray, " ray"],
        *,
        gantry: float,
        depths: Float64[np.ndarray, " depth"],
        pins: Float64[np.ndarray, "pin 5"],
    ) -> Float32[np.ndarray, " ray"]:
        """Glandular thickness (mm) along rays of one view.

        Args:
            x: AP position of each ray; behind the chest plane tissue is mirrored and fades.
            across: In-plane position e in (-1, 1) of each ray.
            thickness: Compressed thickness (mm) along each ray.
            gantry: Angle of the view, radians.
            depths: Sample positions along the ray, in (-1, 1).
            pins: Retraction centres: x, y, z, strength, sigma (mm).
        """
        return _project(
            x,
            across,
            np.asarray(thickness, np.float64),
            math.cos(gantry),
            math.sin(gantry),
            depths,
            self.params,
            self.noise,
            pins,
        )


AtDepth = tuple[float, float, float, float, float]

_1, _65, _66, _4225 = np.uint64(1), np.uint64(65), np.uint64(66), np.uint64(65 * 65)


@inlined
def _lookup(tile: np.ndarray, x: float, y: float, z: float) -> float:
    """Trilinear value of a padded tile; coordinates above 0 (unsigned index: no wrap checks)."""
    ix = np.int32(x)
    iy = np.int32(y)
    iz = np.int32(z)
    dx = np.float32(x - ix)
    dy = np.float32(y - iy)
    dz = np.float32(z - iz)
    k = np.uint64(((ix & 63) * 65 + (iy & 63)) * 65 + (iz & 63))
    a = tile[k] + dz * (tile[k + _1] - tile[k])
    b = tile[k + _65] + dz * (tile[k + _66] - tile[k + _65])
    k = k + _4225
    c = tile[k] + dz * (tile[k + _1] - tile[k])
    d = tile[k + _65] + dz * (tile[k + _66] - tile[k + _65])
    a = a + dy * (b - a)
    c = c + dy * (d - c)
    value: float = a + dx * (c - a)
    return value


@inlined
def _at_depth(x: float, p: TissueParams) -> AtDepth:
    """What depends on the AP position only.

    Returns: 1 - X, half-radius, texture half-radius, slope of X, thinning of the skin gap near
    the nipple; X = (x / length)^exponent.
    """
    inside = max(x, 0.5)
    big_x = min((inside / p.length) ** p.exponent, 0.998)
    half = p.radius * math.sqrt(1 - big_x)
    texture = p.radius * math.exp(p.convergence * 0.5 * math.log(1 - big_x))
    to_nipple = p.length - inside
    gap = 0.85 * math.exp(-to_nipple * to_nipple / 900.0)
    return 1 - big_x, half, texture, p.exponent * big_x / inside, gap


@inlined
def _ramp(value: float) -> float:
    """0 below 0, 1 above 1, and a parabola that is level at 1 between."""
    u = min(max(value, 0.0), 1.0)
    return u * (2 - u)


@inlined
def _skin_depth(eta: float, zeta: float, at: AtDepth, p: TissueParams) -> tuple[float, float]:
    """Depth (mm) below the skin of the neutral body, to first order; and the skin gap there."""
    left, half, _, slope, thinning = at
    rho2 = eta * eta + zeta * zeta
    r2 = rho2 * half * half
    area = p.radius * p.radius
    depth = left * (1 - rho2) / math.sqrt(4 * r2 / (area * area) + slope * slope + 1e-9)
    gap = p.skin_gap
    if r2 < 400.0:
        gap = gap * (1 - thinning / (1.0 + r2 * r2 * 1e-4))
    return depth, gap


@inlined
def _field(
    x: float, eta: float, zeta: float, at: AtDepth, p: TissueParams, noise: Noise
) -> tuple[float, float, float, float]:
    """Glandular drive, sheet strength, depth below the skin (mm), glandular envelope."""
    depth, gap = _skin_depth(eta, zeta, at, p)
    y = eta * at[2]
    z = zeta * at[2]
    xs = x * p.ap_scale
    a = noise.turn[0, 0] * xs + noise.turn[0, 1] * y + noise.turn[0, 2] * z + 4096.0
    b = noise.turn[1, 0] * xs + noise.turn[1, 1] * y + noise.turn[1, 2] * z + 4096.0
    c = noise.turn[2, 0] * xs + noise.turn[2, 1] * y + noise.turn[2, 2] * z + 4096.0
    n2 = _lookup(
        noise.band,
        a * 0.50 + noise.offsets[0, 0],
        b * 0.50 + noise.offsets[0, 1],
        c * 0.50 + noise.offsets[0, 2],
    )
    n3 = _lookup(
        noise.band,
        b * 1.25 + noise.offsets[1, 0],
        c * 1.25 + noise.offsets[1, 1],
        a * 1.25 + noise.offsets[1, 2],
    )
    sharp = 1.0 / (p.sheet_width * p.sheet_width)
    s1 = n2 + 0.25 * n3
    s2 = n3 + 0.3 * n2
    q1 = s1 * s1 * sharp
    q2 = s2 * s2 * sharp * 1.6
    sheet = 1.0 / (1.0 + q1 * q1) + 0.5 / (1.0 + q2 * q2)
    drive = -1e3
    envelope = 0.0
    if depth > gap - 6.0 and x > p.chest_gap - 12.0:
        n = _lookup(
            noise.power,
            a * 0.30 + noise.offsets[2, 0],
            b * 0.30 + noise.offsets[2, 1],
            c * 0.30 + noise.offsets[2, 2],
        )
        e1 = _ramp((depth - gap + p.wobble * n2) / p.skin_ramp)
        e2 = _ramp((x - p.chest_gap + 2 * p.wobble * n) / p.chest_ramp)
        envelope = e1 * e2
        if envelope > 0.01:
            m = _lookup(
                noise.power,
                c * 1.3 + noise.offsets[3, 0],
                a * 1.3 + noise.offsets[3, 1],
                b * 1.3 + noise.offsets[3, 2],
            )
            f = _lookup(
                noise.power,
                b * 5.7 + noise.offsets[4, 0],
                c * 5.7 + noise.offsets[4, 1],
                a * 5.7 + noise.offsets[4, 2],
            )
            drive = 1.6 * n + p.medium * m + p.fine * f - p.envelope * (1 - envelope)
            drive += p.sheets * (0.7 - abs(s1)) + p.upper_outer * 0.7 * (eta + zeta)
            drive -= p.central * (eta * eta + zeta * zeta)
    return drive, sheet, depth, envelope


@inlined
def _fraction(
    x: float, eta: float, zeta: float, at: AtDepth, p: TissueParams, noise: Noise
) -> float:
    """Glandular fraction: gland by the threshold, and fibrous sheets beside it."""
    drive, sheet, depth, envelope = _field(x, eta, zeta, at, p, noise)
    u = (drive - p.threshold) / p.softness
    gland = 0.0
    if u > -8.0:
        gland = 1.0 / (1.0 + math.exp(-u))
    fibrous = (p.sheet_in_fat + (p.sheet_in_gland - p.sheet_in_fat) * envelope) * sheet
    if depth < 2.0:
        fibrous = fibrous * max(depth, 0.0) * 0.5
    return 1 - (1 - gland) * (1 - min(fibrous, 1.0))


@compiled_fast
def _drive_points(points: np.ndarray, p: TissueParams, noise: Noise) -> np.ndarray:
    """Loop of ``Tissue.drive``."""
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        x = points[i, 0]
        at = _at_depth(x, p)
        out[i] = _field(x, points[i, 1], points[i, 2], at, p, noise)[0]
    return out


@compiled_fast
def _fraction_points(points: np.ndarray, p: TissueParams, noise: Noise) -> np.ndarray:
    """Loop of ``Tissue.fraction``."""
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        x = points[i, 0]
        at = _at_depth(x, p)
        out[i] = _fraction(x, points[i, 1], points[i, 2], at, p, noise)
    return out


@inlined
def _near_pin(
    x: float, across: float, half: float, cos: float, sin: float, pins: np.ndarray
) -> bool:
    """Whether a ray passes a retraction centre within about three sigma."""
    for j in range(pins.shape[0]):
        dt = (across * half - pins[j, 1] * cos - pins[j, 2] * sin) / pins[j, 4]
        dx = (x - pins[j, 0]) / pins[j, 4]
        if dt * dt + dx * dx < 10.0:
            return True
    return False


@inlined
def _pulled(
    x: float, eta: float, zeta: float, half: float, pins: np.ndarray
) -> tuple[float, float, float]:
    """Where a sample's tissue comes from: retraction pulls tissue in, so look further out."""
    for j in range(pins.shape[0]):
        dx = x - pins[j, 0]
        dy = eta * half - pins[j, 1]
        dz = zeta * half - pins[j, 2]
        q = (dx * dx + dy * dy + dz * dz) / (2 * pins[j, 4] * pins[j, 4])
        if q < 5:
            w = pins[j, 3] * math.exp(-q)
            x = x + dx * w
            eta = eta + dy * w / half
            zeta = zeta + dz * w / half
    return x, eta, zeta


@compiled_fast
def _project(
    x: np.ndarray,
    across: np.ndarray,
    thickness: np.ndarray,
    cos: float,
    sin: float,
    depths: np.ndarray,
    p: TissueParams,
    noise: Noise,
    pins: np.ndarray,
) -> np.ndarray:
    """Loop of ``Tissue.project``: the mean fraction along each ray, times its thickness."""
    out = np.zeros(len(x), np.float32)
    for i in range(len(x)):
        fade = 1.0 if x[i] >= 0 else max(0.0, 1.0 + x[i] / 10.0)
        xi = abs(x[i])
        e = across[i]
        chord = math.sqrt(max(0.0, 1 - e * e))
        at = _at_depth(xi, p)
        pulled = _near_pin(xi, e, at[1], cos, sin, pins)
        total = 0.0
        for k in range(len(depths)):
            s = chord * depths[k]
            eta = e * cos - s * sin
            zeta = e * sin + s * cos
            if pulled:
                xk, yk, zk = _pulled(xi, eta, zeta, at[1], pins)
                total += _fraction(xk, yk, zk, _at_depth(xk, p), p, noise)
            else:
                total += _fraction(xi, eta, zeta, at, p, noise)
        out[i] = fade * total * thickness[i] / len(depths)
    return out


def envelope(
    params: TissueParams, x: Float64[np.ndarray, " point"], rho: Float64[np.ndarray, " point"]
) -> Float64[np.ndarray, " point"]:
    """The glandular zone without its noise, in [0, 1]: where lesions may be put.

    Args:
        params: Tissue parameters of the breast.
        x: AP position, mm.
        rho: Distance from the AP axis over the half-radius, in [0, 1].
    """
    inside = np.maximum(x, 0.5)
    big_x = np.minimum((inside / params.length) ** params.exponent, 0.998)
    half2 = params.radius**2 * (1 - big_x)
    slope = params.exponent * big_x / inside
    depth = (1 - big_x) * (1 - rho**2)
    depth = depth / np.sqrt(4 * rho**2 * half2 / params.radius**4 + slope**2 + 1e-9)
    e1 = np.clip((depth - params.skin_gap) / params.skin_ramp, 0, 1)
    e2 = np.clip((x - params.chest_gap) / params.chest_ramp, 0, 1)
    return np.asarray(e1 * (2 - e1) * e2 * (2 - e2))
