"""Whether large values are dense tissue: what the header says, and what the air around shows.

Photometric Interpretation says it, and Presentation LUT Shape must agree (PS3.3 C.8.11.3: INVERSE
with MONOCHROME1, IDENTITY with MONOCHROME2). A VOI LUT that falls turns the scale once more. Where
they contradict each other, or the pixels contradict them, the air tells: it is nearly one value,
the lowest or the highest of all, it is large, and it lies along most of the image's border.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from fourview.dicom import tags
from fourview.dicom.elements import Elements
from fourview.entities import Voi
from fourview.text import shown

LEAST_SIDE = 96  # pixels of the long side: in a smaller picture air cannot be told
SAMPLE = 160  # pixels of the long side that are looked at, at least
NEAR = 0.06  # of the range of values: how far from its end air may be
LEAST_AIR = 0.12  # of the image
LEAST_BORDER = 0.45  # of the pixels along the border
CLEAR = 3.0  # times as much air at one end as at the other

_SHAPES = {"IDENTITY": True, "INVERSE": False}  # whether large values are bright


def is_bright_dense(
    elements: Elements,
    pixels: Shaped[np.ndarray, "row col"],
    padding: Bool[np.ndarray, "row col"] | None,
    *,
    voi: Voi | None,
    is_film: bool,
    notes: list[str],
) -> bool:
    """Whether large modality values are dense tissue.

    Args:
        elements: The header.
        pixels: Modality values.
        padding: True where a pixel is padding.
        voi: The table or window that the file is shown with.
        is_film: Whether this is a film, whose margins may be white: its air is looked at only
            where the header contradicts itself.
        notes: Gets a sentence where attributes or pixels disagree.
    """
    photometric = (elements.text(tags.PHOTOMETRIC) or "").upper()
    shape = (elements.text(tags.LUT_SHAPE) or "").upper()
    if photometric not in ("MONOCHROME1", "MONOCHROME2", ""):  # colours and palettes have none
        shape = ""
    by_photometric = photometric != "MONOCHROME1"
    by_shape = _SHAPES.get(shape, by_photometric)
    falls = voi is not None and voi.falls
    is_unclear = by_shape != by_photometric or not photometric
    by_air = None if is_film and not (is_unclear or falls) else air_is_dark(pixels, padding)
    large_is_dense = by_shape != falls if by_air is None else by_air
    if is_unclear or large_is_dense != (by_photometric != falls):
        header_words = f"Photometric Interpretation is {shown(photometric) or 'missing'}"
        header_words += f", Presentation LUT Shape is {shown(shape)}" if shape else ""
        header_words += ", the VOI LUT falls" if falls else ""
        why = "contradicted; the air around the breast shows that"
        if by_air is None:
            why = "contradicted, and the air does not tell which is right; taken as if"
        notes.append(
            f"{header_words}: {why} {'large' if large_is_dense else 'small'} values are dense"
        )
    return large_is_dense


def air_is_dark(
    pixels: Shaped[np.ndarray, "row col"], padding: Bool[np.ndarray, "row col"] | None
) -> bool | None:
    """True where air has the lowest values, False the highest, None where it cannot be told."""
    if max(pixels.shape) < LEAST_SIDE:
        return None
    step = max(1, max(pixels.shape) // SAMPLE)
    small: Any = pixels[step // 2 :: step, step // 2 :: step].astype(np.float32)
    valid = np.ones(small.shape, dtype=bool)
    if padding is not None:
        valid = ~padding[step // 2 :: step, step // 2 :: step]
        if valid.mean() < 0.5:
            return None
    low, high = np.percentile(small[valid], (0.5, 99.5))
    if not high > low:
        return None
    reach = NEAR * (high - low)
    dark, bright = (small <= low + reach) & valid, (small >= high - reach) & valid
    border = np.zeros(small.shape, dtype=bool)
    border[[0, -1], :], border[:, [0, -1]] = True, True
    whole = border.sum()
    border &= valid
    if border.sum() < whole / 2:
        return None
    shares = {True: dark.mean(), False: bright.mean()}
    edges = {True: dark[border].mean(), False: bright[border].mean()}
    for is_dark in (True, False):
        is_large = shares[is_dark] >= LEAST_AIR and shares[is_dark] >= CLEAR * shares[not is_dark]
        around = edges[is_dark] >= LEAST_BORDER and edges[is_dark] >= CLEAR * edges[not is_dark]
        if is_large and around:
            return is_dark
    return None
