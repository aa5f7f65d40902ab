"""Draw findings into a view: thickness they add, and the truth of where they are."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from fourview.geometry import Box
from fourview.phantom.lesions import Cover, Lesion, Mass, Spicules
from fourview.phantom.physics import MU_CALC, MU_CONTRAST, MU_FAT
from fourview.phantom.raster import splat
from fourview.phantom.streams import stream
from fourview.phantom.truth import FindingTruth
from fourview.phantom.view import Acquisition

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
CALC_AS_GLAND = (MU_CALC - MU_FAT) / MU_CONTRAST  # mm of gland that 1 mm of calcification equals
RING_MM = 3.0  # width of the ring around a finding's mask in which the sd of the tissue is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The part of a view that holds the breast, at full resolution.

    Attributes:
        gland: Glandular thickness, mm; drawn into.
        calc: Calcification thickness, mm; drawn into.
        row0: Row of the whole image at which this part begins.
        col0: The same for columns.
        px: Pixel size, mm.
    """

    gland: Plane
    calc: Plane
    row0: int
    col0: int
    px: float

    @property
    def corner(self) -> tuple[float, float]:
        """Detector mm (X, Y) of the centre of the canvas's first pixel."""
        return (self.col0 + 0.5) * self.px, (self.row0 + 0.5) * self.px


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """The part of the canvas around one finding.

    Attributes:
        added: Glandular thickness that the finding adds, mm.
        calc: Calcification thickness that it adds, mm.
        core: The finding's mask.
        x: Column position of the finding's centre, mm from the centre of the part's first pixel.
        y: The same for rows.
    """

    view: Acquisition
    added: Plane
    calc: Plane
    core: Mask
    x: float
    y: float
    px: float

    def grid(self) -> tuple[Float32[np.ndarray, "1 col"], Float32[np.ndarray, "row 1"]]:
        """Distance (mm) of each pixel from the centre: columns and rows, to broadcast."""
        rows, cols = self.added.shape
        y = (np.arange(rows, dtype=np.float32) * self.px - np.float32(self.y))[:, None]
        return (np.arange(cols, dtype=np.float32) * self.px - np.float32(self.x))[None], y


def draw_cover(canvas: Canvas, view: Acquisition, cover: Cover) -> None:
    """Add a cover's strands to the glandular thickness; they are tissue, not a finding."""
    for i in range(len(cover.length)):
        num = max(8, int(cover.length[i] / max(0.25, 0.4 * canvas.px)))
        along = np.linspace(-0.5, 0.5, num)
        at = along * cover.length[i]
        points = cover.center[i] + at[:, None] * cover.direction[i]
        points = points + (cover.curvature[i] * at**2)[:, None] * cover.bend[i]
        x, y = view.project(points)
        area = np.pi * cover.radius[i] ** 2 * np.cos(np.pi * along) * cover.strength[i]
        splat(
            canvas.gland,
            canvas.px,
            x=x - canvas.corner[0],
            y=y - canvas.corner[1],
            volume=area * cover.length[i] / num,
            sigma=np.full(num, 0.55 * cover.radius[i]),
        )


def draw_lesion(canvas: Canvas, view: Acquisition, lesion: Lesion) -> FindingTruth:
    """Add a finding to the canvas and say where it is, in display pixels of the whole image."""
    x, t = (float(v[0]) for v in view.from_neutral(np.array([lesion.position])))
    center_x, center_y = (float(v) for v in view.to_image(x, t))
    px = canvas.px
    local_x, local_y = center_x - canvas.corner[0], center_y - canvas.corner[1]
    reach = 2.2 * lesion.diameter + 6
    if lesion.only_in not in (None, view.position):
        reach += 1.2 * view.thickness  # the parts of a summation shadow fall apart
    rows, cols = canvas.gland.shape
    r0, r1 = max(0, int((local_y - reach) / px)), min(rows, int((local_y + reach) / px) + 2)
    c0, c1 = max(0, int((local_x - reach) / px)), min(cols, int((local_x + reach) / px) + 2)
    shape = (max(r1 - r0, 0), max(c1 - c0, 0))
    around = _Around(
        view=view,
        added=np.zeros(shape, np.float32),
        calc=np.zeros(shape, np.float32),
        core=np.zeros(shape, bool),
        x=local_x - c0 * px,
        y=local_y - r0 * px,
        px=px,
    )
    contrast_mm, local_sd, box, mask = math.nan, math.nan, None, None
    if min(shape) > 0:
        _draw_parts(around, lesion)
        here = (slice(r0, r1), slice(c0, c1))
        contrast_mm, local_sd = _contrast(around, canvas.gland[here])
        canvas.gland[here] = np.maximum(canvas.gland[here] + around.added, 0)
        canvas.calc[here] += around.calc
        box, mask = _boxed(around.core, canvas.row0 + r0, canvas.col0 + c0)
    return FindingTruth(
        name=lesion.name,
        kind=lesion.kind,
        malignant=lesion.is_malignant,
        mode=lesion.mode,
        x_ap_mm=x,
        t_mm=t,
        center=(center_x / px, center_y / px),
        box=box,
        mask=mask,
        contrast_mm=contrast_mm,
        local_sd_mm=local_sd,
        visible=box is not None and lesion.gains.get(view.position, 1.0) == 1.0,
    )


def _draw_parts(around: _Around, lesion: Lesion) -> None:
    """Draw everything that a finding consists of into its part of the canvas."""
    view = around.view
    rng = stream(
        view.breast.patient.seed, "draw", view.breast.side, lesion.name, lesion.kind, view.position
    )
    gain = lesion.contrast * lesion.gains.get(view.position, 1.0)
    centers = [(around.x, around.y)]
    if lesion.parts is not None:
        here = view.project(np.array([lesion.position]))
        x, y = (a - b for a, b in zip(view.project(lesion.parts), here, strict=True))
        centers = [(around.x + float(a), around.y + float(b)) for a, b in zip(x, y, strict=True)]
    if lesion.mass is not None:
        # A mass displaces the gland around it, so dense tissue leaves it less contrast.
        step = gain * max(lesion.mass.density - lesion.local_gland, 0.45)
        phases = rng.uniform(0, 2 * np.pi, len(lesion.mass.harmonics))
        is_whole = lesion.only_in in (None, view.position)
        for center, weight in zip(centers, lesion.weights, strict=True):
            core = around.core if is_whole else np.zeros_like(around.core)
            _draw_mass(around, lesion.mass, center, phases, core=core, step=step * weight)
    if lesion.spicules is not None:
        for i, center in enumerate(centers):
            _draw_spicules(around, lesion.spicules, center, slice(i, None, len(centers)), gain)
    if lesion.particles is not None:
        _draw_particles(around, lesion, gain)
    if lesion.kind == "distortion":
        x, y = around.grid()
        around.core[...] = np.hypot(x, y) < lesion.diameter / 2


def _draw_mass(
    around: _Around,
    mass: Mass,
    center: tuple[float, float],
    phases: np.ndarray,
    *,
    core: Mask,
    step: float,
) -> None:
    """Add the body of a mass, and mark its outline in ``core``."""
    view, px = around.view, around.px
    ax, ay, az = mass.axes
    across = math.hypot(ay * math.cos(view.gantry), az * math.sin(view.gantry))
    deep = math.hypot(ay * math.sin(view.gantry), az * math.cos(view.gantry))
    reach = 1.9 * max(ax, across)
    rows, cols = around.added.shape
    r0, r1 = max(0, int((center[1] - reach) / px)), min(rows, int((center[1] + reach) / px) + 2)
    c0, c1 = max(0, int((center[0] - reach) / px)), min(cols, int((center[0] + reach) / px) + 2)
    if r1 <= r0 or c1 <= c0:
        return
    y = (np.arange(r0, r1, dtype=np.float32) * px - np.float32(center[1]))[:, None]
    x = (np.arange(c0, c1, dtype=np.float32) * px - np.float32(center[0]))[None]
    cos, sin = math.cos(view.inclination), math.sin(view.inclination)
    u, w = (x * cos + y * sin) / ax, (x * sin - y * cos) / across
    angle = np.arctan2(w, u)
    radius = np.ones_like(angle)
    for (order, amplitude), phase in zip(mass.harmonics, phases, strict=True):
        radius += np.float32(amplitude) * np.cos(order * angle + np.float32(phase))
    q = np.hypot(u, w) / np.maximum(radius, 0.35)
    profile = np.clip(1 - q * q, 0, 1) ** mass.exponent
    added = around.added[r0:r1, c0:c1]
    added += np.float32(step * 2 * deep) * profile
    core[r0:r1, c0:c1] |= q < 1
    if mass.has_halo:
        added -= np.float32(0.10 * deep) * np.exp(-(((q - 1.12) / 0.07) ** 2))


def _draw_spicules(
    around: _Around, spicules: Spicules, center: tuple[float, float], which: slice, gain: float
) -> None:
    """Add rays that taper to 15 % of their cross-section."""
    points, volume, sigma = [], [], []
    rays = zip(
        spicules.direction[which],
        spicules.length[which],
        spicules.radius[which],
        spicules.curvature[which],
        spicules.bend[which],
        strict=True,
    )
    for direction, length, radius, curvature, bend in rays:
        num = max(6, int(length * 1.3 / max(0.2, 0.4 * around.px)))
        along = np.linspace(0, 1, num)
        at = along * length
        points.append((spicules.start + at)[:, None] * direction)
        points[-1] += (curvature * at**2)[:, None] * bend
        area = np.pi * radius**2 * (1 - 0.85 * along) * 1.6
        volume.append(gain * area * length / num)
        sigma.append(0.6 * radius * (1 - 0.5 * along))
    if not points:
        return
    x, y = around.view.project_stiff(np.concatenate(points))
    splat(
        around.added,
        around.px,
        x=x + center[0],
        y=y + center[1],
        volume=np.concatenate(volume),
        sigma=np.concatenate(sigma),
    )


def _draw_particles(around: _Around, lesion: Lesion, gain: float) -> None:
    """Add calcifications; the mask is what stands out, widened by 1 mm."""
    particles = lesion.particles
    if particles is None:
        return
    points, volume, sigma = [], [], []
    length = np.linalg.norm(particles.end - particles.start, axis=1)
    for i, (start, end) in enumerate(zip(particles.start, particles.end, strict=True)):
        num = max(1, int(length[i] / 0.08))
        points.append(start + np.linspace(0, 1, num)[:, None] * (end - start))
        radius = particles.radius[i]
        whole = 4 / 3 * np.pi * radius**3 if num == 1 else np.pi * radius**2 * length[i]
        volume.append(np.full(num, gain * whole / num * particles.attenuation[i]))
        sigma.append(np.full(num, 0.55 * radius))
    x, y = around.view.project_stiff(np.concatenate(points))
    splat(
        around.calc,
        around.px,
        x=x + around.x,
        y=y + around.y,
        volume=np.concatenate(volume),
        sigma=np.concatenate(sigma),
    )
    peak = float(around.calc.max())
    if peak > 0:
        around.core[...] = _within(around.calc > 0.15 * peak, 1.0, around.px)


def _contrast(around: _Around, background: Plane) -> tuple[float, float]:
    """Mean added thickness over the mask, and the sd of the tissue in a ring around it, mm."""
    if not around.core.any():
        return math.nan, math.nan
    added = around.added[around.core].mean() + CALC_AS_GLAND * around.calc[around.core].mean()
    stride = max(1, int(0.3 / around.px))  # the ring is 3 mm wide: 0.3 mm will do
    core = around.core[::stride, ::stride]
    ring = _within(core, RING_MM, around.px * stride) & ~core
    spread = float(background[::stride, ::stride][ring].std()) if ring.any() else math.nan
    return float(added), spread


def _within(mask: Mask, distance_mm: float, px: float) -> Mask:
    """Pixels at most that far from the mask, but one pixel at least; the mask itself included."""
    if not mask.any():
        return mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= max(distance_mm / px, 1.0))


def _boxed(
    core: Mask, row0: int, col0: int
) -> tuple[Box | None, Bool[np.ndarray, "box_row box_col"] | None]:
    """The mask's box in the whole image, and the mask cut to it."""
    rows, cols = np.flatnonzero(core.any(axis=1)), np.flatnonzero(core.any(axis=0))
    if not len(rows):
        return None, None
    r0, r1, c0, c1 = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
    box = Box(float(col0 + c0), float(row0 + r0), float(col0 + c1), float(row0 + r1))
    return box, core[r0:r1, c0:c1].copy()
