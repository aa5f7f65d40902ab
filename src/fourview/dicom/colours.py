"""Pixels of three channels or of a palette -> one grey channel, where they show nothing but grey.

Archives and viewers export mammograms as RGB or YBR pictures, which the standard does not foresee.
Such a picture is grey where its three channels agree, or where its colour differences are nought.
The pixels tell which of the two it is, since headers often name the wrong one.

Such values are levels of a screen: the modality LUT, padding and window of a header belong to the
grey pixels that the picture was made of, and do not apply (PS3.3 C.11.1, C.11.2, C.7.5.1.1.2).

References:
    DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation, with the equations of YBR_FULL),
    C.7.6.3.1.3 (Planar Configuration), C.7.6.3.1.5 (palettes), C.7.9 (Palette Color LUT).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fourview.dicom import tags
from fourview.dicom.elements import Elements
from fourview.dicom.modality import PixelFormat, Pixels
from fourview.errors import ColourError, PageError
from fourview.text import shown

NEARLY_GREY = 0.016  # of the range: how far colour channels of a grey picture differ after JPEG
PALETTE = "PALETTE COLOR"
_YBR = "YBR_"
_BY_CODEC = ("YBR_ICT", "YBR_RCT")  # transforms of JPEG 2000, which its codec undoes
COLOURS = frozenset(
    ("RGB", PALETTE, "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", *_BY_CODEC)
)  # what can turn out to be grey
ROWS_AT_ONCE = 256
FLAT = 0.4  # of the image: a page has at least as much of one value, its paper
NEAR = 0.05  # of the range: how far from the paper ink may fade
BLOCKS = 100  # along the long side: strokes of letters are narrower than one, a breast is not
LEAST_TISSUE = 0.005  # of the blocks; the smallest breast is 1 % of an image

Channels = Shaped[np.ndarray, "row col 3"]


def photometric(elements: Elements) -> str:
    """Photometric Interpretation in capitals; "" where missing."""
    return (elements.text(tags.PHOTOMETRIC) or "").upper()


def channels_apart(channels: Channels) -> float:
    """The largest difference between two of the three channels at one pixel."""
    return max(float((p.max(axis=2) - p.min(axis=2)).max()) for p in _bands(channels))


def shows_grey(channels: Channels, pixel_format: PixelFormat) -> bool:
    """Whether RGB or YBR samples, whichever they are, show no colour."""
    most = NEARLY_GREY * pixel_format.highest
    return channels_apart(channels) <= most or _colour_of_ybr(channels, pixel_format) <= most


def one_grey(
    values: Shaped[np.ndarray, "row col *channel"],
    pixel_format: PixelFormat,
    elements: Elements,
    notes: list[str],
) -> tuple[Pixels, PixelFormat]:
    """The one grey channel of stored values, whatever they are; grey ones stay as they are.

    Args:
        values: As they are stored, of one channel or three.
        pixel_format: How they are laid out.
        elements: The header, with the palette if there is one.
        notes: Gets a sentence where the values are no plain grey ones.

    Raises:
        ColourError: They are in colour, or of a palette that is not there.
        PageError: They show letters and lines, and nothing that could be a breast.
    """
    interpretation = photometric(elements)
    if values.ndim == 2 and interpretation != PALETTE:
        if pixel_format.channels != 1 or interpretation in COLOURS:
            notes.append(f"the header says {_said(elements)}; the pixels are one grey channel")
        return values, pixel_format
    if interpretation == PALETTE and values.ndim == 2:
        grey, bits = _through_palette(values, pixel_format, elements, notes)
    else:
        grey, bits = _of_channels(values, pixel_format, elements, notes), pixel_format.stored
    if _is_page(grey):
        raise PageError("its pixels are letters and lines on plain paper, no breast")
    _note_ignored(elements, notes)
    width = 8 if bits == 8 else 16
    plain = replace(
        pixel_format, allocated=width, stored=bits, shift=0, signed=False, for_screen=True
    )
    return np.ascontiguousarray(grey, dtype=f"u{width // 8}"), plain


def _of_channels(
    channels: Channels, pixel_format: PixelFormat, elements: Elements, notes: list[str]
) -> Pixels:
    """The grey channel of pixels that are RGB or YBR, whichever shows no colour."""
    interpretation = photometric(elements)
    top = pixel_format.highest
    tolerance = NEARLY_GREY * top
    says_ybr = interpretation.startswith(_YBR) and interpretation not in _BY_CODEC
    apart = {False: channels_apart(channels), True: _colour_of_ybr(channels, pixel_format)}
    is_ybr = says_ybr if apart[says_ybr] <= tolerance else not says_ybr
    if apart[is_ybr] > tolerance:
        raise ColourError(
            f"its pixels are {_said(elements)} in colour, by up to {apart[says_ybr] / top:.0%} of "
            "the range; need grey"
        )
    if is_ybr != says_ybr:
        notes.append(f"the header says {_said(elements)}, the pixels are {_name(is_ybr)}")
    greyness = "without colour" if is_ybr else "with three equal channels"
    if apart[is_ybr]:
        greyness = f"with channels that are nearly equal (up to {apart[is_ybr]:.0f} of {top} apart)"
    notes.append(f"the pixels are {_name(is_ybr)} {greyness}, read as one grey")
    if not is_ybr:
        return channels[..., 1]
    # Black is 16, white is 235.
    if interpretation.startswith("YBR_PARTIAL") and pixel_format.stored == 8:
        scaled = (channels[..., 0].astype(np.float32) - 16) * np.float32(255 / 219)
        return np.asarray(np.rint(np.clip(scaled, 0, 255)))
    return channels[..., 0]


def _colour_of_ybr(channels: Channels, pixel_format: PixelFormat) -> float:
    """How far red, green and blue of YBR values are apart at most (PS3.3 C.7.6.3.1.2)."""
    middle = 1 << pixel_format.stored - 1
    most = 0.0
    for part in _bands(channels):
        blue, red = part[..., 1] - middle, part[..., 2] - middle
        most = max(most, _spread(1.402 * red, -0.3441 * blue - 0.7141 * red, 1.772 * blue))
    return most


def _bands(channels: Channels) -> Iterator[Any]:
    """A few rows at a time as float32, so that a large image is not copied whole."""
    for top in range(0, len(channels), ROWS_AT_ONCE):
        yield channels[top : top + ROWS_AT_ONCE].astype(np.float32)


def _spread(*parts: Any) -> float:
    highest, lowest = np.maximum.reduce(parts), np.minimum.reduce(parts)
    return float((highest - lowest).max())


def _through_palette(
    values: Pixels, pixel_format: PixelFormat, elements: Elements, notes: list[str]
) -> tuple[Pixels, int]:
    """Levels of a grey palette, and their bits; only entries that the image uses must be grey.

    Raises:
        ColourError: They are not, or there is no palette.
    """
    tables = [_entries(elements, number) for number in range(3)]
    count = min(len(entries) for entries in tables)
    if not count:
        segmented = any(tag in elements.values for tag in tags.SEGMENTED_PALETTES)
        what = "segmented, which is not read here" if segmented else "missing"
        raise ColourError(f"its pixels are {PALETTE}, and the palette is {what}")
    first = elements.integers(tags.PALETTE_DESCRIPTORS[1], signed=pixel_format.signed)[1]
    palette = np.stack([entries[:count] for entries in tables], axis=1)
    index = np.clip(values.astype(np.int64) - first, 0, count - 1)
    used = palette[np.bincount(index.ravel(), minlength=count) > 0]
    bits = 8 if int(used.max()) < 256 else 16
    top = (1 << bits) - 1
    apart = channels_apart(used[None])
    if apart > NEARLY_GREY * top:
        raise ColourError(
            f"its pixels are {PALETTE} in colour, by up to {apart / top:.0%} of the range; "
            "need grey"
        )
    notes.append(f"the pixels are {PALETTE} with a grey palette; its levels were taken")
    return palette[:, 1][index], bits


def _entries(elements: Elements, number: int) -> Shaped[np.ndarray, " entry"]:
    """Entries of the palette of red, green or blue; none where it is missing.

    Where the descriptor says another number of entries than there are, those there are count.
    """
    descriptor = elements.integers(tags.PALETTE_DESCRIPTORS[number], signed=False)
    _, raw = elements.values.get(tags.PALETTES[number], ("", b""))
    if len(descriptor) < 3:
        return np.empty(0, np.uint16)
    count = descriptor[0] or 65536  # 0 stands for it (PS3.3 C.7.6.3.1.5)
    if descriptor[2] == 8 and len(raw) < 2 * count:  # packed, one byte per entry
        return np.frombuffer(raw, "u1", count=min(count, len(raw))).astype(np.uint16)
    words = np.frombuffer(raw, "<u2" if elements.little else ">u2", count=len(raw) // 2)
    return words[:count].astype(np.uint16)


def _is_page(grey: Pixels) -> bool:
    """Whether an image is letters and lines on one plain level: nothing in it is a breast wide."""
    levels, counts = np.unique(grey, return_counts=True)
    paper = int(levels[counts.argmax()])
    if counts.max() < FLAT * grey.size or len(levels) == 1:
        return False
    reach = NEAR * (int(levels[-1]) - int(levels[0]))
    side = max(4, max(grey.shape) // BLOCKS)
    rows, cols = (max(1, length // side) for length in grey.shape)
    whole = grey[: rows * side, : cols * side].astype(np.float32)
    blocks = whole.reshape(rows, whole.shape[0] // rows, cols, whole.shape[1] // cols)
    ink = np.abs(blocks - paper) > reach
    is_tissue = (ink.mean(axis=(1, 3)) > 0.95) & (np.ptp(blocks, axis=(1, 3)) > 0)
    return bool(is_tissue.mean() < LEAST_TISSUE)


def _note_ignored(elements: Elements, notes: list[str]) -> None:
    """Tell what of the header belongs to other pixels than these."""
    rescale = (elements.number(tags.RESCALE_SLOPE), elements.number(tags.RESCALE_INTERCEPT))
    attributes = {
        "Modality LUT": tags.MODALITY_LUTS in elements.items,
        "Rescale Slope and Intercept": rescale not in ((None, None), (1.0, 0.0)),
        "VOI LUT": tags.VOI_LUTS in elements.items,
        "Window Center and Width": bool(elements.numbers(tags.WINDOW_CENTER)),
        "Pixel Padding Value": tags.PADDING_VALUE in elements.values,
    }
    ignored = [name for name, is_there in attributes.items() if is_there]
    if ignored:
        notes.append(
            f"{', '.join(ignored)}: for MONOCHROME pixels only, which these are not; ignored"
        )


def _said(elements: Elements) -> str:
    """What the header says of colours, for a message."""
    interpretation, samples = photometric(elements), elements.integer(tags.SAMPLES)
    name = shown(interpretation) if interpretation else "pixels of no Photometric Interpretation"
    return (
        name
        if interpretation in COLOURS and samples in (3, None)
        else f"{name} with {samples} samples"
    )


def _name(is_ybr: bool) -> str:
    return "YBR" if is_ybr else "RGB"
