"""The outline of a breast on a scanned film, from a rough part of it.

Frame:  chest wall at the left. Rays go out from a point on it; the outline is one radius per ray.
How:    each pixel speaks for tissue or for air by its level, compared with the air just beyond the
        outline there (the film's haze is another one everywhere). The radii that agree best with
        all pixels, with a cost for every pixel that neighbouring radii differ, are found by dynamic
        programming: what sticks out narrowly, a label, costs more than it gains. Then it is asked
        which rays show skin and on which something lies over it (``film_over``). The rays that
        show skin give its course; on the others the outline is held to it, and everywhere the
        radii are found again, now with a cost for differing from that course.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fourview.preprocess.film_fan import RAYS, Fan, Mask, Plane, Radii, Rays, quantile
from fourview.preprocess.film_over import GAP, clearness, skin_of

COST = (
    3.0  # of a pixel by which neighbouring radii differ; a pixel of tissue or air gives 1 at most
)
SOFT = 0.035  # levels over the threshold at which a pixel speaks clearly
SKIN = 0.14  # of the way from air to the tissue at the rim: where the skin line is looked for
NOISE = 2.0  # standard deviations of air that the threshold lies above it, at least
UNEVEN = 0.15  # most that haze lifts the threshold over its median
LEAST = 0.6  # of the component's radii: the outline lies no deeper in it
BEYOND = 0.09  # of the long side: how far out the air is looked at
WITHIN = (0.010, 0.035)  # of the long side: where inside the outline its rim is looked at
LEFT = 0.008  # of the long side: a ray that saw so much air has left the breast
LEAST_RADIUS = 0.02  # of the long side: nearer the chest wall a mask need not be whole
LEAP = 0.05  # of the long side, over two rays: from the skin into haze
TAIL = 21  # rays, from the chest wall, that may run in haze
LAST = 2  # times more, until nothing more lies over it
AGAIN = 3  # times the skin is looked at, as one label can lie beside another
DIM = 0.87  # of the level within the skin: haze beyond it is darker


@dataclass(frozen=True, slots=True)
class Traced:
    """A breast and its outline.

    Attributes:
        mask: 0 or 1.
        clear: How clearly the outline is one, by ``clearness``.
    """

    mask: UInt8[np.ndarray, "row col"]
    clear: float


def trace(
    shown: Plane,
    valid: Mask,
    component: UInt8[np.ndarray, "row col"],
    line: tuple[float, float],
) -> Traced:
    """The breast.

    Args:
        shown: Levels in [0, 1], bright for dense tissue, chest wall at the left.
        valid: False where there is no film.
        component: A part of the breast, or a little more than it.
        line: The chest wall: its column at row 0, and columns per row.
    """
    rows = np.flatnonzero(component.any(axis=1))
    weight = component[rows].sum(axis=1)
    row = float((rows * weight).sum() / weight.sum())
    fan = Fan.of(cv2.GaussianBlur(shown, (0, 0), 1.0), valid, line, row)
    limits = np.full(RAYS, fan.level.shape[1])
    least = np.zeros(RAYS, np.intp)
    around = np.zeros(RAYS)
    radii = _best(fan, 2.0 * fan.sampled(component) - 1, least, limits, around)
    least = (LEAST * radii).astype(np.intp)
    over = np.zeros(RAYS, bool)
    for _ in range(2):
        speaks = _speaks(fan, _threshold(fan, radii), least)
        radii = _best(fan, speaks, least, limits, around)
    for _ in range(AGAIN):
        skin = skin_of(fan, radii, valid, over)
        around, over = skin.course, skin.over
        held = np.where(over, np.rint(around), fan.level.shape[1]).astype(np.intp)
        held = np.minimum(_without_tails(fan, radii, limits), held)
        radii = _best(fan, speaks, least, held, around)
        speaks = _speaks(fan, _threshold(fan, radii), least)
    radii = _best(fan, speaks, least, held, around)
    for _ in range(LAST):
        skin = skin_of(fan, radii, valid, over)
        if not (skin.over & ~over).any():
            break
        around, over = skin.course, skin.over
        held = np.minimum(held, np.where(over, np.rint(around), held)).astype(np.intp)
        radii = _best(fan, speaks, least, held, around)
    return Traced(fan.mask(radii, (shown.shape[0], shown.shape[1])), clearness(fan, radii))


def _speaks(fan: Fan, threshold: Float[np.ndarray, " ray"], least: Radii) -> Rays:
    """1 for tissue, -1 for air, 0 for what may be either.

    What lies deeper than the outline may is not asked: rays along the chest wall begin at the
    film's dark edge.

    Once a ray has come through some air nothing speaks for tissue any more. Along the chest wall
    there may be tape, margins and light: little is learned there.
    """
    speaks = np.tanh((fan.level - threshold[:, None]) / SOFT)
    deep = np.arange(speaks.shape[1])[None, :] < least[:, None]
    speaks = np.where(fan.at_wall | deep, 0, speaks)
    total = np.cumsum(speaks, axis=1)
    fallen = np.maximum.accumulate(total, axis=1) - total > LEFT * fan.long_side
    left = np.logical_or.accumulate(fallen, axis=1)
    return np.asarray(np.where(left, -np.abs(speaks), speaks), dtype=np.float32)


def _best(
    fan: Fan, speaks: Rays, least: Radii, limits: Radii, around: Float[np.ndarray, " ray"]
) -> Radii:
    """The radii that agree best with the pixels and, less ``around``, with each other."""
    gain = np.zeros((RAYS, fan.level.shape[1] + 1))
    np.cumsum(speaks, axis=1, out=gain[:, 1:])
    shift = np.rint(around).astype(np.intp)
    steps = np.arange(gain.shape[1] + int(shift.max() - shift.min()))
    radius = steps[None, :] + (shift - shift.max())[:, None]
    allowed = np.minimum(fan.inside.sum(axis=1), limits)
    possible = (radius >= 0) & (radius <= allowed[:, None])
    possible &= radius >= np.minimum(least, allowed)[:, None]
    safe = np.clip(radius, 0, gain.shape[1] - 1)
    loss = np.where(possible, -np.take_along_axis(gain, safe, 1), np.inf)
    ramp = COST * steps
    total = loss[0]
    come = np.zeros(loss.shape, np.intp)
    for ray in range(1, RAYS):
        # least over all r' of total[r'] + COST |r - r'|: from below, and from above
        up = total - ramp
        low = np.minimum.accumulate(up)
        from_below = np.maximum.accumulate(np.where(up <= low, steps, 0))
        down = (total + ramp)[::-1]
        high = np.minimum.accumulate(down)
        from_above = steps[::-1][np.maximum.accumulate(np.where(down <= high, steps, 0))][::-1]
        below, above = low + ramp, high[::-1] - ramp
        come[ray] = np.where(below <= above, from_below, from_above)
        total = np.minimum(below, above) + loss[ray]
    path = np.zeros(RAYS, np.intp)
    path[-1] = int(total.argmin())
    for ray in range(RAYS - 1, 0, -1):
        path[ray - 1] = come[ray, path[ray]]
    return np.asarray(path + shift - shift.max())


def _threshold(fan: Fan, radii: Radii) -> Float[np.ndarray, " ray"]:
    """Between the air just beyond the outline and the tissue just inside, a ray."""
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None]
    gap, far = GAP * fan.long_side, BEYOND * fan.long_side
    seen = fan.inside & ~fan.at_wall
    outside = (steps > at + gap) & (steps <= at + gap + far) & seen
    rim = (steps < at - WITHIN[0] * fan.long_side) & (steps >= at - WITHIN[1] * fan.long_side)
    air = quantile(fan.level, outside, 0.35, least=int(0.3 * far))
    tissue = quantile(fan.level, rim & seen, 0.5, least=2)
    low = quantile(fan.level, outside, 0.10, least=int(0.3 * far))
    air[~(air < tissue)] = np.nan  # a margin, a label: no air
    if np.isnan(air).all() or np.isnan(tissue).all():
        return np.full(RAYS, float(np.median(fan.level)))
    noise = float(np.nanmedian(air - low)) / 0.9  # of these quantiles in a normal distribution
    air, tissue = _smooth(air), _smooth(tissue)
    rise = np.maximum(tissue - air, 0)
    threshold = air + np.minimum(np.maximum(NOISE * noise, SKIN * rise), 0.5 * rise)
    return np.asarray(np.minimum(threshold, float(np.median(threshold)) + UNEVEN))


def _smooth(values: Float[np.ndarray, " ray"]) -> Float[np.ndarray, " ray"]:
    """The median of 15 rays; rays without a value take the nearest ones'."""
    known = np.flatnonzero(~np.isnan(values))
    filled = np.interp(np.arange(len(values)), known, values[known])
    wide = np.pad(filled, 7, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(wide, 15), axis=1))


def _without_tails(fan: Fan, radii: Radii, limits: Radii) -> Radii:
    """The most that radii may be where the outline leaps from the skin into haze at the chest wall.

    A film is often grey in a strip along the chest wall, above and below the breast. The axilla
    goes on there too, but the outline does not leap to it, and it is as bright as the breast.
    """
    held = limits.copy()
    leap = LEAP * fan.long_side
    for order in (np.arange(RAYS), np.arange(RAYS)[::-1]):
        along = radii[order]
        leaps = np.flatnonzero(along[:TAIL] - along[2 : TAIL + 2] > leap)
        if not len(leaps):
            continue
        last = int(leaps[-1])
        base = int(along[last + 2])
        tail = order[: last + 2]
        reach = fan.long_side // 30
        grey = fan.level[tail]
        inner = float(np.median(grey[:, max(base - reach, 0) : max(base - 3, 1)]))
        outer = float(np.median(grey[:, base + 3 : base + reach]))
        if outer < DIM * inner:
            held[tail] = base
    return held
