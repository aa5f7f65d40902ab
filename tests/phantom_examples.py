"""Breasts and views that several phantom tests look at, small and made once."""

from functools import cache

import numpy as np

from fourview.phantom.anatomy import Breast, draw_breast, draw_patient
from fourview.phantom.lesions import Contents
from fourview.phantom.render import Layers, layers_of, render_view
from fourview.phantom.vendor import Detector, vendor_of
from fourview.phantom.view import Acquisition, acquire

SMALL = Detector((192, 96), 1.2)
MIDDLE = Detector((384, 192), 0.6)


@cache
def breast(seed: int = 3, side: str = "L", density: str = "b") -> Breast:
    return draw_breast(draw_patient(seed, density), side)


def view(of: Breast, position: str, detector: Detector = SMALL) -> Acquisition:
    return acquire(of, position, detector.field_mm)


def layers(of: Breast, position: str, contents: Contents, detector: Detector = SMALL) -> Layers:
    return layers_of(view(of, position, detector), contents, detector)


def whole(values: np.ndarray, of: Layers, detector: Detector) -> np.ndarray:
    """A canvas-sized map on the whole image."""
    out = np.zeros(detector.shape, values.dtype)
    r, c = of.canvas.row0, of.canvas.col0
    out[r : r + values.shape[0], c : c + values.shape[1]] = values
    return out


def shown(pixels: np.ndarray, voi, photometric: str) -> np.ndarray:
    """The grey that a viewer makes of stored values, in [0, 1], written from PS3.3 C.11.2."""
    x = pixels.astype(float)
    if voi.function == "TABLE":
        grey = voi.table[pixels] / (2**voi.table_bits - 1)
    elif voi.function == "LINEAR":
        grey = (x - (voi.center - 0.5)) / (voi.width - 1) + 0.5
    elif voi.function == "LINEAR_EXACT":
        grey = (x - voi.center) / voi.width + 0.5
    else:
        grey = 1 / (1 + np.exp(-4 * (x - voi.center) / voi.width))
    grey = np.clip(grey, 0, 1)
    return 1 - grey if photometric == "MONOCHROME1" else grey


def render(of, position, detector=SMALL, vendor="A", display="LINEAR", **more):
    """A view without findings."""
    return render_view(
        of,
        position,
        contents=Contents(),
        detector=detector,
        vendor=vendor_of(vendor),
        display=display,
        **more,
    )
