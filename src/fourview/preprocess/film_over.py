"""What lies over or at the skin of a traced breast: labels, and how far in they hold the outline.

Three signs, each enough: the outline falls off much more steeply than skin does elsewhere; it jumps
out and back again; a disc much larger than a nipple does not fit into what sticks out. There the
outline is held to the curve on which the skin before and after goes on.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from fourview.preprocess.film_fan import RAYS, Fan, Mask, Radii, quantile

GAP = 0.008  # of the long side: what is so near the outline is neither
STEEP = (1.7, 0.10)  # times the usual step at the outline, and levels more: something lies over it
JUMP = 0.014  # of the long side, over two rays: no skin runs so
WIDEST = 32  # rays, of what can lie over the skin
NIPPLE = (0.03, 0.055)  # of the long side: most height and width of a nipple
MOST_STEEP = 0.4  # of the rays: if more are steep, that is how this breast is
DISC = 0.11  # of the long side: what sticks out and holds no disc of this diameter is no breast
LARGE_DISC = 0.22  # the same where the level falls off steeply, too
MOST_DISC = 0.6  # of the root of the breast's area: both are no larger
STEEPER = (1.0, 0.02)  # as STEEP, for what sticks out
PART = 0.3  # of its rays that must be so steep
LEAST_KNOB = 0.003  # of the breast's area: what sticks out less is let be
BESIDE = 12  # rays before and after that say where the skin goes on
AGAIN = 2  # times it is looked again, as one label can lie beside another


def held_off(fan: Fan, radii: Radii, valid: Mask) -> Radii:
    """The most that radii may be where something lies over the skin.

    Args:
        fan: The picture along rays.
        radii: The outline so far.
        valid: False where there is no film.
    """
    step = _step(fan, radii)
    usual = float(np.nanmedian(step)) if np.isfinite(step).any() else 0.0
    steep = _steeper(step, usual, STEEP)
    over = np.convolve(steep, np.ones(7), "same") > 0
    over |= _bulges(radii, steep, fan.long_side)
    held = np.full(RAYS, fan.level.shape[1])
    now = radii
    for _ in range(AGAIN):
        over = over | _knobs(fan, now, steep, valid, size=DISC, least=None)
        over |= _knobs(
            fan, now, steep, valid, size=LARGE_DISC, least=_steeper(step, usual, STEEPER)
        )
        free = np.flatnonzero(~over)
        if not over.any() or len(free) < RAYS // 3:
            break
        held = _between(fan, radii, over)
        now = np.minimum(radii, held)
    return held


def _step(fan: Fan, radii: Radii) -> Float[np.ndarray, " ray"]:
    """How much the level falls at the outline, a ray; NaN where that cannot be seen."""
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None]
    near = round(GAP * fan.long_side)
    inner = quantile(fan.level, (steps >= at - near - 1) & (steps < at), 0.5, least=1)
    outer = quantile(fan.level, (steps > at) & (steps <= at + near + 1) & fan.inside, 0.5, least=2)
    step = inner - outer
    return step if (~np.isnan(step)).sum() >= RAYS // 4 else np.full(RAYS, np.nan)


def _steeper(
    step: Float[np.ndarray, " ray"], usual: float, than: tuple[float, float]
) -> Bool[np.ndarray, " ray"]:
    """Rays on which the level falls much more at the outline than it does elsewhere."""
    steep = np.nan_to_num(step, nan=-1.0) > than[0] * usual + than[1]
    return steep if steep.mean() <= MOST_STEEP else np.zeros(RAYS, bool)


def _knobs(
    fan: Fan,
    radii: Radii,
    steep: Bool[np.ndarray, " ray"],
    valid: Mask,
    *,
    size: float,
    least: Bool[np.ndarray, " ray"] | None,
) -> Bool[np.ndarray, " ray"]:
    """Rays through what sticks out and holds no disc; a nipple is smaller.

    Args:
        fan: The picture along rays.
        radii: The outline so far.
        steep: Rays on which no nipple is.
        valid: False where there is no film: what ends there does not stick out.
        size: The disc's diameter, of the long side; at most as large as the breast allows.
        least: If given, rays of which a part must be among those that stick out.
    """
    mask = fan.mask(radii, (valid.shape[0], valid.shape[1])) & valid.view(np.uint8)
    radius = 0.5 * min(size * fan.long_side, MOST_DISC * float(mask.sum()) ** 0.5)
    pad = int(radius) + 2
    whole = np.pad(np.where(valid, mask, 1).astype(np.uint8), pad, constant_values=1)
    centres = cv2.distanceTransform(whole, cv2.DIST_L2, 5) > radius
    opened = cv2.distanceTransform((~centres).view(np.uint8), cv2.DIST_L2, 5) <= radius
    opened = opened[pad:-pad, pad:-pad]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.asarray((mask > 0) & ~opened).astype(np.uint8), connectivity=4
    )
    through = np.zeros(RAYS, bool)
    for knob in range(1, count):
        if stats[knob, cv2.CC_STAT_AREA] <= LEAST_KNOB * mask.sum():
            continue
        rays = fan.sampled((labels == knob).astype(np.uint8))
        height = int(rays.sum(axis=1).max())
        seen = rays.any(axis=1)
        width = float(np.sqrt(stats[knob, cv2.CC_STAT_WIDTH] * stats[knob, cv2.CC_STAT_HEIGHT]))
        nipple = height < NIPPLE[0] * fan.long_side and width < NIPPLE[1] * fan.long_side
        if nipple and not (steep & seen).any():
            continue
        if least is None or (least & seen).sum() >= PART * seen.sum():
            through |= seen
    return np.asarray(np.convolve(through, np.ones(3), "same") > 0)


def _between(fan: Fan, radii: Radii, over: Bool[np.ndarray, " ray"]) -> Radii:
    """How far the skin reaches on the rays where something lies over it, from the rays beside.

    A parabola over the chord between the neighbours, as skin curves evenly over a short way.
    """
    held = np.full(RAYS, fan.level.shape[1])
    free = np.flatnonzero(~over)
    points = np.stack([fan.cos * radii, fan.sin * radii], axis=1)
    starts = np.flatnonzero(over & ~np.roll(over, 1))
    for start in starts.tolist():
        before, after = free[free < start][-BESIDE:], free[free > start][:BESIDE]
        if not len(before) or not len(after):
            continue
        origin, chord = points[before[-1]], points[after[0]] - points[before[-1]]
        length = float(np.hypot(*chord))
        if length < 1:
            continue
        along, out = chord / length, np.array([chord[1], -chord[0]]) / length
        beside = points[np.concatenate([before, after])] - origin
        u, v = beside @ along / length, beside @ out
        near = (u > -1) & (u < 2)
        # v = c u (1 - u): through both ends
        shape = (u * (1 - u))[near]
        bow = float((shape @ v[near]) / (shape @ shape + 0.1))
        t = np.linspace(0, 1, 65)
        curve = origin + np.outer(t * length, along) + np.outer(bow * t * (1 - t), out)
        turn = np.unwrap(np.arctan2(curve[:, 1], curve[:, 0]))
        rays = np.arange(start, int(after[0]))
        angle = np.arctan2(fan.sin[rays], fan.cos[rays])
        order = np.argsort(turn)
        far = np.interp(angle, turn[order], np.hypot(*curve.T)[order])
        held[rays] = np.maximum(1, np.rint(far)).astype(np.intp)
    return held


def _bulges(
    radii: Radii, steep: Bool[np.ndarray, " ray"], long_side: int
) -> Bool[np.ndarray, " ray"]:
    """Rays over which the outline jumps out and back again; a nipple may."""
    jump = JUMP * long_side
    step = radii[2:] - radii[:-2]
    marked = np.zeros(len(radii), bool)
    for start in np.flatnonzero(step > jump).tolist():
        for stop in range(start + 1, min(start + WIDEST, len(step))):
            if step[stop] >= -jump:
                continue
            part = radii[start + 1 : stop + 2]
            base = max(int(radii[start]), int(radii[stop + 2]))
            high = int(part.max()) - base
            wide = len(part) / len(radii) * np.pi * float(part.mean())
            back = abs(int(radii[start]) - int(radii[stop + 2])) < 0.5 * high
            nipple = high < NIPPLE[0] * long_side and wide < NIPPLE[1] * long_side
            nipple &= not steep[start + 1 : stop + 2].any()
            if high > jump and back and not nipple:
                marked[start + 1 : stop + 2] = True
            break
    return marked
