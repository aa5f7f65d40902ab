"""Where the breast is: a mask that labels, frames, wedges and a grey background do not mislead.

Reads:   modality values as they are; no window is applied, so that every spec finds one mask.
How:     on a copy of about 450 pixels: frames along the edges are peeled off; Otsu's threshold on
         a root scale tells tissue from air and is then lowered towards the level of air, so that
         the fading skin line stays in; saturated blobs that stick out are markers; an opening cuts
         what hangs on by a thread; the largest component that reaches a side is the breast.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from fourview.entities import Image
from fourview.errors import NoBreastError, PixelError
from fourview.preprocess.air import air_is_flat, air_is_noisy, disc, holds_label, is_even
from fourview.preprocess.film import FilmBreast, certainty_of, find_on_film
from fourview.preprocess.film_seed import breast_like

SMALL_LONG_SIDE = 448  # pixels of the long side of the copy the mask is found on
FRAME_FRACTION = 0.08  # of a side: how far in a film's frame may reach
FRAME_FILLED = 0.6  # of a line's pixels that are saturated: it belongs to a frame
SATURATED = 0.97  # of the copy's brightest level
MARKER_AREA = 0.04  # of the breast: a saturated blob that is larger is tissue
OPENING = 0.045  # of the long side: diameter of what an opening removes
SKIN = 0.15  # of the way from air to Otsu's threshold: where the skin line is looked for
LEAST_AREA = 0.01  # of the image: a component smaller than this is no breast
STRAIGHT = 0.02  # of the mask's width: a chest wall deviates no more than this
NARROW = 0.35  # of the breast's width: rows that are narrower may be haze along the chest wall
HAZE_LENGTH = 1.0  # a run of narrow rows that is longer than this times its width may be haze
HAZE_LEVEL = 0.8  # of the breast's level on the root scale: haze is darker

LEAST_CLEAR = 0.3  # an outline in a mask that holds one kind of thing, to be believed
UNSURE = 0.52  # a side that is less certain is not told by the pixels
LIKE_A_BREAST = 0.15  # by ``breast_like``; a rectangle has less than 0.05

Mask = Bool[np.ndarray, "row col"]


@dataclass(frozen=True, slots=True)
class Breast:
    """Where the breast of an image is.

    Attributes:
        mask: True inside the breast, in the frame of the image's pixels.
        box: x0, y0, x1, y1 of the mask, half-open.
        chest_wall: Which side of the frame the chest wall is on; None where it cannot be told.
        certainty: How sure that side is, up to 1, from how much better the mask looks
            like a breast that ends there than like one that ends at the other side.
        on_film: Whether the background is that of a scanned film, so that the outline was traced.
    """

    mask: Mask
    box: tuple[int, int, int, int]
    chest_wall: str | None
    certainty: float = 1.0
    on_film: bool = False


def find_breast(image: Image) -> Breast:
    """Find the breast of one image.

    Raises:
        NoBreastError: The image is blank, or nothing in it is large enough to be a breast.
    """
    if image.pixels.size == 0:
        rows, cols = image.pixels.shape
        raise PixelError(f"{image.image_id}: {rows} x {cols} pixels, need some; exclude it")
    small = _small_copy(image)
    low, high = float(small.min()), float(small.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise PixelError(
            f"{image.image_id}: not all pixels are numbers ({low} to {high}); exclude it"
        )
    if not high > low:
        value = image.pixels.flat[0]
        raise NoBreastError(f"{image.image_id}: all pixels are {value}, need a breast; exclude it")
    small_mask, wall, certainty, on_film = _on_small_copy(small)
    if small_mask is None:
        raise NoBreastError(
            f"{image.image_id}: no bright part of {LEAST_AREA:.0%} of the image or more, "
            "need a breast; exclude it"
        )
    mask = _at_full_size(small_mask, image)
    x0, y0, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        raise NoBreastError(f"{image.image_id}: the whole breast is padding; exclude it")
    box = (x0, y0, x0 + width, y0 + height)
    wall = wall if certainty >= UNSURE else None
    return Breast(mask, box, wall, certainty, on_film)


def mask_without_film(image: Image) -> Mask:
    """The mask by the way for digital images alone; empty where there is none. For comparison."""
    small_mask = _small_mask(_root_scale(_small_copy(image)))
    rows, cols = image.pixels.shape
    return np.zeros((rows, cols), bool) if small_mask is None else _at_full_size(small_mask, image)


def _at_full_size(small_mask: UInt8[np.ndarray, "small_row small_col"], image: Image) -> Mask:
    """The small copy's mask on the image's own pixels, without padding."""
    rows, cols = image.pixels.shape
    soft = cv2.GaussianBlur(small_mask * np.uint8(255), (0, 0), 1.0)
    mask = cv2.resize(soft, (cols, rows), interpolation=cv2.INTER_LINEAR) > 100
    if image.padding is not None:
        mask &= ~image.padding
    return np.asarray(mask)


def _on_small_copy(
    small: Float[np.ndarray, "row col"],
) -> tuple[UInt8[np.ndarray, "row col"] | None, str | None, float, bool]:
    """The breast on the small copy, its chest wall's side, how sure that is, and whether a film."""
    shown = _root_scale(small)
    plain = _small_mask(shown)
    wall = None if plain is None else chest_wall_side(plain > 0)
    if plain is not None and air_is_flat(shown, plain):
        score, other = (breast_like(m)[0] for m in _both_ways(plain, wall or "left"))
        whole = wall is not None and score >= LIKE_A_BREAST  # a film's rectangle on a bed is not
        even = not whole and is_even(shown, plain)
        traced = find_on_film(small) if even or (whole and air_is_noisy(shown, plain)) else None
        if traced is not None and _is_clearer(traced, plain, even=even):
            return _rounded(traced.mask), traced.wall, traced.certainty, True
        if whole or even:
            return plain, wall, certainty_of(score, other), False
    traced = find_on_film(small)
    if traced is None or traced.mask.sum() < LEAST_AREA * shown.size:
        score, other = (
            (0.0, 0.0)
            if plain is None
            else (breast_like(m)[0] for m in _both_ways(plain, wall or "left"))
        )
        return plain, wall, certainty_of(score, other), False
    return _rounded(traced.mask), traced.wall, traced.certainty, True


def _is_clearer(traced: FilmBreast, plain: UInt8[np.ndarray, "row col"], *, even: bool) -> bool:
    """Whether a traced outline is taken in place of a mask drawn as for digital images.

    Args:
        traced: The outline.
        plain: The mask.
        even: The mask holds one kind of thing: a breast that fills the frame, in which no outline
            is clear, or a small one on film whose air is as even.
    """
    if even:
        return bool(traced.clear > LEAST_CLEAR and traced.mask.sum() >= LEAST_AREA * plain.size)
    return holds_label(plain, _rounded(traced.mask))


def _both_ways(
    mask: UInt8[np.ndarray, "row col"], wall: str
) -> tuple[UInt8[np.ndarray, "row col"], UInt8[np.ndarray, "row col"]]:
    """The mask with that side at the left, and with the other."""
    flipped = np.ascontiguousarray(mask[:, ::-1])
    return (mask, flipped) if wall == "left" else (flipped, mask)


def _small_copy(image: Image) -> Float[np.ndarray, "row col"]:
    """Area means, bright for dense tissue; padding becomes the darkest level."""
    pixels = image.pixels
    if pixels.dtype not in (np.uint8, np.uint16, np.int16, np.float32):
        pixels = pixels.astype(np.float32)
    rows, cols = pixels.shape
    step = max(1.0, max(rows, cols) / SMALL_LONG_SIDE)
    size = (max(1, round(cols / step)), max(1, round(rows / step)))
    if image.padding is None or not image.padding.any():
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return small if image.bright_is_dense else -small
    valid = (~image.padding).astype(np.float32)
    total = cv2.resize(pixels * valid, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(valid, size, interpolation=cv2.INTER_AREA)
    small = (total / np.maximum(share, 1e-6)).astype(np.float32)
    small = small if image.bright_is_dense else -small
    seen = share >= 0.5
    return np.where(seen, small, small[seen].min() if seen.any() else 0.0).astype(np.float32)


def _root_scale(small: Float[np.ndarray, "row col"]) -> UInt8[np.ndarray, "row col"]:
    """The root of the level, 0 to 255: spreads the dark end, where skin and air differ."""
    low, high = np.percentile(small, (0.5, 99.8))
    if not high > low:
        low, high = small.min(), small.max()
    shown = np.sqrt(np.clip((small - low) / (high - low), 0, 1))
    return np.asarray(np.rint(shown * 255)).astype(np.uint8)


def _small_mask(shown: UInt8[np.ndarray, "row col"]) -> UInt8[np.ndarray, "row col"] | None:
    """The breast on the small copy, 0 or 1; None where there is none."""
    top, bottom, left, right = _frame(shown)
    inner = np.ascontiguousarray(shown[top:bottom, left:right])
    bright = inner > _threshold(inner)
    tissue = (bright & ~(inner >= SATURATED * 255)).astype(np.uint8)
    core = _largest(_opened(tissue, max(shown.shape)))
    everything = _largest(_opened(bright.astype(np.uint8), max(shown.shape)))
    if everything is None:
        return None
    kept = bright.astype(np.uint8)
    if core is not None and core.sum() > 0.5 * everything.sum():
        kept[_markers(inner, core, chest_wall_side(everything > 0))] = 0
    breast = _largest(_opened(kept, max(shown.shape)))
    if breast is None or breast.sum() < LEAST_AREA * shown.size:
        return None
    grown = _rounded(_regrown(breast, kept, max(shown.shape)))
    side = chest_wall_side(grown > 0)
    if side == "right":
        grown = _to_the_wall(grown[:, ::-1], inner[:, ::-1])[:, ::-1]
    elif side == "left":
        grown = _to_the_wall(grown, inner)
    whole = np.zeros_like(shown)
    whole[top:bottom, left:right] = grown
    return whole


def _frame(shown: UInt8[np.ndarray, "row col"]) -> tuple[int, int, int, int]:
    """Rows and columns that are left after bright frames: top, bottom, left, right."""
    saturated = shown >= SATURATED * 255
    by_row, by_col = saturated.mean(axis=1), saturated.mean(axis=0)

    def peel(filled: Float[np.ndarray, " line"]) -> int:
        reach = max(1, int(len(filled) * FRAME_FRACTION))
        lines = np.flatnonzero(filled[:reach] > FRAME_FILLED)
        if len(lines) == 0:
            return 0
        end = int(lines[-1]) + 2  # one more: the frame's soft edge
        return end if filled[end : end + reach].mean() < FRAME_FILLED / 2 else 0  # tissue goes on

    rows, cols = shown.shape
    return peel(by_row), rows - peel(by_row[::-1]), peel(by_col), cols - peel(by_col[::-1])


def _threshold(inner: UInt8[np.ndarray, "row col"]) -> float:
    """Otsu's threshold, lowered towards the level of air as far as its noise allows."""
    smooth = cv2.GaussianBlur(inner, (0, 0), 1.0)
    otsu, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    darkest, level = np.percentile(smooth[smooth <= otsu], (5, 30))
    noise = (level - darkest) / 1.12  # the distance of these percentiles in a normal distribution
    return float(min(otsu, level + max(SKIN * (otsu - level), 5 * noise)))


def _opened(mask: UInt8[np.ndarray, "row col"], long_side: int) -> UInt8[np.ndarray, "row col"]:
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(OPENING * long_side)))


def _largest(mask: UInt8[np.ndarray, "row col"]) -> UInt8[np.ndarray, "row col"] | None:
    """The largest component; one that reaches neither side counts half."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return None
    left, width = stats[1:, cv2.CC_STAT_LEFT], stats[1:, cv2.CC_STAT_WIDTH]
    at_side = (left <= 1) | (left + width >= mask.shape[1] - 1)
    weight = stats[1:, cv2.CC_STAT_AREA] * np.where(at_side, 1.0, 0.5)
    return np.asarray(labels == 1 + int(weight.argmax())).astype(np.uint8)


def _markers(
    inner: UInt8[np.ndarray, "row col"], core: UInt8[np.ndarray, "row col"], wall: str | None
) -> Mask:
    """Saturated blobs, small beside the breast and mostly outside its convex hull.

    One that reaches the chest wall is tissue: the pectoral muscle can be as bright.
    """
    contours, _ = cv2.findContours(core, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull: Any = np.zeros_like(core)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.vstack(contours)), 1)
    saturated = (inner >= SATURATED * 255).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(saturated, connectivity=8)
    inside = np.bincount(labels.ravel(), weights=hull.ravel(), minlength=count)
    area = stats[:, cv2.CC_STAT_AREA]
    marker = (inside < 0.5 * area) & (area < MARKER_AREA * core.sum())
    marker[0] = False
    columns = np.flatnonzero(core.any(axis=0))
    near = 1 + STRAIGHT * len(columns)
    if wall == "left":
        marker &= stats[:, cv2.CC_STAT_LEFT] > columns[0] + near
    elif wall == "right":
        marker &= stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] < columns[-1] + 1 - near
    blobs = marker[labels].astype(np.uint8)
    return np.asarray(cv2.dilate(blobs, disc(5)) > 0)


def _regrown(
    breast: UInt8[np.ndarray, "row col"], kept: UInt8[np.ndarray, "row col"], long_side: int
) -> UInt8[np.ndarray, "row col"]:
    """Give back the corners and the nipple that the opening took, and fill holes."""
    near = cv2.dilate(breast, disc(OPENING * long_side))
    grown = _largest(near & kept)
    grown = breast if grown is None else grown
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled: Any = np.zeros_like(grown)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return np.asarray(filled, dtype=np.uint8)


def _rounded(mask: UInt8[np.ndarray, "row col"]) -> UInt8[np.ndarray, "row col"]:
    """Smooth the outline; beyond the image it goes on, so that edges are not rounded off."""
    reach = 6
    wide = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc(7))
    smooth = cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(5))
    return np.asarray(smooth[reach:-reach, reach:-reach])


def _to_the_wall(
    mask: UInt8[np.ndarray, "row col"], shown: UInt8[np.ndarray, "row col"]
) -> UInt8[np.ndarray, "row col"]:
    """Fill dark tissue up to the chest wall on the left; drop haze above and below the breast.

    Whatever lies between the chest wall and the skin is breast, however dark a narrow window made
    it. A scanned film has a grey strip all along the chest wall: it is darker than the breast, and
    narrow for longer than a breast tapers.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    wall = int(first.min())
    so_far = np.cumsum(shown[rows, wall:], axis=1, dtype=np.int64)
    level = so_far[np.arange(len(rows)), last - wall - 1] / (last - wall)
    start = _haze(last - wall, level)
    stop = len(rows) - _haze((last - wall)[::-1], level[::-1])
    whole = mask.copy()
    whole[rows[:start]] = 0
    whole[rows[stop:]] = 0
    reach = 1 + len(rows) // 40  # what is wide only in the first or last rows is a film's edge
    if start == 0:
        whole[rows[:reach], last[reach : 2 * reach].max() + 2 :] = 0
    if stop == len(rows):
        whole[rows[-reach:], last[-2 * reach : -reach].max() + 2 :] = 0
    last = np.minimum(last, mask.shape[1] - whole[rows, ::-1].argmax(axis=1))
    touching = start + np.flatnonzero(first[start:stop] <= wall + 2)
    if len(touching):
        for index in range(touching[0], touching[-1] + 1):
            whole[rows[index], wall : last[index]] = 1
    return whole


def _haze(width: Int[np.ndarray, " row"], level: Float[np.ndarray, " row"]) -> int:
    """How many rows from the first are a narrow grey strip of even width, and no breast."""
    reach = len(width) // 40
    line = np.ones((1, 2 * reach + 1), np.uint8)
    lasting = cv2.erode(width[None].astype(np.float32), line)[0]  # a film's edge is soon over
    wide = np.flatnonzero(lasting > NARROW * width.max())
    run = int(wide[0]) if len(wide) else 0
    strip = float(np.median(lasting[: run // 2 + 1]))
    grey = np.median(level[: run // 2 + 1]) < HAZE_LEVEL * np.median(level)
    if not grey or run <= HAZE_LENGTH * strip:
        return 0
    return max(0, int(np.flatnonzero(lasting[:run] <= strip + 3)[-1]) + 1 - reach)


def chest_wall_side(mask: Mask) -> str | None:
    """Which side of a breast's mask is the straight one: "left", "right" or None.

    The chest wall is where the detector ends, so the mask ends there in one straight column for
    most of its height, whether or not the frame has been padded beyond it.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    tolerance = max(1.0, STRAIGHT * (last.max() - first.min() + 1))
    left = int((first <= first.min() + tolerance).sum())
    right = int((last >= last.max() - tolerance).sum())
    if max(left, right) < 1.25 * min(left, right):
        return None
    return "left" if left > right else "right"
