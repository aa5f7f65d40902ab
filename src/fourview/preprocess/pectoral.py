"""The pectoral muscle's edge in an MLO view: one straight line, or none that can be trusted.

Frame:   oriented pixels: chest wall at the left, the muscle, if any, in the upper left corner.
Line:    x cos t + y sin t = d, with x, y in pixels as in ``fourview.geometry`` and t the angle of
         the line to the columns, above 0 for an edge that leans as a slash does. (cos t, sin t)
         points from the muscle to the nipple: it is the anterior-posterior axis.
How:     "oriented" (default): every line votes with the brightness step across it, signed, so that
         only edges with the bright side towards the chest wall count; see ``_Votes``.
         "plain": binary edges and a standard Hough transform; see ``plain_hough``.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Shaped

from fourview.geometry import Size
from fourview.preprocess.plain_hough import plain_hough

SMALL_ROWS = 192  # height of the copy that is searched; all lengths below are parts of it
STEP_SIGMAS = (0.006, 0.016)  # Gaussian widths: 6 pixels of 1080 as in [1], and a soft muscle edge
RIM = 0.033  # diameter of the erosion that keeps the skin line out of the votes
CLIP = 2.0  # of the median step: a calcification or a clip votes no more than this
LEAST_DEGREES, MOST_DEGREES = 6.0, 60.0  # searched; 8 to 34 in phantoms, up to 60 in [1]
COARSE_DEGREES, FINE_DEGREES = 2.0, 0.5  # steps of the search: of all angles, then near the best
USUAL_DEGREES = (8.0, 32.0)  # outside, a line needs more evidence ...
UNUSUAL_SD_DEGREES = 12.0  # ... by this Gaussian
LEAST_OFFSET = 0.01  # of the width, as in [1]
MOST_OFFSET = 0.75  # of the width; 0.60 in [1] misses large muscles (median error 0.7 -> 0.9)
REFINE_DEGREES, REFINE_OFFSET = 4.0, 0.03  # to either side; of the height
REFINE_CLIP = 20.0  # of a strong step: a clean edge is steeper than that (benchmarks.pectoral)
MOST_FOOT = 1.25  # of the height: a line that meets the left edge further down is gland's edge
FOOT_WEIGHT = 0.3  # of a vote where the line leaves the image, 1 at the top: the muscle fades
SPREAD_COST = 0.25  # of the standard deviation of the steps along a line
LEAST_VOTES = 0.06  # of the height: a shorter line is no candidate
FULL_VOTES = 0.3  # of the height: shorter lines lose by the root of their length
STRIP = 0.05  # of the height: the tissue in front of the line that must be darker than the muscle
# Below either of these there is no line (docs/results/ap_alignment.md has the rates):
LEAST_CONFIDENCE = 0.10
LEAST_SHARPNESS = 1.0
LEAST_TEXTURE = 0.05  # of a strong step: a saturated muscle has none
EDGE = 0.008  # of the height: half the width of what counts as the line itself

Pixels = Shaped[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]
Method = Literal["oriented", "plain"]


@dataclass(frozen=True, slots=True)
class PectoralLine:
    """The edge of the muscle as a straight line, in pixels of the image that was searched.

    Attributes:
        degrees: t: the line's angle to the columns, and that of the AP axis to the rows.
        offset_px: d: distance of the line from the upper left corner.
        confidence: "oriented": mean signed step along the line, in units of a strong step of this
            image, in [0, 1]. NaN for "plain", which has none.
        sharpness: "oriented": mean step across the line's upper half over the median step inside
            the muscle: gland that is cut off in a straight line is as rough as its edge.
    """

    degrees: float
    offset_px: float
    confidence: float = math.nan
    sharpness: float = math.nan

    @property
    def axis(self) -> Float64[np.ndarray, "2"]:
        """Unit vector (x, y) from the muscle to the nipple."""
        t = math.radians(self.degrees)
        return np.array([math.cos(t), math.sin(t)])

    def depth(self, points: Float[np.ndarray, "*many 2"]) -> Float[np.ndarray, "*many"]:
        """How far points (x, y) lie in front of the line, pixels; below 0 in the muscle."""
        return np.asarray(points @ self.axis - self.offset_px)

    def muscle(self, size: Size) -> Mask:
        """True where a pixel's centre lies behind the line."""
        rows, cols = size
        x, y = self.axis
        along = (np.arange(cols) + 0.5) * x
        return np.asarray(along[None, :] + ((np.arange(rows) + 0.5) * y)[:, None] < self.offset_px)


def find_pectoral(
    pixels: Pixels, mask: Mask, *, method: Method = "oriented"
) -> PectoralLine | None:
    """Find the muscle's edge.

    Args:
        pixels: Oriented pixels, bright for dense tissue, any scale; cropped to the breast or not.
        mask: True inside the breast, muscle included.
        method: "oriented" is the more accurate; "plain" is what [1] publishes.

    Returns:
        The line; None where the muscle is not in the image or cannot be told from other tissue.

    References:
        [1] Du, Chen, Dvornek, MICCAI 2025 (GLAM), MLO alignment; line by Hough transform.
    """
    x0, y0, width, height = cv2.boundingRect(mask.view(np.uint8))
    if min(width, height) < 16:
        return None
    inside = np.s_[y0 : y0 + height, x0 : x0 + width]
    if method == "plain":
        published = plain_hough(pixels[inside], mask[inside])
        if published is None:
            return None
        line = PectoralLine(*published)
    else:
        line = _search(pixels[inside], mask[inside])
        if line.confidence < LEAST_CONFIDENCE or line.sharpness < LEAST_SHARPNESS:
            return None
    corner = float(np.array([x0, y0]) @ line.axis)
    return replace(line, offset_px=line.offset_px + corner)


def _search(pixels: Pixels, mask: Mask) -> PectoralLine:
    """The line with the best score, coarse and fine, moved to the steepest place nearby."""
    scale = SMALL_ROWS / mask.shape[0]
    votes = _Votes.of(*_small_copy(pixels, mask, scale))
    angles = np.arange(LEAST_DEGREES, MOST_DEGREES + 0.1, COARSE_DEGREES)
    around = COARSE_DEGREES - FINE_DEGREES
    best = max(votes.best_at(float(a)) for a in angles)
    near = best[1] + np.arange(-around, around + 0.1, FINE_DEGREES)
    score, degrees, offset = max(best, *(votes.best_at(float(a)) for a in near))
    sharpness = votes.sharpness(degrees, offset)
    if score > 0:
        degrees, offset = votes.refined(degrees, offset)
    return PectoralLine(degrees, offset / scale, min(max(score, 0.0), 1.0), sharpness)


def _small_copy(
    pixels: Pixels, mask: Mask, scale: float
) -> tuple[Float32[np.ndarray, "small_row small_col"], Bool[np.ndarray, "small_row small_col"]]:
    """Area means of pixels and mask."""
    size = (max(8, round(mask.shape[1] * scale)), SMALL_ROWS)
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        pixels = pixels.astype(np.float32)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(mask * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    return small, share >= 128


@dataclass(frozen=True, slots=True)
class _Votes:
    """Pixels that vote for lines, and how.

    A line's score is the mean over its pixels of the brightness step across it (towards the
    nipple; a fall counts positive; steps are divided by ``CLIP`` times the image's median step and
    clipped to [-1, 1]) less a part of their spread, times three factors at most 1: for length, for
    how even the triangle behind the line is [1, step 9], and for how usual the angle is.
    A line whose triangle is no brighter than the strip in front of it does not count.

    Attributes:
        x: Column of each pixel's centre, from the left edge.
        y: Row of each pixel's centre.
        step_x: Brightness step per pixel along the rows.
        step_y: Brightness step per pixel down the columns.
        level: Brightness.
        rows: Height of the copy.
        cols: Width of the copy.
    """

    x: Float32[np.ndarray, " pixel"]
    y: Float32[np.ndarray, " pixel"]
    step_x: Float32[np.ndarray, " pixel"]
    step_y: Float32[np.ndarray, " pixel"]
    level: Float32[np.ndarray, " pixel"]
    rows: int
    cols: int

    @classmethod
    def of(
        cls, small: Float32[np.ndarray, "row col"], inside: Bool[np.ndarray, "row col"]
    ) -> "_Votes":
        """The voters of a small copy."""
        rows, cols = small.shape
        width = max(3, 2 * round(RIM * rows / 2) + 1)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
        kept = cv2.erode(  # the image's own edge is no rim
            inside.view(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=1
        )
        y, x = np.nonzero(kept)
        across, down = _steps(small, inside)
        step_x, step_y = across[y, x], down[y, x]
        strong = CLIP * float(np.median(np.hypot(step_x, step_y))) if len(x) else 0.0
        strong = strong if strong > 0 else 1.0
        return cls(
            (x + 0.5).astype(np.float32),
            (y + 0.5).astype(np.float32),
            step_x / np.float32(strong),
            step_y / np.float32(strong),
            small[y, x],
            rows,
            cols,
        )

    def best_at(self, degrees: float) -> tuple[float, float, float]:
        """The best line at one angle: score (-1 for none), the angle, and offset in pixels."""
        strip = max(2, round(STRIP * self.rows))
        near, bins = self._near(degrees, MOST_OFFSET * self.cols + strip + 2)
        if not len(bins):
            return -1.0, degrees, 0.0
        num, mean, sd = self._across(degrees, near, bins, limit=1.0)
        evenness, is_brighter = self._behind(bins, self.level[near], strip)
        score = (mean - SPREAD_COST * sd) * evenness
        score *= np.sqrt(np.minimum(num / (FULL_VOTES * self.rows), 1)) * _usual(degrees)
        middle = np.arange(len(num)) + 0.5
        allowed = (middle >= max(3.0, LEAST_OFFSET * self.cols)) & is_brighter
        allowed &= (middle <= MOST_OFFSET * self.cols) & (num > LEAST_VOTES * self.rows)
        allowed &= middle <= MOST_FOOT * self.rows * math.sin(math.radians(degrees))
        score = np.where(allowed, score, -1.0)
        best = int(score.argmax())
        return float(score[best]), degrees, float(middle[best])

    def refined(self, degrees: float, offset: float) -> tuple[float, float]:
        """Angle and offset of the steepest line nearby.

        The score prefers lines a little inside the muscle and usual angles, and its steps are
        clipped; here only the steps decide, with room for the steepest of them.
        """
        t = math.radians(degrees)
        half_y = min(offset / math.sin(t), self.rows) / 2
        pivot = ((offset - half_y * math.sin(t)) / math.cos(t), half_y)
        best = (-math.inf, degrees, offset)
        turns = np.arange(-REFINE_DEGREES, REFINE_DEGREES + 0.1, FINE_DEGREES)
        for angle in np.maximum(degrees + turns, FINE_DEGREES).tolist():
            t = math.radians(angle)
            centre = pivot[0] * math.cos(t) + pivot[1] * math.sin(t)
            reach = REFINE_OFFSET * self.rows
            near, bins = self._near(angle, centre + reach + 2)
            num, mean, _ = self._across(angle, near, bins, limit=REFINE_CLIP)
            middle = np.arange(len(num)) + 0.5
            nearby = (np.abs(middle - centre) <= reach) & (num > LEAST_VOTES * self.rows)
            if nearby.any():
                place = int(np.where(nearby, mean, -np.inf).argmax())
                best = max(best, (float(mean[place]), angle, float(middle[place])))
        return best[1], best[2]

    def _near(
        self, degrees: float, furthest: float
    ) -> tuple[Bool[np.ndarray, " pixel"], Shaped[np.ndarray, " near"]]:
        """Which pixels lie in front of the corner by no more than that, and in which line each."""
        t = math.radians(degrees)
        offset = self.x * np.float32(math.cos(t)) + self.y * np.float32(math.sin(t))
        near = offset < furthest
        return near, offset[near].astype(np.intp)

    def _across(
        self,
        degrees: float,
        near: Bool[np.ndarray, " pixel"],
        bins: Shaped[np.ndarray, " near"],
        *,
        limit: float,
    ) -> tuple[
        Float64[np.ndarray, " line"], Float64[np.ndarray, " line"], Float64[np.ndarray, " line"]
    ]:
        """Weight of each line in pixels, and mean and spread of the fall across it."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        fall = np.clip(-(self.step_x[near] * cos + self.step_y[near] * sin), -limit, limit)
        # Where the line leaves the image: at the left edge, or at the bottom.
        foot = np.minimum((bins + 0.5) / sin, self.rows)
        weight = 1 - (1 - FOOT_WEIGHT) * np.minimum(self.y[near] / foot, 1)
        num, total, squares = (
            np.convolve(np.bincount(bins, weight * power), (0.25, 0.5, 0.25), "same")
            for power in (1.0, fall, fall * fall)
        )
        safe = np.maximum(num, 1e-6)
        mean = total / safe
        return num, mean, np.sqrt(np.maximum(squares / safe - mean**2, 0))

    def sharpness(self, degrees: float, offset: float) -> float:
        """Mean step across the upper half of a line over the median step behind it."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        in_front = self.x * cos + self.y * sin - offset
        edge = EDGE * self.rows
        on = (np.abs(in_front) < edge) & (self.y < min(offset / sin, self.rows) / 2)
        behind = in_front < -2 * edge
        if not on.any() or not behind.any():
            return 0.0
        fall = np.clip(-(self.step_x[on] * cos + self.step_y[on] * sin), -1, 1)
        texture = float(np.median(np.hypot(self.step_x[behind], self.step_y[behind])))
        return float(fall.mean()) / max(texture, LEAST_TEXTURE)

    def _behind(
        self, bins: Shaped[np.ndarray, " near"], level: Float32[np.ndarray, " near"], strip: int
    ) -> tuple[Float64[np.ndarray, " line"], Bool[np.ndarray, " line"]]:
        """How even the triangle behind each line is, in (0, 1], and whether it is brighter."""
        num, total, squares = (
            np.cumsum(np.bincount(bins, weights)) for weights in (level**0, level, level * level)
        )
        mean = total / np.maximum(num, 1)
        sd = np.sqrt(np.maximum(squares / np.maximum(num, 1) - mean**2, 0))
        ahead = np.minimum(np.arange(len(num)) + strip, len(num) - 1)
        in_front = (total[ahead] - total) / np.maximum(num[ahead] - num, 1)
        spread = max(float(self.level.std()), 1e-6)
        return 1 / (1 + sd / spread), mean > in_front


def _steps(
    small: Float32[np.ndarray, "row col"], inside: Bool[np.ndarray, "row col"]
) -> tuple[Float32[np.ndarray, "row col"], Float32[np.ndarray, "row col"]]:
    """Brightness steps along x and y, summed over two widths; air does not bleed in."""
    share = inside.astype(np.float32)
    across, down = np.zeros_like(small), np.zeros_like(small)
    for part in STEP_SIGMAS:
        sigma = part * small.shape[0]
        weight = np.maximum(cv2.GaussianBlur(share, (0, 0), sigma), 1e-3)
        smooth = cv2.GaussianBlur(small * share, (0, 0), sigma) / weight
        across += sigma * cv2.Scharr(smooth, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
        down += sigma * cv2.Scharr(smooth, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    return across, down


def _usual(degrees: float) -> float:
    """1 for usual angles, falling on both sides."""
    low, high = USUAL_DEGREES
    return math.exp(-0.5 * ((degrees - min(max(degrees, low), high)) / UNUSUAL_SD_DEGREES) ** 2)
