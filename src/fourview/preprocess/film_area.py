"""Which part of a scan is exposed film: neither the bright bed around it nor an unexposed margin.

How: from each side a straight, perhaps tilted line is looked for that is an edge nearly all along
     and has one bright, even level outside, but where one piece of tape lies over the margin.
     Tissue at the chest wall is not even, and light that fell on the film adds to what is under it,
     so neither is taken for a margin.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

REACH = 0.20  # of a side: how far in a line may lie
TILTS = np.tan(np.radians(np.arange(-7.0, 7.5, 1.0)))
EDGE = 0.03  # a step across the line, in levels, that counts as an edge
SUPPORT = 0.5  # of the line's length that must be one
STEEP = 0.25  # a step that counts in full: where lines compete, the steepest is the film's edge
TILT_COST = 0.5  # of that, for a slope of 1
SAME_TILT = 0.03  # slopes of two sides of one film
WHOLE = 0.9  # of the side's length that a line runs along
EVEN = 0.08  # most spread (20th to 90th percentile) of the level outside
BRIGHT = 0.9  # of the brightest film: where no light fell, nothing on the film is brighter
CLEAR = 0.25  # of a steep edge all along: fainter lines are tissue
WIDEST = 0.045  # of the long side: a ragged margin at the chest wall, or one that runs out
MOST_ROWS = 0.6  # of the rows above and below the breast that must show it
BED_REACH, BED_SUPPORT, BED_EVEN = 0.15, 0.85, 0.08  # of the width; of the rows; levels
AIR = 0.6  # of the least level of a margin: darker is air
LEAST_AIR = 0.03  # of the rows, to tell a margin from light
PLACES = 12  # of the clearest columns of each tilt that are tried
UNEXPOSED = 0.97  # of the brightest film: tissue, and light that fell on the film, is darker
MOST_TAPE = 0.4  # of a margin's length that one dark piece may hide
STRIP = 2  # pixels outside the line, of which the brightest counts

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]


def film_area(shown: Plane) -> Mask:
    """True where the scan shows exposed film.

    Args:
        shown: Levels in [0, 1], bright for dense tissue, about 200 pixels high.
    """
    white = BRIGHT * float(np.percentile(shown, 98))
    sides = [np.ascontiguousarray(np.rot90(shown, turns)) for turns in range(4)]
    within = [np.ones(side.shape, bool) for side in sides]
    for _ in range(2):  # a margin inside a bright bed has a line of its own
        lines = [_line(sides[k], within[k], white, at_end=k % 2 == 1) for k in range(4)]
        for k, line in enumerate(lines):
            others = [o for o in lines[:k] + lines[k + 1 :] if o is not None]
            if line is None or not (line.sure or any(line.agrees(o) for o in others)):
                continue
            rows, cols = sides[k].shape
            column = line.start + line.tilt * np.arange(rows)
            within[k] &= np.arange(cols)[None, :] >= column[:, None]
    for k in (0, 2):  # a chest wall may be there
        within[k] &= ~_bed(sides[k])
    valid = np.ones(shown.shape, bool)
    for turns, inside in enumerate(within):
        valid &= np.rot90(inside, -turns)
    return valid


@dataclass(frozen=True, slots=True)
class _Line:
    """A margin's inner edge, the margin at the left: its column at row 0, and columns per row.

    A line that leaves the picture at the left may be a muscle's edge, unless a thin strip lies
    outside in which nothing is darker than where no light fell; else the film's other sides say.
    """

    start: float
    tilt: float
    whole: bool
    thin: bool

    @property
    def sure(self) -> bool:
        return self.whole or self.thin

    def agrees(self, other: "_Line") -> bool:
        return abs(self.tilt - other.tilt) < SAME_TILT and (self.tilt != 0 or other.whole)


def _line(side: Plane, inside: Mask, white: float, *, at_end: bool) -> "_Line | None":
    """The clearest margin at the left.

    Args:
        side: The picture, turned so that the side asked about is at the left.
        inside: False where another line has cut already.
        white: Least level of a margin.
        at_end: Whether it is the upper or lower side. A chest wall may be at the others, where a
            margin that is thin or interrupted is left to ``margin_at_wall``.
    """
    rows, cols = side.shape
    reach = int(REACH * cols)
    soft = cv2.GaussianBlur(side, (0, 0), 0.7)
    step = np.zeros((rows, reach), np.float32)
    step[:, 1:] = soft[:, : reach - 1] - soft[:, 2 : reach + 1]
    outer = cv2.dilate(side[:, :reach], np.ones((1, STRIP), np.uint8), anchor=(STRIP - 1, 0))
    first = inside[:, :reach].argmax(axis=1)
    best, light = CLEAR, 0.0
    clearest: _Line | None = None
    for tilt in TILTS:
        column = _tilted(float(tilt), rows, reach)
        there = (column >= 2 + first[:, None]) & (column < reach)
        safe = np.clip(column, 0, reach - 1)
        edge = np.take_along_axis(step, safe, 1) * there
        num = np.maximum(there.sum(axis=0), 0.4 * rows)
        support = (edge > EDGE).sum(axis=0) / num
        clear = np.minimum(edge, STEEP).sum(axis=0) / num / STEEP - TILT_COST * abs(tilt)
        clear[support < SUPPORT] = 0
        for place in np.argsort(-clear)[:PLACES]:
            if clear[place] <= best:
                break
            ok = there[:, place]
            level = outer[np.flatnonzero(ok), safe[ok, place] - 1]
            within = soft[np.flatnonzero(ok), safe[ok, place] + 2]
            if not at_end and _is_light(level, within, white):
                light = max(light, float(clear[place]))
                continue
            if _is_margin(level, white) or (at_end and _is_unexposed(level)):
                best = float(clear[place])
                whole = bool(ok.mean() > WHOLE)
                start = float(place) - tilt * rows / 2
                widest = max(start, start + tilt * rows)
                thin = at_end and bool(widest <= WIDEST * max(rows, cols))
                thin = thin and _is_unexposed(level)
                clearest = _Line(start, float(tilt), whole, thin)
    return clearest if best > light else None  # beside light a tilted line may look like one


def _tilted(tilt: float, rows: int, reach: int) -> Int[np.ndarray, "row place"]:
    """The column in each row of lines of one tilt, by their column in the middle row."""
    shift = np.rint(tilt * (np.arange(rows) - rows / 2)).astype(np.intp)
    return np.asarray(np.arange(reach)[None, :] + shift[:, None])


def _bed(side: Plane) -> Mask:
    """A bed of one grey at the left, in all rows, as the film lay on or was padded with.

    Its edge is a straight line at which the level changes, up or down, nearly all along.
    """
    rows, cols = side.shape
    reach = int(BED_REACH * cols)
    soft = cv2.GaussianBlur(side, (0, 0), 0.7)
    step = np.zeros((rows, reach), np.float32)
    step[:, 1:] = np.abs(soft[:, 2 : reach + 1] - soft[:, : reach - 1])
    best, bed = BED_SUPPORT, np.zeros(side.shape, bool)
    for tilt in TILTS:
        column = _tilted(float(tilt), rows, reach)
        there = (column >= 2) & (column < reach)
        safe = np.clip(column, 2, reach - 1)
        edge = np.take_along_axis(step, safe, 1) > EDGE
        support = (edge & there).sum(axis=0) / rows
        for place in np.flatnonzero(support > best):
            level = soft[np.arange(rows), safe[:, place] - 2]
            low, high = np.percentile(level, (5, 95))
            outside = np.arange(cols)[None, :] < safe[:, [place]] - 1
            spread = np.percentile(side[outside], (5, 95))
            if high - low < BED_EVEN and spread[1] - spread[0] < BED_EVEN:
                best, bed = float(support[place]), outside
    return bed


def _is_margin(level: Float32[np.ndarray, " place"], white: float) -> bool:
    """Whether a line along a margin would have these levels: bright and even."""
    if not len(level):
        return False
    low, high = np.percentile(level, (20, 90))
    return bool(high - low < EVEN and low > white)


def _is_light(
    level: Float32[np.ndarray, " place"], within: Float32[np.ndarray, " place"], white: float
) -> bool:
    """Whether a strip is light that fell on the film: white over tissue, grey over air.

    Args:
        level: Along the strip.
        within: The same rows, just within the film.
        white: Least level of a margin.
    """
    air = (within < AIR * white) & (level > within + EDGE)  # the bed beyond the film is as dark
    if air.sum() < LEAST_AIR * len(level):
        return False
    return bool((level[air] > white - EVEN).mean() < MOST_ROWS)


def _is_unexposed(level: Float32[np.ndarray, " place"]) -> bool:
    """The same, as white as anything on the film; one dark piece may lie over it."""
    return _is_margin(level, UNEXPOSED) or _is_margin(_without_tape(level), UNEXPOSED)


def _without_tape(level: Float32[np.ndarray, " place"]) -> Float32[np.ndarray, " shown"]:
    """The levels along a line but for one dark piece: tape, or the bed beyond a corner of the film.

    None where what is dark is no such piece, which is one run of an even level. Tissue and labels
    are not even, and a line that runs partly beside the margin is dark in several runs.
    """
    nothing = level[:0]
    dark = level < np.percentile(level, 90) - EVEN
    rows = np.flatnonzero(dark)
    if not len(rows):
        return nothing
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 2) + 1)
    run = max(runs, key=len)
    if len(run) < 0.9 * len(rows) or len(run) > MOST_TAPE * len(level):
        return nothing
    low, high = np.percentile(level[run], (20, 80))
    return level[~dark] if high - low < EVEN else nothing


def margin_at_wall(shown: Plane, valid: Mask, breast: UInt8[np.ndarray, "row col"]) -> Mask:
    """A thin or ragged bright margin at the left that no straight line describes.

    It shows in the rows without breast: white at the chest wall, then air. In the rows of the
    breast it is as wide, or as wide as what is white there.

    Args:
        shown: Levels in [0, 1], bright for dense tissue, chest wall at the left.
        valid: False where there is no film.
        breast: 0 or 1, with the margin.
    """
    margin = np.zeros(shown.shape, bool)
    reach = round(WIDEST * max(shown.shape))
    columns = np.flatnonzero(breast.any(axis=0))
    rows = np.flatnonzero(breast.any(axis=1))
    if not len(columns):
        return margin
    start = max(0, int(columns[0]) - 2)
    strip = shown[:, start : start + reach + 3]
    white = (strip >= BRIGHT * np.percentile(shown[valid], 98)) & valid[
        :, start : start + reach + 3
    ]
    first = white.argmax(axis=1)
    ended = ~white & (np.arange(white.shape[1])[None, :] > first[:, None])
    end = np.where(ended.any(axis=1), ended.argmax(axis=1), 0)
    has = white.any(axis=1) & (first <= 4) & (end > 0)
    free = np.ones(len(shown), bool)
    free[max(rows[0] - 3, 0) : rows[-1] + 4] = False
    free &= valid.any(axis=1)
    if free.sum() < 0.03 * len(shown) or (has & free).sum() < MOST_ROWS * free.sum():
        return margin
    usual = int(np.median(end[has & free]))
    width = np.where(has, np.minimum(end, usual + 1 + usual // 4), usual)
    margin[:, : start + strip.shape[1]] = (
        np.arange(start + strip.shape[1])[None, :] < start + width[:, None]
    )
    return margin
