"""What the air beyond a breast says: whether an image is digital or a scanned film.

Reads:   the small copy on the root scale, 0 to 255, and a mask drawn as for digital images.
"""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

FLAT = 26  # of 255 on the root scale, 1 % of the level: as much as codecs leave in black air
EVEN = 1.25  # brightest and darkest of what fills a frame; tissue and a film's air differ by more
MOST_LABELS = (0.06, 0.03)  # of what is beyond the breast, or of the image: films have more
LONGEST_LABEL = 0.35  # of the long side; a film's edge is longer
NOISE = 3.0  # of 255 on the root scale: standard deviation of even air on a film
RIM = 9  # pixels of the small copy: a rim of skin is thinner than a label
SAME_BREAST, STICKS_OUT = 0.8, 0.01  # intersection over union; of the mask, what is a label

Bytes = UInt8[np.ndarray, "row col"]


def air_is_flat(shown: Bytes, breast: Bytes) -> bool:
    """Whether all beyond the breast is one level, as on a digital image, but for small labels."""
    beyond = _beyond(breast)
    if not beyond.any():
        return True
    level = _usual_level(shown[beyond])
    other = (beyond & (np.abs(shown.astype(np.int16) - level) > FLAT)).astype(np.uint8)
    if other.sum() > max(MOST_LABELS[0] * beyond.sum(), MOST_LABELS[1] * shown.size):
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(other, connectivity=8)
    longest = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(initial=0)
    return bool(longest < LONGEST_LABEL * max(shown.shape))


def air_is_noisy(shown: Bytes, breast: Bytes) -> bool:
    """Whether even air is that of a dark film, which has a scanner's noise."""
    air = shown[_beyond(breast)]
    if not len(air):
        return False
    near = air[np.abs(air.astype(np.int16) - _usual_level(air)) <= FLAT]
    return float(near.std()) > NOISE


def _beyond(breast: Bytes) -> Bool[np.ndarray, "row col"]:
    """What is beyond a mask and its soft rim."""
    return np.asarray(cv2.dilate(breast, disc(9)) == 0)


def _usual_level(levels: UInt8[np.ndarray, " pixel"]) -> int:
    """The level that most pixels have."""
    return int(np.bincount(levels, minlength=256).argmax())


def is_even(shown: Bytes, breast: Bytes) -> bool:
    """Whether a mask holds one kind of thing alone, and no air to trace an outline against."""
    low, high = np.percentile(shown[breast > 0], (5, 95))
    return bool(high <= EVEN * low)


def holds_label(plain: Bytes, traced: Bytes) -> bool:
    """Whether two masks are of one breast, and something large sticks out of the traced one."""
    if (plain & traced).sum() < SAME_BREAST * (plain | traced).sum():
        return False
    more = cv2.morphologyEx(plain & (1 - traced), cv2.MORPH_OPEN, disc(RIM))  # skin is no label
    _, _, stats, _ = cv2.connectedComponentsWithStats(more, connectivity=4)
    return bool(stats[1:, cv2.CC_STAT_AREA].max(initial=0) > STICKS_OUT * plain.sum())


def disc(diameter: float) -> Bytes:
    """A disc of 0 and 1, an odd number of pixels across."""
    size = max(3, round(diameter) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)
