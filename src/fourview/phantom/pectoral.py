"""The pectoral muscle's shadow: a wedge behind the chest plane in MLO, a sliver in some CC."""

import numpy as np
from jaxtyping import Float32
from scipy import ndimage

from fourview.phantom.raster import enlarge
from fourview.phantom.streams import stream
from fourview.phantom.tiles import tile
from fourview.phantom.view import Acquisition, Maps

Plane = Float32[np.ndarray, "row col"]


def add_pectoral(gland: Plane, view: Acquisition, maps: Maps, px: float) -> Plane:
    """The glandular thickness with the muscle in it; unchanged where the view shows none."""
    if not view.has_pectoral:
        return gland
    breast = view.breast
    rng = stream(breast.patient.seed, "pectoral", breast.side, view.position)
    if view.position == "MLO":
        bow = rng.uniform(-4, 8)
        edge = bow * (1 - (np.clip(maps.t, -40, 160) / 100 - 0.5) ** 2)
        muscle = view.thickness * rng.uniform(0.24, 0.40)
        softness = rng.uniform(1.5, 4)
        fade = np.clip((maps.t + 25) / 40, 0, 1)
    else:
        edge = 4 + rng.uniform(0, 8) - (maps.t - rng.uniform(-20, 20)) ** 2 / 220
        muscle, softness, fade = view.thickness * 0.3, 2.0, np.ones_like(maps.t)
    share = 1 / (1 + np.exp(np.clip((maps.x - edge) / softness, -30, 30)))
    fibres = _fibres(maps, px, breast.pectoral_texture, rng)
    shadow = share * muscle * fibres * fade * maps.mask
    return np.asarray(gland * (1 - 0.6 * share) + 0.95 * shadow, np.float32)


def _fibres(maps: Maps, px: float, variant: int, rng: np.random.Generator) -> Plane:
    """Streaks along the muscle, around 1; made on a grid of about 0.4 mm."""
    stride = max(1, round(0.4 / px))
    x, t = maps.x[::stride, ::stride], maps.t[::stride, ::stride]
    plane = tile("band", variant)[:, :, 5]
    start = rng.uniform(0, 64, 6)

    def streaks(fx: float, ft: float, sx: float, st: float) -> Plane:
        where = [(x * fx + 0.15 * t * fx + sx) % 64, (t * ft + st) % 64]
        values: Plane = ndimage.map_coordinates(plane, where, order=1, mode="grid-wrap")
        return values

    fibres = 1 + 0.022 * streaks(1.6, 0.22, start[0], start[1])
    fibres += 0.018 * streaks(4.0, 0.4, start[2], start[3])
    fibres -= 0.05 * np.abs(streaks(0.8, 0.5, start[4], start[5]))
    if stride == 1:
        return fibres.astype(np.float32)
    rows, cols = maps.x.shape
    return enlarge(fibres, stride, (0, rows), (0, cols))
