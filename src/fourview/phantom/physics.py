"""From tissue thickness to stored values: attenuation, noise, processing, tone.

Attenuation at about 20 keV (Johns & Yaffe 1987 for fat and gland); the log signal A is relative to
fat of the compressed thickness.
"""

import math

import numpy as np
from jaxtyping import Float32, UInt16
from scipy import ndimage

from fourview.compiled import compiled_fast
from fourview.phantom.raster import enlarge
from fourview.phantom.vendor import ABOVE, BELOW, TOP_GREY, Display, Vendor, is_baked

MU_FAT, MU_GLAND, MU_SKIN = 0.0456, 0.0802, 0.080  # 1/mm
MU_CALC = 1.5  # 1/mm, effective over the spectrum, of calcium-rich deposits
MU_CONTRAST = MU_GLAND - MU_FAT
SKIN_MM = 1.35  # thickness of the skin
PHOTONS = 3.0e5  # per mm^2 at dose 1, behind fat, before the automatic exposure's factor
MIN_WINDOW = 0.40  # least window, as a share of the contrast of a whole breast of gland
LOWEST_GREY = 0.004  # inside the breast nothing is as dark as air

Plane = Float32[np.ndarray, "row col"]


def log_signal(
    gland: Plane,
    calc: Plane,
    depth: Plane,
    *,
    ap: tuple[float, float, float],
    thickness: float,
    vendor: Vendor,
    px: float,
) -> tuple[Plane, Plane]:
    """Attenuation beyond that of fat, and the sd of its quantum noise.

    Args:
        gland: Glandular thickness, mm.
        calc: Calcification thickness, mm.
        depth: Distance to the skin, mm; nothing is formed where it is not above 0.
        ap: AP position (mm) of pixel (0, 0), and its steps per row and per column.
        thickness: Compressed thickness, mm.
        vendor: Vendor, for equalisation and dose.
        px: Pixel size, mm.
    """
    exposure = math.exp(MU_FAT * thickness + 0.35)  # keeps what arrives behind the breast
    photons = PHOTONS * vendor.dose * px * px * exposure
    return _form(gland, calc, depth, ap, thickness, vendor.peripheral, photons)


@compiled_fast
def _form(
    gland: np.ndarray,
    calc: np.ndarray,
    depth: np.ndarray,
    ap: tuple[float, float, float],
    thickness: float,
    peripheral: float,
    photons: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Loop of ``log_signal``."""
    rows, cols = gland.shape
    signal = np.zeros((rows, cols), np.float32)
    noise = np.zeros((rows, cols), np.float32)
    outer = thickness * 0.45  # radius of the rounded edge, as in ``view.maps_of``
    inner = outer - SKIN_MM
    for r in range(rows):
        for c in range(cols):
            d = depth[r, c]
            if d <= 0:
                continue
            chord = outer
            here = thickness
            if d < outer:
                chord = math.sqrt(max(d * (2 * outer - d), 0.0))
                here = chord * thickness / outer
            e = d - SKIN_MM
            core = inner
            if e <= 0:
                core = 0.0
            elif e < inner:
                core = math.sqrt(max(e * (2 * inner - e), 0.0))
            skin = 2 * 0.85 * (chord - core)  # tangential path through the skin
            x = ap[0] + ap[1] * r + ap[2] * c
            if x < 40:  # further from the chest plane the factor is within 3 % of 1
                skin = skin * (1 + 2.2 * math.exp(-max(x, 0.0) / 9.0))
            beyond = MU_CONTRAST * gland[r, c] + (MU_SKIN - MU_FAT) * skin
            beyond += (MU_CALC - MU_FAT) * calc[r, c]
            noise[r, c] = math.sqrt(math.exp(min(beyond + MU_FAT * here, 7.0)) / photons)
            signal[r, c] = beyond - (1 - peripheral) * MU_FAT * (thickness - here)
    return signal, noise


def expose(
    signal: Plane, noise_sd: Plane, rng: np.random.Generator, *, vendor: Vendor, px: float
) -> Plane:
    """Blur by the detector and add quantum noise."""
    blur = vendor.blur / px
    if blur > 0.25:
        signal = ndimage.gaussian_filter(signal, blur, truncate=3)
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    if blur > 0.35:  # small pixels share photons; the factor keeps the variance
        noise = ndimage.gaussian_filter(noise, 0.45, truncate=2) * np.float32(1.55)
    noise *= noise_sd
    noise += signal
    return noise


def sharpen(signal: Plane, *, vendor: Vendor, px: float) -> Plane:
    """Unsharp masking at 2.5 mm and, where pixels are small enough, at 0.45 mm."""
    weight = np.float32(vendor.unsharp)
    coarse = _blurred(signal, 2.5 / px, max(1, round(0.8 / px)))
    if px > 0.3 + 1e-9:
        return signal * (1 + weight) - weight * coarse
    fine = _blurred(signal, 0.45 / px, 1 if px > 0.12 else 2)
    return signal * np.float32(1 + 1.8 * vendor.unsharp) - weight * (
        coarse + np.float32(0.8) * fine
    )


def _blurred(signal: Plane, sigma: float, stride: int) -> Plane:
    """A wide Gaussian blur, made on every ``stride``-th pixel."""
    blurred: Plane = ndimage.gaussian_filter(
        signal[::stride, ::stride], sigma / stride, truncate=2.5
    )
    if stride == 1:
        return blurred
    rows, cols = signal.shape
    return enlarge(blurred, stride, (0, rows), (0, cols))


def window_of(
    signal: Plane, depth: Plane, ap: tuple[float, float, float], *, thickness: float, px: float
) -> tuple[float, float]:
    """The automatic window: 3rd and 97th percentile of the inner breast, on about every 1.2 mm."""
    stride = max(1, int(1.2 / px))
    rows, cols = np.ogrid[: signal.shape[0] : stride, : signal.shape[1] : stride]
    inner = (depth[::stride, ::stride] > 4) & (ap[0] + ap[1] * rows + ap[2] * cols > 8)
    values = signal[::stride, ::stride][inner]
    low, high = (float(v) for v in np.percentile(values, [3, 97])) if len(values) > 20 else (0.0, 1)
    return low, max(high, low + MIN_WINDOW * MU_CONTRAST * thickness)


def to_stored(
    signal: Plane, depth: Plane, window: tuple[float, float], *, vendor: Vendor, display: Display
) -> UInt16[np.ndarray, "row col"]:
    """Stored values, air 0, bright dense: before a MONOCHROME1 inversion."""
    return _tone(
        signal, depth, window, vendor.centre, vendor.width, float(vendor.top), is_baked(display)
    )


@compiled_fast
def _tone(
    signal: np.ndarray,
    depth: np.ndarray,
    window: tuple[float, float],
    centre: float,
    width: float,
    top: float,
    baked: bool,
) -> np.ndarray:
    """Loop of ``to_stored``."""
    rows, cols = signal.shape
    out = np.zeros((rows, cols), np.uint16)
    span = window[1] - window[0]
    for r in range(rows):
        for c in range(cols):
            if depth[r, c] <= 0:
                continue
            u = ((signal[r, c] - window[0]) / span - centre) / width
            v = (u + BELOW) / (BELOW + ABOVE)
            if baked:
                v = TOP_GREY / (1 + math.exp(-u))
            out[r, c] = int(min(max(v, LOWEST_GREY), 1.0) * top + 0.5)
    return out
