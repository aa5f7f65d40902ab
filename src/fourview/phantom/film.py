"""A view on screen film, scanned: the same breast and truth as a digital view, on a film's ground.

Order:  log exposure of the same tissue (``physics``) -> density by the film's characteristic curve
        -> grey of the scanner -> stray light -> margins, tape, wedge, labels, dust -> the film is
        laid on the bed, this or that way round and a little askew -> noise -> bits.
Truth:  the breast as far as it is on the film and not under an unexposed margin. What a label or
        tape covers of it stays breast; where they are is known too.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt16

from fourview.geometry import Box, Size
from fourview.phantom.anatomy import Breast
from fourview.phantom.film_draws import FilmDraws, Light, Tone
from fourview.phantom.film_things import (
    draw_dust,
    draw_label,
    draw_tape,
    draw_wedge,
    margins_of,
    ragged_line,
)
from fourview.phantom.lesions import Contents
from fourview.phantom.physics import MU_FAT, expose, log_signal
from fourview.phantom.render import layers_of, truth_of
from fourview.phantom.streams import stream
from fourview.phantom.truth import FilmTruth, FindingTruth, Position, ViewTruth
from fourview.phantom.vendor import VENDORS, Detector
from fourview.phantom.view import Acquisition, acquire, skin_line

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
MovedPlane = Float32[np.ndarray, "new_row new_col"]
MovedMask = Bool[np.ndarray, "new_row new_col"]
Affine = Float64[np.ndarray, "2 3"]
BASE_DENSITY = 0.2  # of film that no light reached
MOST_MM = 300.0  # no film is larger
BLUR_MM = 0.09  # of screen and film


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One scanned film.

    Attributes:
        pixels: Stored values.
        truth: Truth of the view, in the scan's pixels.
        film: Truth of the film.
    """

    pixels: UInt16[np.ndarray, "row col"]
    truth: ViewTruth
    film: FilmTruth


def render_film(
    breast: Breast,
    position: Position,
    draws: FilmDraws,
    *,
    contents: Contents,
    px: float,
    acquisition_seed: int = 0,
    ap_jitter: float = 0.0,
) -> Film:
    """One view of a breast on film.

    Args:
        breast: The anatomy.
        position: CC or MLO.
        draws: Draws that say what the film is like.
        contents: Findings and covers.
        px: Pixel size of the scan, mm.
        acquisition_seed: Seed of the noise.
        ap_jitter: See ``Preset.ap_jitter``.
    """
    detector = Detector(draws.size(px), px)
    view = acquire(breast, position, detector.field_mm, ap_jitter=ap_jitter)
    layers = layers_of(view, contents, detector)

    def rng(purpose: str) -> np.random.Generator:
        names = (draws.kind, breast.side, position, purpose)
        return stream(breast.patient.seed, "film", *names)

    noise = stream(breast.patient.seed, "film noise", breast.side, position, acquisition_seed)
    log_exposure, mask = _exposed(view, layers, draws.tone, detector, noise)
    film = _scanned(log_exposure, mask, draws.tone)
    film += _stray(draws.light, film.shape, px, rng("strip"))
    skin = _skin_points(view, px)
    flipped = draws.wall == "right"
    labels = [draw_label(film, one, skin, px=px, readable=not flipped) for one in draws.labels]
    labels.append(draw_wedge(film, draws, px))
    labels.append(draw_tape(film, draws, px, rng("tape")))
    draw_dust(film, draws, px, rng("dust"))
    margins = margins_of(draws, film.shape, px, rng("margins"))
    film[margins] = draws.edges.margin_level
    mask &= ~margins
    to_scan, size = _laying(draws, detector)
    scan = _laid(film, to_scan, size, draws, px)
    breast_mask = _moved_mask(mask, to_scan, size) & _on_the_film(
        film.shape, to_scan, size, draws, px
    )
    truth = _moved_truth(truth_of(view, detector, layers.findings), to_scan, size)
    moved = tuple(m for m in (_moved_mask(x, to_scan, size) for x in labels) if m.any())
    return Film(
        pixels=_stored(scan, draws.tone, noise),
        truth=truth,
        film=FilmTruth(
            mask=breast_mask, wall=draws.wall, header=draws.header, labels=moved, kind=draws.kind
        ),
    )


def _exposed(
    view: Acquisition,
    layers: Any,
    tone: Tone,
    detector: Detector,
    noise: np.random.Generator,
) -> tuple[Plane, Mask]:
    """Log exposure (natural, less is denser tissue) of the whole film, and where the breast is."""
    canvas, px = layers.canvas, detector.px
    cos, sin = math.cos(view.inclination), math.sin(view.inclination)
    start = float(view.from_image(*canvas.corner)[0])
    ap = (start, px * sin / view.ap_scale, px * cos / view.ap_scale)
    screen = replace(VENDORS["A"], peripheral=tone.latitude, blur=BLUR_MM)
    signal, noise_sd = log_signal(
        canvas.gland,
        canvas.calc,
        layers.depth,
        ap=ap,
        thickness=view.thickness,
        vendor=screen,
        px=px,
    )
    inside = layers.depth > 0
    air = np.float32(-(1 - tone.latitude) * MU_FAT * view.thickness)
    signal = expose(np.where(inside, signal, air), noise_sd, noise, vendor=screen, px=px)
    whole = np.full(detector.shape, -air, np.float32)
    mask = np.zeros(detector.shape, bool)
    rows, cols = inside.shape
    part = np.s_[canvas.row0 : canvas.row0 + rows, canvas.col0 : canvas.col0 + cols]
    whole[part], mask[part] = -signal, inside
    return whole, mask


def _scanned(log_exposure: Plane, mask: Mask, tone: Tone) -> Plane:
    """Grey levels of the scanner: the characteristic curve, then what the scanner can tell."""
    decades = log_exposure * np.float32(math.log10(math.e))
    span = tone.max_density - BASE_DENSITY
    at = (tone.mid_density - BASE_DENSITY) / span
    middle = float(np.median(decades[mask])) - math.log(at / (1 - at)) * span / (4 * tone.gradient)
    steep = 4 * tone.gradient / span
    density = BASE_DENSITY + span / (1 + np.exp(-steep * (decades - middle)))
    grey = np.clip(1 - (density - BASE_DENSITY) / (tone.scanner_density - BASE_DENSITY), 0, 1)
    return np.asarray(0.95 * grey**tone.power, dtype=np.float32)


def _stray(light: Light, shape: tuple[int, ...], px: float, rng: np.random.Generator) -> Plane:
    """Light that is no mammogram, chest wall left."""
    rows, cols = shape
    y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None]
    x = ((np.arange(cols, dtype=np.float32) + 0.5) / cols)[None, :]
    cos, sin = math.cos(light.slope_angle), math.sin(light.slope_angle)
    added = light.level + light.slope * ((x - 0.5) * cos + (y - 0.5) * sin + 0.7) / 1.4
    edge = np.minimum(np.minimum(x, 1 - x) * cols, np.minimum(y, 1 - y) * rows) * px
    added = added + light.rim * np.exp(-edge / light.rim_mm)
    far = ((x - light.glow_at[0]) / 0.4) ** 2 + ((y - light.glow_at[1]) / 0.3) ** 2
    added = added + light.glow * np.exp(-far)
    width, level, start, stop = light.strip
    if level:
        reach = ragged_line(rng, rows, width, 0.4, px)[:, None] * px
        side = x if light.strip_at_wall else 1 - x
        inside = 1 / (1 + np.exp(np.clip((side * cols * px - reach) / 0.5, -30, 30)))
        added = added + level * inside * ((y >= start) & (y < stop))
    stripes = rng.normal(0, 1, cols).astype(np.float32)[None, :] * light.ripple
    return np.asarray(added + stripes, np.float32)


def _skin_points(view: Acquisition, px: float) -> np.ndarray:
    """Skin line and its outward normal in pixels of the film: columns x, y, nx, ny."""
    t = np.linspace(-200, 260, 921)
    t = t[view.outline.inside(t)]
    points = np.stack(view.to_image(skin_line(view, t), t), axis=1) / px
    normal = np.gradient(points, axis=0)[:, ::-1] * (1, -1)
    normal /= np.maximum(np.hypot(*normal.T), 1e-9)[:, None]
    ahead = np.array([math.cos(view.inclination), math.sin(view.inclination)])
    normal *= np.where(normal @ ahead < 0, -1.0, 1.0)[:, None]
    on = (points >= 0).all(axis=1) & (points < MOST_MM / px).all(axis=1)
    return np.asarray(np.concatenate([points, normal], axis=1)[on])


def _laying(draws: FilmDraws, detector: Detector) -> tuple[Affine, Size]:
    """The way from film to scan (coordinates as in ``fourview.geometry``), and the scan's size."""
    rows, cols = detector.shape
    air, wall, top, bottom = (round(mm / detector.px) for mm in draws.edges.bed)
    left, right = (wall, air) if draws.wall == "left" else (air, wall)
    size = (rows + top + bottom, cols + left + right)
    turn = math.radians(draws.edges.turned)
    cos, sin = math.cos(turn), math.sin(turn)
    flip = -1.0 if draws.wall == "right" else 1.0
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([flip, 1.0])
    centre = np.array([left + cols / 2, top + rows / 2])
    return np.column_stack([linear, centre - linear @ (cols / 2, rows / 2)]), size


def _warped(plane: Any, to_scan: Affine, size: Size, beyond: float, flags: int) -> Any:
    """OpenCV counts from the centre of the first pixel, ``fourview.geometry`` from its corner."""
    matrix = to_scan.copy()
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return cv2.warpAffine(
        plane, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=beyond
    )


def _laid(film: Plane, to_scan: Affine, size: Size, draws: FilmDraws, px: float) -> MovedPlane:
    """The film on the scanner's bed."""
    scan = _warped(film, to_scan, size, draws.edges.bed_level, cv2.INTER_LINEAR)
    on = _on_the_film(film.shape, to_scan, size, draws, px)
    return np.where(on, scan, np.float32(draws.edges.bed_level)).astype(np.float32)


def _on_the_film(
    shape: tuple[int, ...], to_scan: Affine, size: Size, draws: FilmDraws, px: float
) -> MovedMask:
    """True where the scan shows film: a rectangle with round corners."""
    rows, cols = shape
    film: Any = np.full((rows, cols), 255, np.uint8)
    radius = round(draws.edges.round_corner / px)
    if radius:
        film[:] = 0
        film[radius : rows - radius] = 255
        film[:, radius : cols - radius] = 255
        for x in (radius, cols - 1 - radius):
            for y in (radius, rows - 1 - radius):
                cv2.circle(film, (x, y), radius, 255, -1)
    return np.asarray(_warped(film, to_scan, size, 0, cv2.INTER_LINEAR) >= 128)


def _moved_mask(mask: Mask, to_scan: Affine, size: Size) -> MovedMask:
    moved = _warped(mask * np.uint8(255), to_scan, size, 0, cv2.INTER_LINEAR)
    return np.asarray(moved >= 128)


def _stored(scan: Plane, tone: Tone, rng: np.random.Generator) -> UInt16[np.ndarray, "row col"]:
    """Noise, bits and polarity."""
    low, more = tone.noise
    sd = low + more * (1 - np.clip(scan, 0, 1))
    noisy = scan + sd * rng.standard_normal(scan.shape, dtype=np.float32)
    top = 2**tone.bits - 1
    values = np.rint(np.clip(noisy, 0, 1) * top).astype(np.uint16)
    return values if tone.bright_is_dense else np.asarray(np.uint16(top) - values)


def _moved_truth(truth: ViewTruth, to_scan: Affine, size: Size) -> ViewTruth:
    """The view's truth in the scan's pixels."""

    def moved(points: Any) -> np.ndarray:
        return np.asarray(np.asarray(points) @ to_scan[:, :2].T + to_scan[:, 2])

    def inside(points: np.ndarray) -> np.ndarray:
        there = moved(points)
        limit = np.array([size[1], size[0]])
        return np.asarray(there[((there >= 0) & (there < limit)).all(axis=1)])

    nipple, chest = moved(truth.nipple), moved(truth.chest_point)
    axis = to_scan[:, :2] @ np.array(truth.ap_axis)
    return replace(
        truth,
        nipple=(float(nipple[0]), float(nipple[1])),
        chest_point=(float(chest[0]), float(chest[1])),
        ap_axis=(float(axis[0]), float(axis[1])),
        pectoral=inside(truth.pectoral),
        skin=inside(truth.skin),
        findings=tuple(_moved_finding(f, moved, to_scan, size) for f in truth.findings),
    )


def _moved_finding(finding: FindingTruth, moved: Any, to_scan: Affine, size: Size) -> FindingTruth:
    """The same for one finding; its box is drawn anew around its moved mask."""
    center = moved(finding.center)
    box, mask = finding.box, finding.mask
    if box is not None and mask is not None:
        corner = to_scan.copy()
        corner[:, 2] += corner[:, :2] @ (box.x0, box.y0)
        there = _moved_mask(mask, corner, size)
        x0, y0, width, height = cv2.boundingRect(there.view(np.uint8))
        box, mask = None, None
        if width:
            box = Box(x0, y0, x0 + width, y0 + height)
            mask = np.ascontiguousarray(there[y0 : y0 + height, x0 : x0 + width])
    return replace(
        finding,
        center=(float(center[0]), float(center[1])),
        box=box,
        mask=mask,
        visible=finding.visible and box is not None,
    )
