"""Where findings go: places in the gland that both views see, chosen by how cluttered they are.

The rule is the same for cancers, benign findings, summation shadows and covers without a finding,
so that neither place nor background tells the class.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import ndimage

from fourview.phantom.anatomy import Breast
from fourview.phantom.lesions import Point3
from fourview.phantom.tissue import envelope
from fourview.phantom.truth import POSITIONS, Mode, Position
from fourview.phantom.view import Acquisition, acquire, gland_map, maps_of

SHAPE, PX = (230, 115), 1.0  # the survey's grid, mm; the same at every image size
SURVEY_SAMPLES = 12  # depth samples per ray, as few as any image takes (``num_depth_samples``)
CLUTTER_SIDE = 13  # mm
NUM_CANDIDATES = 60  # places that are looked at for one finding
APART_MM = 12.0  # least AP distance of two findings
SKIN_MM = 6.0  # least distance of a finding's rim from the skin
CHEST_MM = 14.0  # least AP depth, or the pectoral muscle would hide it in MLO


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A breast's two views as 1 mm maps, without findings: to judge places by.

    Attributes:
        views: The acquisitions, CC and MLO.
        clutter: Local sd (13 mm) of the glandular thickness plus 0.15 of its local mean.
        depth: Distance to the skin, mm.
    """

    breast: Breast
    views: dict[Position, Acquisition]
    clutter: dict[Position, np.ndarray]
    depth: dict[Position, np.ndarray]


def survey(breast: Breast) -> Survey:
    """Look at both views of a breast once."""
    views: dict[Position, Acquisition] = {}
    clutter: dict[Position, np.ndarray] = {}
    depth: dict[Position, np.ndarray] = {}
    for position in POSITIONS:
        view = acquire(breast, position, (SHAPE[0] * PX, SHAPE[1] * PX))
        maps = maps_of(view, SHAPE, PX)
        gland = gland_map(view, maps, np.zeros((0, 5)), SURVEY_SAMPLES)
        mean = ndimage.uniform_filter(gland, CLUTTER_SIDE)
        square = ndimage.uniform_filter(gland * gland, CLUTTER_SIDE)
        views[position] = view
        clutter[position] = np.sqrt(np.maximum(square - mean * mean, 0)) + 0.15 * mean
        depth[position] = maps.depth
    return Survey(breast=breast, views=views, clutter=clutter, depth=depth)


def find_place(
    rng: np.random.Generator,
    surveyed: Survey,
    *,
    radius: float,
    mode: Mode = "both",
    avoid: tuple[float, ...] = (),
) -> Point3 | None:
    """A place for a finding; None where the breast has none.

    Args:
        rng: Used for nothing else.
        surveyed: The breast.
        radius: Radius of what goes there, mm.
        mode: ``both`` wants little clutter in both views; the others little in the view named and
            much in the other.
        avoid: AP depths (mm) to stay 12 mm away from.

    Returns:
        Position in the neutral breast, mm: one of the best quarter of 60 candidates, at random.
    """
    points = _candidates(rng, surveyed.breast)
    cc, mlo = (_scores(surveyed, position, points, SKIN_MM + radius) for position in POSITIONS)
    usable = np.isfinite(cc) & np.isfinite(mlo)
    for taken in avoid:
        usable &= abs(points[:, 0] - taken) >= APART_MM
    if not usable.any():
        return None
    points, cc, mlo = points[usable], cc[usable], mlo[usable]
    cost = np.maximum(cc, mlo)
    if mode != "both":
        cost = cc - 0.7 * mlo if mode == "cc_only" else mlo - 0.7 * cc
    best = np.argsort(cost, kind="stable")[: math.ceil(len(cost) / 4)]
    point = points[rng.choice(best)]
    return float(point[0]), float(point[1]), float(point[2])


def _candidates(rng: np.random.Generator, breast: Breast) -> Float64[np.ndarray, "point 3"]:
    """Random places inside the gland, most of them in the upper outer quadrant."""
    num = 6 * NUM_CANDIDATES
    x = breast.length * rng.uniform(0.22, 0.86, num)
    angle = rng.normal(math.pi / 4, 1.3, num)
    rho = np.sqrt(rng.uniform(0, 0.45, num))
    inside = envelope(breast.tissue.params, x, rho) > 0.3
    radius = rho * breast.half_radius(x)
    points = np.stack([x, radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points[inside][:NUM_CANDIDATES]


def _scores(
    surveyed: Survey, position: Position, points: Float64[np.ndarray, "point 3"], need: float
) -> Float64[np.ndarray, " point"]:
    """Clutter of one view at each point; infinite where the view does not see it well."""
    view = surveyed.views[position]
    x_mm, y_mm = view.project(points)
    row = np.round(y_mm / PX - 0.5).astype(int)
    col = np.round(x_mm / PX - 0.5).astype(int)
    seen = (row > 6) & (row < SHAPE[0] - 6) & (col > 7) & (col < SHAPE[1] - 6)
    row, col = np.clip(row, 0, SHAPE[0] - 1), np.clip(col, 0, SHAPE[1] - 1)
    seen &= surveyed.depth[position][row, col] > need
    if position == "MLO":
        seen &= points[:, 0] > CHEST_MM
    return np.where(seen, surveyed.clutter[position][row, col].astype(np.float64), np.inf)
