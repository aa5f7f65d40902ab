"""Where the breast is on a scanned film, and on which side its chest wall: the steps in order.

How: ``film_area`` says what is film at all, ``film_seed`` which component looks most like a breast,
     ``film_outline`` what the outline of that breast is; ``film_over`` keeps it away from labels.
     The component may hold air, too. So the outline is also looked for from components cut at
     higher levels, and the clearest one is taken, at which the level falls most.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from fourview.preprocess.film_area import film_area, margin_at_wall
from fourview.preprocess.film_outline import Traced, trace
from fourview.preprocess.film_seed import Seed, find_seeds

SEED_SIDE = 192  # long side of the copy that the seed is looked for on
CLEARER = 0.04  # so much clearer an outline from a higher seed must be to be taken
SAME = 0.97  # intersection over union
SMALLER = 0.7  # of the first one's area: it may be a muscle, whose edge is clear, too
MUCH_CLEARER = 0.25  # the same for a smaller one

Plane = Float32[np.ndarray, "row col"]
Mask = Bool[np.ndarray, "row col"]


@dataclass(frozen=True, slots=True)
class FilmBreast:
    """The breast on the small copy.

    Attributes:
        mask: 0 or 1.
        wall: The side of the chest wall.
        certainty: How sure that is, 0 to 1; see ``certainty_of``.
        clear: How clearly its outline is one; see ``film_over.clearness``.
    """

    mask: UInt8[np.ndarray, "row col"]
    wall: str
    certainty: float
    clear: float


def find_on_film(small: Float32[np.ndarray, "row col"]) -> FilmBreast | None:
    """Find the breast.

    Args:
        small: Any scale, bright for dense tissue, about 450 pixels high.
    """
    shown = _shown(small)
    scale = min(1.0, SEED_SIDE / max(small.shape))
    size = (max(8, round(small.shape[1] * scale)), max(8, round(small.shape[0] * scale)))
    tiny = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    area = film_area(tiny)
    seeds = find_seeds(tiny, area)
    if not seeds:
        return None
    rows, cols = shown.shape
    valid = cv2.resize(area.view(np.uint8), (cols, rows), interpolation=cv2.INTER_NEAREST) > 0
    best = first = _traced(shown, valid, seeds[0])
    for seed in seeds[1:]:
        if best.clear + CLEARER > 1:
            break
        other = _traced(shown, valid, seed)
        both = (other.mask & first.mask).sum()
        if both > SAME * (other.mask | first.mask).sum():
            break  # from a still higher level it would be the same outline again
        smaller = other.mask.sum() < SMALLER * first.mask.sum()
        enough = first.clear + (MUCH_CLEARER if smaller else CLEARER)
        if other.clear > max(best.clear, enough):
            best = other
    certainty = certainty_of(seeds[0].score, seeds[0].other)
    return FilmBreast(best.mask * valid, seeds[0].wall, certainty, best.clear)


def _traced(shown: Plane, valid: Mask, seed: Seed) -> Traced:
    """The breast that a seed grows to, in the frame of the small copy."""
    rows, cols = shown.shape
    component = cv2.resize(seed.component, (cols, rows), interpolation=cv2.INTER_NEAREST)
    across, down = cols / seed.component.shape[1], rows / seed.component.shape[0]
    line = (seed.line[0] * across, seed.line[1] * across / down)
    flip = np.s_[:, ::-1] if seed.wall == "right" else np.s_[:, :]
    if seed.wall == "right":
        line = (cols - line[0], -line[1])
    seen, film = np.ascontiguousarray(shown[flip]), np.ascontiguousarray(valid[flip])
    traced = trace(seen, film, np.ascontiguousarray(component[flip]), line)
    mask = traced.mask.copy()
    mask[margin_at_wall(seen, film, mask)] = 0
    return Traced(np.ascontiguousarray(mask[flip]), traced.clear)


def certainty_of(score: float, other: float) -> float:
    """How sure a side is, 0 to 1, from how breast-like a picture is with it and with the other.

    Not a frequency: a rule that is 0.94 where one side looks twice as good as the other.
    """
    if max(score, other) <= 0:
        return 0.5
    return score**4 / (score**4 + other**4)


def _shown(small: Float32[np.ndarray, "row col"]) -> Float32[np.ndarray, "row col"]:
    low, high = np.percentile(small, (0.5, 99.8))
    if not high > low:
        low, high = small.min(), small.max()
    share = np.clip((small - low) / (high - low), 0, 1)
    return np.asarray(np.sqrt(share), dtype=np.float32)
