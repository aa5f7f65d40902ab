"""Render one view: from a breast and its contents to stored pixels and their truth."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, UInt16

from fourview.geometry import Box
from fourview.phantom.anatomy import Breast
from fourview.phantom.draw import Canvas, draw_cover, draw_lesion
from fourview.phantom.lesions import Contents
from fourview.phantom.marker import burn_marker
from fourview.phantom.pectoral import add_pectoral
from fourview.phantom.physics import expose, log_signal, sharpen, to_stored, window_of
from fourview.phantom.raster import enlarge, splat
from fourview.phantom.streams import stream
from fourview.phantom.truth import FindingTruth, Position, ViewTruth
from fourview.phantom.vendor import Detector, Display, Vendor
from fourview.phantom.view import (
    Acquisition,
    Maps,
    acquire,
    gland_map,
    maps_of,
    num_depth_samples,
    skin_line,
)

Plane = Float32[np.ndarray, "row col"]
NIPPLE_MM = 3.4  # glandular thickness of nipple and areola
MARGIN_MM = 3.0  # of the canvas around the breast
MARKER_GREY, BOX_GREY = 1.0, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What lies in the beam, on the part of the detector that the breast covers.

    Attributes:
        canvas: Glandular and calcification thickness.
        depth: Distance to the skin, mm; not above 0 outside.
        findings: Their truth, still in display pixels.
    """

    canvas: Canvas
    depth: Plane
    findings: tuple[FindingTruth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One view.

    Attributes:
        pixels: Stored values.
        mask: True inside the breast, in the stored frame.
        truth: Truth of the view, in the stored frame.
    """

    pixels: UInt16[np.ndarray, "row col"]
    mask: Bool[np.ndarray, "row col"]
    truth: ViewTruth


def render_view(
    breast: Breast,
    position: Position,
    *,
    contents: Contents,
    detector: Detector,
    vendor: Vendor,
    display: Display,
    acquisition_seed: int = 0,
    ap_jitter: float = 0.0,
) -> Rendered:
    """One view of a breast with what was put into it.

    Args:
        breast: The anatomy.
        position: CC or MLO.
        contents: Findings and covers.
        detector: Grid of the image.
        vendor: Vendor, for blur, dose, processing and marker.
        display: How the file will ask to be displayed; decides what is stored.
        acquisition_seed: Seed of the noise.
        ap_jitter: See ``Preset.ap_jitter``.
    """
    view = acquire(breast, position, detector.field_mm, ap_jitter=ap_jitter)
    layers = layers_of(view, contents, detector)
    names = ("image", breast.side, position, acquisition_seed)
    rng = stream(breast.patient.seed, *names)
    inner = _stored_values(view, layers, rng, vendor=vendor, display=display)
    pixels = np.zeros(detector.shape, np.uint16)
    mask = np.zeros(detector.shape, bool)
    canvas = layers.canvas
    rows, cols = inner.shape
    part = np.s_[canvas.row0 : canvas.row0 + rows, canvas.col0 : canvas.col0 + cols]
    pixels[part] = inner
    mask[part] = layers.depth > 0
    mirrored = breast.side == "R"
    if mirrored:
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    has_box = vendor.marker == "box"
    burn_marker(
        pixels,
        f"{breast.side} {position}",
        detector.px,
        mirrored=mirrored,
        value=vendor.stored_of(MARKER_GREY, display),
        box_value=vendor.stored_of(BOX_GREY, display) if has_box else None,
    )
    if vendor.photometric == "MONOCHROME1":
        pixels = np.uint16(vendor.top) - pixels
    truth = truth_of(view, detector, layers.findings)
    return Rendered(
        pixels=pixels, mask=mask, truth=_mirrored(truth, detector) if mirrored else truth
    )


def layers_of(view: Acquisition, contents: Contents, detector: Detector) -> Layers:
    """Project tissue, strands, covers and findings; display frame, before any physics."""
    px = detector.px
    tissue_px = px if px >= 0.5 else max(1.4 * px, 0.21)
    factor = tissue_px / px
    shape = (math.ceil(detector.shape[0] / factor), math.ceil(detector.shape[1] / factor))
    maps = maps_of(view, shape, tissue_px)
    gland = gland_map(view, maps, contents.pins(), num_depth_samples(view.thickness))
    gland = add_pectoral(gland + _nipple_disc(view, maps), view, maps, tissue_px)
    rows, cols = _extent(maps.mask, factor, detector)
    canvas = Canvas(
        gland=_fine(gland, factor, rows, cols),
        calc=np.zeros((rows[1] - rows[0], cols[1] - cols[0]), np.float32),
        row0=rows[0],
        col0=cols[0],
        px=px,
    )
    strands = view.breast.strands
    x, y = view.project(strands.points)
    splat(
        canvas.gland,
        px,
        x=x - canvas.corner[0],
        y=y - canvas.corner[1],
        volume=strands.volume,
        sigma=strands.sigma,
    )
    for cover in contents.covers:
        if cover.view == view.position:
            draw_cover(canvas, view, cover)
    findings = tuple(
        truth
        for lesion in contents.lesions
        for truth in [draw_lesion(canvas, view, lesion)]
        if lesion.only_in in (None, view.position)
    )
    depth = _fine(np.clip(maps.depth, -5, 60), factor, rows, cols)
    return Layers(canvas=canvas, depth=depth, findings=findings)


def truth_of(
    view: Acquisition, detector: Detector, findings: tuple[FindingTruth, ...]
) -> ViewTruth:
    """The truth of a view in display pixels."""
    size = np.array([detector.shape[1], detector.shape[0]])

    def points(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        xy = np.stack(view.to_image(x, t), axis=1) / detector.px
        return xy[((xy >= 0) & (xy < size)).all(axis=1)]

    across = np.linspace(-200, 260, 461)
    across = across[view.outline.inside(across)]
    up = np.linspace(220, 0, 111) if view.position == "MLO" else np.zeros(0)
    nipple, chest = (view.to_image(x, 0.0) for x in (view.length, 0.0))
    return ViewTruth(
        nipple=(float(nipple[0]) / detector.px, float(nipple[1]) / detector.px),
        chest_point=(float(chest[0]) / detector.px, float(chest[1]) / detector.px),
        ap_axis=(math.cos(view.inclination), math.sin(view.inclination)),
        inclination_rad=view.inclination,
        gantry_rad=view.gantry,
        length_mm=view.length,
        thickness_mm=view.thickness,
        pectoral=points(np.zeros_like(up), up),
        skin=points(skin_line(view, across), across),
        findings=findings,
    )


def _stored_values(
    view: Acquisition,
    layers: Layers,
    rng: np.random.Generator,
    *,
    vendor: Vendor,
    display: Display,
) -> UInt16[np.ndarray, "row col"]:
    """Physics, processing and tone of the canvas."""
    canvas, px = layers.canvas, layers.canvas.px
    cos, sin = math.cos(view.inclination), math.sin(view.inclination)
    start = float(view.from_image(*canvas.corner)[0])
    ap = (start, px * sin / view.ap_scale, px * cos / view.ap_scale)
    signal, noise_sd = log_signal(
        canvas.gland,
        canvas.calc,
        layers.depth,
        ap=ap,
        thickness=view.thickness,
        vendor=vendor,
        px=px,
    )
    signal = sharpen(expose(signal, noise_sd, rng, vendor=vendor, px=px), vendor=vendor, px=px)
    window = window_of(signal, layers.depth, ap, thickness=view.thickness, px=px)
    return to_stored(signal, layers.depth, window, vendor=vendor, display=display)


def _nipple_disc(view: Acquisition, maps: Maps) -> Plane:
    """Thickness of nipple and areola."""
    nipple = view.nipple
    along = (maps.x - view.length - 0.3 * nipple.protrusion) / (0.7 * nipple.protrusion + 1)
    disc = np.exp(-(along**2 + (maps.t / nipple.radius) ** 2))
    return np.asarray(NIPPLE_MM * disc * maps.mask, np.float32)


def _extent(
    mask: Bool[np.ndarray, "row col"], factor: float, detector: Detector
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the fine grid that hold the breast, with a margin."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = int(MARGIN_MM / detector.px)
    top = max(0, int(rows[0] * factor) - margin)
    bottom = min(detector.shape[0], int((rows[-1] + 1) * factor) + margin)
    return (top, bottom), (0, min(detector.shape[1], int((cols[-1] + 1) * factor) + margin))


def _fine(
    values: Plane, factor: float, rows: tuple[int, int], cols: tuple[int, int]
) -> Float32[np.ndarray, "fine_row fine_col"]:
    """A tissue map on the image's own grid."""
    if factor == 1:
        return np.array(values[rows[0] : rows[1], cols[0] : cols[1]], np.float32)
    return enlarge(values, factor, rows, cols)


def _mirrored(truth: ViewTruth, detector: Detector) -> ViewTruth:
    """The truth of the image with left and right exchanged: x becomes W - x."""
    width = float(detector.shape[1])
    flip = np.array([-1.0, 1.0])
    shift = np.array([width, 0.0])
    return replace(
        truth,
        nipple=(width - truth.nipple[0], truth.nipple[1]),
        chest_point=(width - truth.chest_point[0], truth.chest_point[1]),
        ap_axis=(-truth.ap_axis[0], truth.ap_axis[1]),
        pectoral=truth.pectoral * flip + shift,
        skin=truth.skin * flip + shift,
        findings=tuple(_mirrored_finding(f, width) for f in truth.findings),
    )


def _mirrored_finding(finding: FindingTruth, width: float) -> FindingTruth:
    """The same for one finding."""
    box, mask = finding.box, finding.mask
    return replace(
        finding,
        center=(width - finding.center[0], finding.center[1]),
        box=None if box is None else Box(width - box.x1, box.y0, width - box.x0, box.y1),
        mask=None if mask is None else np.ascontiguousarray(mask[:, ::-1]),
    )
