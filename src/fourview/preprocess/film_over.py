"""What lies over or at the skin of a traced breast: labels, and the course of the skin under them.

Five signs, each enough: the outline falls off much more steeply than skin does elsewhere; just
beyond it is not dark yet, but further out; it is darker within than beyond; it jumps out and back
again; a disc much larger than a nipple does not fit into what sticks out. Rays that end where the
film ends, and rays on which the level hardly falls, show no skin. The course of the skin goes
through the others.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from fourview.preprocess.film_fan import FAN, RAYS, Fan, Mask, Radii, quantile

GAP = 0.008  # of the long side: what is so near the outline is neither
STEEP = (1.4, 0.05)  # times the usual step at the outline, and levels more: something lies over it
JUMP = 0.014  # of the long side, over two rays: no skin runs so
WIDEST = 32  # rays, of what can lie over the skin
NIPPLE = (0.03, 0.055)  # of the long side: most height and width of a nipple
MOST_STEEP = 0.4  # of the rays: if more are steep, that is how this breast is
DISC = 0.11  # of the long side: what sticks out and holds no disc of this diameter is no breast
LARGE_DISC = 0.22  # the same where the level falls off steeply, too
MOST_DISC = 0.6  # of the root of the breast's area: both are no larger
BED = 0.10  # levels under the air: no film is there
BRIGHTER = (0.5, 0.06)  # times the usual step, and levels, over the air: a label
BEYOND = 0.15  # of the long side: how far out it is looked for air beyond a label
SHOWS = 0.4  # of the usual step: a ray on which the level falls less shows no skin
RISE = (0.25, 0.02, 0.5)  # of the usual step, and levels: brighter beyond; of it: still air
CLEAR = 0.12  # levels: an outline at which the level falls so far is clear
FAINT = 0.02  # how much such a ray counts for the skin's course
STIFF = (3e4, 10.0)  # of the skin's course: change of bending, bending
STICKS_OUT, COUNTS, ROUNDS = 2.0, 0.1, 6  # pixels beyond the course; how much such a ray counts
STEEPER = (1.0, 0.02)  # as STEEP, for what sticks out
PART = 0.3  # of its rays that must be so steep
LEAST_KNOB = 0.003  # of the breast's area: what sticks out less is let be
AGAIN = 2  # times it is looked again, as one label can lie beside another


@dataclass(frozen=True, slots=True)
class Skin:
    """What is known of the skin.

    Attributes:
        course: A smooth outline through the rays that show skin, as far as the film goes.
        over: Rays on which something lies over the skin.
    """

    course: Float[np.ndarray, " ray"]
    over: Bool[np.ndarray, " ray"]


def skin_of(fan: Fan, radii: Radii, valid: Mask, over: Bool[np.ndarray, " ray"]) -> Skin:
    """Where something lies over the skin, and how the skin goes on there.

    Args:
        fan: The picture along rays.
        radii: The outline so far.
        valid: False where there is no film.
        over: Rays on which something is known to lie.
    """
    rim = _rim(fan, radii)
    steep = _steeper(rim, STEEP)
    marked = steep | _bright_beyond(fan, radii, rim) | _rises(rim)
    marked |= _bulges(radii, steep, fan.long_side) & ~rim.ended
    over = over | (np.convolve(marked, np.ones(7), "same") > 0)
    film = fan.inside.sum(axis=1)
    shows = np.where(np.nan_to_num(rim.step) > SHOWS * rim.usual, 1.0, FAINT) * ~rim.ended
    course = _course(radii, shows * ~over, film)
    for _ in range(AGAIN):
        now = np.where(over, np.minimum(radii, np.rint(course)), radii).astype(np.intp)
        more = _knobs(fan, now, steep, rim.ended, valid, size=DISC, least=None)
        least = _steeper(rim, STEEPER)
        more |= _knobs(fan, now, steep, rim.ended, valid, size=LARGE_DISC, least=least)
        if not (more & ~over).any() or (~(over | more)).sum() < RAYS // 3:
            break
        over = over | more
        course = _course(radii, shows * ~over, film)
    return Skin(course, over)


def _course(
    radii: Radii, shows: Float[np.ndarray, " ray"], film: Int[np.ndarray, " ray"]
) -> Float[np.ndarray, " ray"]:
    """A smooth outline through rays that show skin; on others it goes on as it bends beside them.

    Of 1 / r, least squares with a penalty on the change of (1 / r)'' + 1 / r, which is 0 for every
    straight line and for ellipses about the rays' beginning. What still sticks out of it counts
    less, again and again (asymmetric least squares), as labels stick out and nothing sticks in.

    Args:
        radii: The outline.
        shows: How much each ray counts.
        film: How far it may reach.
    """
    free = shows > 0
    if free.sum() < RAYS // 4:
        return np.asarray(np.minimum(radii, film), dtype=np.float64)
    angle = np.pi * FAN / (RAYS - 1)
    second = np.zeros((RAYS - 2, RAYS))
    rows = np.arange(RAYS - 2)
    second[rows, rows], second[rows, rows + 1], second[rows, rows + 2] = 1, angle**2 - 2, 1
    third = second[1:] - second[:-1]
    stiff = STIFF[0] * third.T @ third + STIFF[1] * second.T @ second
    middle = float(np.median(radii[free]))
    target = middle / np.maximum(radii, 1)
    usual = shows * (np.maximum(radii, 1) / middle) ** 4  # as far as radii are off
    weight = usual.copy()
    course = radii.astype(np.float64)
    for _ in range(ROUNDS):
        smooth = np.linalg.solve(np.diag(weight) + stiff, weight * target)
        course = middle / np.maximum(smooth, 0.05)
        weight = usual * np.where(radii > course + STICKS_OUT, COUNTS, 1.0)
    return np.asarray(np.clip(course, 1, np.maximum(film, 1)))


@dataclass(frozen=True, slots=True)
class _Rim:
    """The levels at the outline, a ray.

    Attributes:
        step: How much the level falls at the outline; NaN where that cannot be seen.
        usual: The median of it.
        outer: The level just beyond the outline; NaN where there is no film.
        air: What that level would be without labels: a plane through most rays' levels.
        ended: Whether the ray has come to the film's end, so that it says nothing about skin.
    """

    step: Float[np.ndarray, " ray"]
    usual: float
    outer: Float[np.ndarray, " ray"]
    air: Float[np.ndarray, " ray"]
    ended: Bool[np.ndarray, " ray"]


def _rim(fan: Fan, radii: Radii) -> _Rim:
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None]
    near = round(GAP * fan.long_side)
    inner = quantile(fan.level, (steps >= at - near - 1) & (steps < at), 0.5, least=1)
    beyond = (steps > at) & (steps <= at + near + 1) & fan.inside
    outer = quantile(fan.level, beyond, 0.5, least=2)
    step = inner - outer
    if (~np.isnan(step)).sum() < RAYS // 4:
        nothing = np.full(RAYS, np.nan)
        return _Rim(nothing, 0.0, nothing, nothing, np.isnan(step))
    air = _plane(fan.cos * radii, fan.sin * radii, outer)
    usual = float(np.nanmedian(step))
    ended = np.isnan(step) | (np.nan_to_num(air - outer) > max(usual, BED))
    if (~ended).sum() >= RAYS // 4:
        usual = float(np.median(step[~ended]))
    return _Rim(step, usual, outer, air, ended)


def _plane(
    x: Float[np.ndarray, " ray"], y: Float[np.ndarray, " ray"], level: Float[np.ndarray, " ray"]
) -> Float[np.ndarray, " ray"]:
    """The plane through most of the levels: least squares with weights that outliers lose."""
    known = np.isfinite(level)
    basis = np.stack([np.ones(len(x)), x, y], axis=1)
    fitted = np.full(len(x), np.median(level[known]))
    for _ in range(5):
        rest = (level - fitted)[known]
        scale = max(float(np.median(np.abs(rest))), 0.01)
        weight = 1 / (1 + (rest / (2 * scale)) ** 2) ** 2
        root = np.sqrt(weight)[:, None]
        ridge = np.diag([0.0, 1.0, 1.0]) * np.sqrt(len(x))
        plane, *_ = np.linalg.lstsq(
            np.vstack([basis[known] * root, ridge]),
            np.concatenate([level[known] * root[:, 0], np.zeros(3)]),
            rcond=None,
        )
        fitted = basis @ plane
    return np.asarray(fitted)


def _rises(rim: _Rim) -> Bool[np.ndarray, " ray"]:
    """Rays on which it is brighter beyond the outline than within: tape darker than the air.

    What is much brighter than air beyond it is a margin, not air.
    """
    rises = np.nan_to_num(rim.step, nan=1.0) < -max(RISE[0] * rim.usual, RISE[1])
    air = np.nan_to_num(rim.outer - rim.air, nan=1.0) < RISE[2] * rim.usual
    return np.asarray(rises & air & ~rim.ended)


def clearness(fan: Fan, radii: Radii) -> float:
    """How clearly an outline is one, from -0.5 to 1: the mean of how far the level falls at it.

    A ray counts 1 where the level falls by ``CLEAR`` or more, and 0 where it ends with the film.
    """
    rim = _rim(fan, radii)
    falls = np.clip(np.nan_to_num(rim.step) / CLEAR, -0.5, 1.0)
    return float(np.where(rim.ended, 0.0, falls).mean())


def _steeper(rim: _Rim, than: tuple[float, float]) -> Bool[np.ndarray, " ray"]:
    """Rays on which the level falls much more at the outline than it does elsewhere."""
    steep = ~rim.ended & (np.nan_to_num(rim.step, nan=-1.0) > than[0] * rim.usual + than[1])
    return steep if steep.mean() <= MOST_STEEP else np.zeros(RAYS, bool)


def _bright_beyond(fan: Fan, radii: Radii, rim: _Rim) -> Bool[np.ndarray, " ray"]:
    """Rays beyond whose end it is not dark yet, but further out: the outline runs in a label.

    Haze may be bright, too, but it does not end further out.
    """
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None] + round(GAP * fan.long_side)
    far = (steps > at) & (steps <= at + BEYOND * fan.long_side) & fan.inside
    dark = quantile(fan.level, far, 0.2, least=int(0.3 * BEYOND * fan.long_side))
    least = max(BRIGHTER[0] * rim.usual, BRIGHTER[1])
    bright = (rim.outer - rim.air > least) & (rim.outer - dark > least)
    bright &= ~rim.ended
    for run in _runs(bright):
        if len(run) * np.pi * FAN / RAYS * radii[run].mean() < NIPPLE[1] * fan.long_side:
            bright[run] = False  # a nipple
    return bright if bright.mean() <= MOST_STEEP else np.zeros(RAYS, bool)


def _runs(marked: Bool[np.ndarray, " ray"]) -> list[Int[np.ndarray, " part"]]:
    """The rays of each unbroken run."""
    rays = np.flatnonzero(marked)
    return [] if not len(rays) else np.split(rays, np.flatnonzero(np.diff(rays) > 1) + 1)


def _knobs(
    fan: Fan,
    radii: Radii,
    steep: Bool[np.ndarray, " ray"],
    ended: Bool[np.ndarray, " ray"],
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
        ended: Rays that end at the film's end: what ends there does not stick out.
        valid: False where there is no film: the same.
        size: The disc's diameter, of the long side; at most as large as the breast allows.
        least: If given, rays of which a part must be among those that stick out.
    """
    mask = fan.mask(radii, (valid.shape[0], valid.shape[1])) & valid.view(np.uint8)
    radius = 0.5 * min(size * fan.long_side, MOST_DISC * float(mask.sum()) ** 0.5)
    pad = int(radius) + 2
    goes_on = fan.mask(np.where(ended, fan.level.shape[1], radii), mask.shape)
    whole = np.where(valid & ~fan.behind_wall(mask.shape), goes_on, 1).astype(np.uint8)
    whole = np.pad(whole, pad, constant_values=1)
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
