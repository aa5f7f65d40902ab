"""The outline of a breast on a scanned film, from a rough piece of it.

Frame:  chest wall at the left. Rays go out from a point on it; the outline is one radius a ray.
How:    each pixel speaks for tissue or for air by its level, compared with the air just beyond the
        outline there (the film's haze is another one everywhere). The radii that agree best with
        all pixels, with a cost for every pixel that neighbouring radii differ, are found by dynamic
        programming: what sticks out narrowly, a label, costs more than it gains. Where the outline
        falls off much more steeply than skin does elsewhere, something lies over it: the outline
        is held to a line between its neighbours there.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

RAYS = 141
FAN = 0.955  # of half a circle: rays along the chest wall see its edge
COST = (
    3.0  # of a pixel by which neighbouring radii differ; a pixel of tissue or air gives 1 at most
)
SOFT = 0.035  # levels over the threshold at which a pixel speaks clearly
SKIN = 0.14  # of the way from air to the tissue at the rim: where the skin line is looked for
NOISE = 2.0  # standard deviations of air that the threshold lies above it, at least
UNEVEN = 0.15  # most that haze lifts the threshold over its median
LEAST = 0.6  # of the piece's radii: the outline lies no deeper in it
BEYOND = 0.09  # of the long side: how far out the air is looked at
WITHIN = (0.010, 0.035)  # of the long side: where inside the outline its rim is looked at
GAP = 0.008  # of the long side: what is so near the outline is neither
WALL = 0.03  # of the long side: margins and tape so near the chest wall stop no ray
LEFT = 0.008  # of the long side: a ray that saw so much air has left the breast
STEEP = (1.7, 0.10)  # times the usual step at the outline, and levels more: something lies over it
JUMP = 0.014  # of the long side, over two rays: no skin runs so
WIDEST = 32  # rays, of what can lie over the skin
NIPPLE = (0.03, 0.055)  # of the long side: most height and width of a nipple
LEAP = 0.05  # of the long side, over two rays: from the skin into haze
TAIL = 21  # rays, from the chest wall, that may run in haze
DIM = 0.87  # of the level within the skin: haze beyond it is darker
MOST_STEEP = 0.4  # of the rays: if more are steep, that is how this breast is

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Rays = Float32[np.ndarray, "ray step"]
Radii = Int[np.ndarray, " ray"]


@dataclass(frozen=True, slots=True)
class Fan:
    """The picture along rays.

    Attributes:
        level: Of each ray and step.
        inside: Where a ray is still on the film.
        at_wall: Where it runs near the chest wall.
        x_step: Column of each step of each ray, from the first pixel's centre.
        y_step: Row, the same.
        cos: Of each ray: columns a step.
        sin: Rows a step.
        x: Where the rays begin.
        y: The same, row.
        slope: Of the chest wall: columns a row.
        long_side: Of the picture.
    """

    level: Rays
    inside: Bool[np.ndarray, "ray step"]
    at_wall: Bool[np.ndarray, "ray step"]
    x_step: Rays
    y_step: Rays
    cos: Float[np.ndarray, " ray"]
    sin: Float[np.ndarray, " ray"]
    x: float
    y: float
    slope: float
    long_side: int

    @classmethod
    def of(cls, shown: Plane, valid: Mask, line: tuple[float, float], row: float) -> "Fan":
        """Rays from the chest wall's line at a row, from straight up to straight down along it."""
        rows, cols = shown.shape
        x, y = line[0] + line[1] * row + 0.5, row
        tilt = np.arctan(-line[1])
        turn = np.linspace(-0.5, 0.5, RAYS) * np.pi * FAN + tilt
        cos, sin = np.cos(turn), np.sin(turn)
        steps = np.arange(0.5, int(np.hypot(max(rows - row, row), cols)) + 1)
        at_x = (x + cos[:, None] * steps - 0.5).astype(np.float32)
        at_y = (y + sin[:, None] * steps - 0.5).astype(np.float32)
        level = cv2.remap(shown, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        film = cv2.remap(valid.view(np.uint8), at_x, at_y, cv2.INTER_NEAREST, borderValue=0)
        near = WALL * max(rows, cols)
        behind = (at_x < line[0] + line[1] * at_y + near) & (at_y > 0) & (at_y < rows)
        inside = np.logical_and.accumulate((film > 0) | behind | (steps < 4)[None, :], axis=1)
        at_wall = behind & (steps > near)[None, :]
        return cls(
            np.asarray(level),
            inside,
            at_wall,
            at_x,
            at_y,
            cos,
            sin,
            float(x),
            float(y),
            line[1],
            max(rows, cols),
        )

    def sampled(self, piece: UInt8[np.ndarray, "row col"]) -> Rays:
        """A mask along the rays: 0 or 1."""
        found = cv2.remap(piece, self.x_step, self.y_step, cv2.INTER_NEAREST, borderValue=0)
        return np.asarray(found).astype(np.float32)

    def mask(self, radii: Radii, shape: tuple[int, int]) -> UInt8[np.ndarray, "row col"]:
        """What lies within radii, up to the chest wall."""
        points = np.stack([self.x + self.cos * radii, self.y + self.sin * radii], axis=1)
        ends = points[[-1, 0]].copy()
        ends[:, 0] = self.x + self.slope * (ends[:, 1] - self.y) - 0.5
        drawn: Any = np.zeros(shape, np.uint8)
        fixed = np.rint((np.concatenate([points, ends]) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(drawn, [fixed], 1, shift=4)
        return np.asarray(drawn)


def trace(
    shown: Plane,
    valid: Mask,
    piece: UInt8[np.ndarray, "row col"],
    line: tuple[float, float],
) -> UInt8[np.ndarray, "row col"]:
    """The breast, 0 or 1.

    Args:
        shown: Levels in [0, 1], bright for dense tissue, chest wall at the left.
        valid: False where there is no film.
        piece: A part of the breast, or a little more than it.
        line: The chest wall: its column at row 0, and columns a row.
    """
    rows = np.flatnonzero(piece.any(axis=1))
    weight = piece[rows].sum(axis=1)
    row = float((rows * weight).sum() / weight.sum())
    fan = Fan.of(cv2.GaussianBlur(shown, (0, 0), 1.0), valid, line, row)
    limits = np.full(RAYS, fan.level.shape[1])
    least = np.zeros(RAYS, np.intp)
    radii = _best(fan, 2.0 * fan.sampled(piece) - 1, least, limits)
    least = (LEAST * radii).astype(np.intp)
    for _ in range(2):
        speaks = _speaks(fan, _threshold(fan, radii))
        radii = _best(fan, speaks, least, limits)
    limits = np.minimum(_without_tails(fan, radii, limits), _held(fan, radii))
    radii = _best(fan, speaks, least, limits)
    return fan.mask(radii, (shown.shape[0], shown.shape[1]))


def _speaks(fan: Fan, threshold: Float[np.ndarray, " ray"]) -> Rays:
    """1 for tissue, -1 for air, 0 for what may be either.

    Once a ray has come through some air nothing speaks for tissue any more. Along the chest wall
    there may be tape, margins and light: little is learned there.
    """
    speaks = np.tanh((fan.level - threshold[:, None]) / SOFT)
    speaks = np.where(fan.at_wall, 0, speaks)
    total = np.cumsum(speaks, axis=1)
    fallen = np.maximum.accumulate(total, axis=1) - total > LEFT * fan.long_side
    left = np.logical_or.accumulate(fallen, axis=1)
    return np.asarray(np.where(left, -np.abs(speaks), speaks), dtype=np.float32)


def _best(fan: Fan, speaks: Rays, least: Radii, limits: Radii) -> Radii:
    """The radii that agree best with the pixels and with each other."""
    gain = np.zeros((RAYS, fan.level.shape[1] + 1))
    np.cumsum(speaks, axis=1, out=gain[:, 1:])
    steps = np.arange(gain.shape[1])
    allowed = np.minimum(fan.inside.sum(axis=1), limits)
    possible = steps[None, :] <= allowed[:, None]
    possible &= steps[None, :] >= np.minimum(least, allowed)[:, None]
    loss = np.where(possible, -gain, np.inf)
    ramp = COST * steps
    total = loss[0]
    come = np.zeros(gain.shape, np.intp)
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
    radii = np.zeros(RAYS, np.intp)
    radii[-1] = int(total.argmin())
    for ray in range(RAYS - 1, 0, -1):
        radii[ray - 1] = come[ray, radii[ray]]
    return radii


def _threshold(fan: Fan, radii: Radii) -> Float[np.ndarray, " ray"]:
    """Between the air just beyond the outline and the tissue just inside, a ray."""
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None]
    gap, far = GAP * fan.long_side, BEYOND * fan.long_side
    seen = fan.inside & ~fan.at_wall
    outside = (steps > at + gap) & (steps <= at + gap + far) & seen
    rim = (steps < at - WITHIN[0] * fan.long_side) & (steps >= at - WITHIN[1] * fan.long_side)
    air = _quantile(fan.level, outside, 0.35, least=int(0.3 * far))
    tissue = _quantile(fan.level, rim & seen, 0.5, least=2)
    low = _quantile(fan.level, outside, 0.10, least=int(0.3 * far))
    air[~(air < tissue)] = np.nan  # a margin, a label: no air
    if np.isnan(air).all() or np.isnan(tissue).all():
        return np.full(RAYS, float(np.median(fan.level)))
    noise = float(np.nanmedian(air - low)) / 0.9  # of these quantiles in a normal distribution
    air, tissue = _smooth(air), _smooth(tissue)
    rise = np.maximum(tissue - air, 0)
    threshold = air + np.minimum(np.maximum(NOISE * noise, SKIN * rise), 0.5 * rise)
    return np.asarray(np.minimum(threshold, float(np.median(threshold)) + UNEVEN))


def _quantile(
    level: Rays, where: Bool[np.ndarray, "ray step"], part: float, *, least: int
) -> Float[np.ndarray, " ray"]:
    """A quantile of each ray's levels; NaN where there are too few."""
    values = np.where(where, level, np.inf)
    values.sort(axis=1)
    num = where.sum(axis=1)
    place = np.minimum((part * num).astype(np.intp), values.shape[1] - 1)
    return np.where(num >= max(least, 1), values[np.arange(len(num)), place], np.nan)


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


def _held(fan: Fan, radii: Radii) -> Radii:
    """The most that radii may be where something lies over the skin."""
    steps = np.arange(fan.level.shape[1])[None, :]
    at = radii[:, None]
    near = round(GAP * fan.long_side)
    inner = _quantile(fan.level, (steps >= at - near - 1) & (steps < at), 0.5, least=1)
    outer = _quantile(fan.level, (steps > at) & (steps <= at + near + 1) & fan.inside, 0.5, least=2)
    step = inner - outer
    known = ~np.isnan(step)
    held = np.full(RAYS, fan.level.shape[1])
    if known.sum() < RAYS // 4:
        return held
    usual = float(np.median(step[known]))
    steep = known & (np.nan_to_num(step) > STEEP[0] * usual + STEEP[1])
    if steep.mean() > MOST_STEEP:
        steep[:] = False
    wide = np.convolve(steep, np.ones(7), "same") > 0
    wide |= _bulges(radii, steep, fan.long_side)
    free = np.flatnonzero(~wide)
    if not wide.any() or len(free) < RAYS // 3:
        return held
    # Between the neighbours a straight line on the film, as skin is straight over a short way
    x, y = fan.cos * radii, fan.sin * radii
    for ray in np.flatnonzero(wide):
        before, after = free[free < ray], free[free > ray]
        if not len(before) or not len(after):
            continue
        a, b = before[-1], after[0]
        dx, dy = x[b] - x[a], y[b] - y[a]
        across = fan.cos[ray] * dy - fan.sin[ray] * dx
        if abs(across) > 1e-9:
            far = (x[a] * dy - y[a] * dx) / across
            sag = (dx * dx + dy * dy) / (8 * max(float(np.median(radii)), 1.0))  # of a circle
            held[ray] = max(1, round(far + sag))
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
