"""One acquisition: how the neutral breast lies on the detector, there and back.

Display frame: mm on the detector, X from the chest-wall edge to the nipple, Y down, the centre of
pixel (row, col) at ((col + 0.5) px, (row + 0.5) px). Right breasts are mirrored at the very end.
Compression leaves the AP coordinate x as it is in both views; that is the phantom's point.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from fourview.geometry import Size
from fourview.phantom.anatomy import Breast
from fourview.phantom.outline import Outline, outline_of
from fourview.phantom.streams import clipped_normal, stream
from fourview.phantom.truth import Position

Floats = Float[np.ndarray, "..."]
KNEE = 0.8  # share of the half-width from which the mapping is squeezed towards the skin
ATANH_MAX = 0.9  # share of the way from the knee to the skin beyond which ``unsoften`` holds on


@dataclass(frozen=True, slots=True, kw_only=True)
class Nipple:
    """The bump on the silhouette: how far it stands out and how wide it is, mm."""

    protrusion: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """One view of one breast on a detector.

    Attributes:
        gantry: Rotation of the gantry, radians; 0 for CC.
        inclination: Angle of the AP axis to the rows, radians.
        thickness: Compressed, mm.
        origin: Detector position (X, Y) of the chest-plane point x = 0, t = 0, mm.
        has_pectoral: Whether muscle is on the image: always in MLO, sometimes a sliver in CC.
        ap_scale: Image AP distance over the breast's; 1 unless the preset asks for jitter.
        ap_shift: Image AP offset, mm; 0 unless the preset asks for jitter.
    """

    breast: Breast
    position: Position
    gantry: float
    inclination: float
    thickness: float
    origin: tuple[float, float]
    nipple: Nipple
    has_pectoral: bool
    ap_scale: float
    ap_shift: float
    outline: Outline

    @property
    def length(self) -> float:
        """Chest plane to nipple, mm."""
        return self.breast.length

    def to_image(self, x: Floats | float, t: Floats | float) -> tuple[Floats, Floats]:
        """Detector mm (X, Y) of points (x, t)."""
        cos, sin = math.cos(self.inclination), math.sin(self.inclination)
        along = np.asarray(x) * self.ap_scale + self.ap_shift
        across = np.asarray(t)
        return (
            np.asarray(self.origin[0] + along * cos + across * sin),
            np.asarray(self.origin[1] + along * sin - across * cos),
        )

    def from_image(self, column: Floats | float, row: Floats | float) -> tuple[Floats, Floats]:
        """Points (x, t) of detector mm (X, Y); the inverse of ``to_image``."""
        cos, sin = math.cos(self.inclination), math.sin(self.inclination)
        dx, dy = np.asarray(column) - self.origin[0], np.asarray(row) - self.origin[1]
        along = (dx * cos + dy * sin - self.ap_shift) / self.ap_scale
        return np.asarray(along), np.asarray(dx * sin - dy * cos)

    def from_neutral(self, points: Float64[np.ndarray, "point 3"]) -> tuple[Floats, Floats]:
        """View coordinates (x, t) of points (x, y, z) of the neutral breast, mm."""
        x = points[:, 0]
        turned = points[:, 1] * math.cos(self.gantry) + points[:, 2] * math.sin(self.gantry)
        e = turned / self.breast.half_radius(x)
        return x, np.asarray(self.outline.half_width(x, e > 0) * unsoften(e))

    def project(self, points: Float64[np.ndarray, "point 3"]) -> tuple[Floats, Floats]:
        """Detector mm (X, Y) of points (x, y, z) of the neutral breast."""
        return self.to_image(*self.from_neutral(points))

    def project_stiff(self, offsets: Float64[np.ndarray, "point 3"]) -> tuple[Floats, Floats]:
        """Detector mm relative to a centre, for offsets (mm) that compression does not squeeze."""
        cos, sin = math.cos(self.inclination), math.sin(self.inclination)
        x = offsets[:, 0]
        t = offsets[:, 1] * math.cos(self.gantry) + offsets[:, 2] * math.sin(self.gantry)
        return np.asarray(x * cos + t * sin), np.asarray(x * sin - t * cos)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """What the tissue grid of one view knows of each pixel.

    Attributes:
        x: AP position, mm.
        t: Position across the AP axis, mm.
        depth: Distance to the skin, mm; negative outside.
        mask: True inside the breast.
        thickness: Compressed thickness, mm; falls towards the skin, 0 outside.
    """

    x: Float32[np.ndarray, "row col"]
    t: Float32[np.ndarray, "row col"]
    depth: Float32[np.ndarray, "row col"]
    mask: Bool[np.ndarray, "row col"]
    thickness: Float32[np.ndarray, "row col"]


def acquire(
    breast: Breast, position: Position, field_mm: tuple[float, float], *, ap_jitter: float = 0.0
) -> Acquisition:
    """Position a breast on a detector.

    Args:
        breast: The breast that is imaged.
        position: CC or MLO.
        field_mm: Height and width of the detector; the breast moves up to keep the nipple on it.
        ap_jitter: See ``Preset.ap_jitter``.
    """
    patient = breast.patient
    rng = stream(patient.seed, "acquisition", breast.side, position)
    height, width = field_mm
    nipple = Nipple(protrusion=rng.uniform(0.5, 5), radius=rng.uniform(4, 6.5))
    if position == "CC":
        gantry, inclination = 0.0, math.radians(rng.normal(0, 3))
        thickness = patient.thickness + rng.normal(0, 2)
        origin = (-rng.uniform(0, 10), height / 2 + rng.normal(0, 6))  # posterior tissue cut off
        has_pectoral = bool(rng.random() < 0.3)
    else:
        gantry = math.radians(clipped_normal(rng, 45, 4, 35, 60))
        inclination = math.radians(clipped_normal(rng, 20, 6, 8, 34))
        thickness = patient.thickness + 3 + rng.normal(0, 3)
        origin = (rng.normal(0, 5), height * rng.uniform(0.46, 0.58))
        has_pectoral = True
    scale, shift = rng.normal(0, 0.03), rng.normal(0, 3)
    over = origin[0] + (breast.length + 8) * math.cos(inclination) - width
    return Acquisition(
        breast=breast,
        position=position,
        gantry=gantry,
        inclination=inclination,
        thickness=thickness,
        origin=(origin[0] - max(over, 0.0), origin[1]),
        nipple=nipple,
        has_pectoral=has_pectoral,
        ap_scale=1 + ap_jitter * scale,
        ap_shift=ap_jitter * shift,
        outline=outline_of(breast, position),
    )


def soften(u: Floats) -> Floats:
    """Squeeze |u| above the knee into (-1, 1): tissue near the edge is compressed sideways."""
    size = np.abs(u)
    far = KNEE + (1 - KNEE) * np.tanh((size - KNEE) / (1 - KNEE))
    return np.asarray(np.sign(u) * np.where(size < KNEE, size, far))


def unsoften(e: Floats) -> Floats:
    """The inverse of ``soften``; held at the far end, where it would leave the breast."""
    size = np.abs(e)
    share = np.clip((size - KNEE) / (1 - KNEE), 0, ATANH_MAX)
    return np.asarray(
        np.sign(e) * np.where(size < KNEE, size, KNEE + (1 - KNEE) * np.arctanh(share))
    )


def maps_of(view: Acquisition, shape: Size, px: float) -> Maps:
    """Coordinates, skin distance and thickness on a grid of ``shape`` pixels of ``px`` mm."""
    rows = ((np.arange(shape[0], dtype=np.float32) + 0.5) * px)[:, None]
    cols = ((np.arange(shape[1], dtype=np.float32) + 0.5) * px)[None, :]
    x, t = (a.astype(np.float32) for a in view.from_image(cols, rows))
    table = np.arange(-300, 300.05, 0.1)
    skin = skin_line(view, table)
    slope = np.clip(np.gradient(skin, table), -8, 8)
    at = np.interp(t, table, skin).astype(np.float32)
    steep = np.interp(t, table, slope).astype(np.float32)
    depth = (at - x) / np.sqrt(1 + steep**2)
    depth = np.where(view.outline.inside(t), depth, np.float32(-1))
    full = view.thickness
    edge = 0.45 * full  # radius of the rounded edge
    rounded = full / edge * np.sqrt(np.clip(depth * (2 * edge - depth), 0, None))
    mask = depth > 0
    thickness = np.where(depth < edge, rounded, full) * mask
    return Maps(x=x, t=t, depth=depth, mask=mask, thickness=thickness.astype(np.float32))


def skin_line(view: Acquisition, t: Float64[np.ndarray, " point"]) -> Float64[np.ndarray, " point"]:
    """AP position (mm) of the skin at each t, with the nipple."""
    nipple = view.nipple
    bump = nipple.protrusion * np.exp(-(np.abs(t / nipple.radius) ** 2.6))
    return np.asarray(view.outline.skin(t) + bump)


def gland_map(
    view: Acquisition, maps: Maps, pins: Float64[np.ndarray, "pin 5"], num_samples: int
) -> Float32[np.ndarray, "row col"]:
    """Glandular thickness (mm) of each pixel, without strands and findings.

    Args:
        view: The acquisition that ``maps`` were made of.
        maps: Maps of the tissue grid.
        pins: Retraction centres; see ``Tissue.project``.
        num_samples: Depth samples per ray, stratified with a jitter that is fixed for the view.
    """
    jitter = stream(view.breast.patient.seed, "depths", view.position).random(num_samples)
    depths = -1 + 2 * (np.arange(num_samples) + 0.15 + 0.7 * jitter) / num_samples
    x, t = maps.x[maps.mask].astype(np.float64), maps.t[maps.mask].astype(np.float64)
    gland = np.zeros(maps.x.shape, np.float32)
    gland[maps.mask] = view.breast.tissue.project(
        x,
        soften(t / view.outline.half_width(x, t > 0)),
        maps.thickness[maps.mask],
        gantry=view.gantry,
        depths=depths,
        pins=pins,
    )
    return gland


def num_depth_samples(thickness: float) -> int:
    """Samples per ray for a breast of that thickness: one in about 3.2 mm, 12 to 24."""
    return min(max(round(thickness / 3.2), 12), 24)
