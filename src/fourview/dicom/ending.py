"""Whether a JPEG or JPEG-LS frame without its end marker is whole all the same.

Some archives lose the marker and nothing else; other frames were cut off, and a codec fills what is
missing with anything.

JPEG-LS: the codec refuses a frame that ends before its last pixel.
JPEG:    the frame is decoded a second time without its last bytes. In a whole frame they can change
         nothing but its end: n bytes hold at most 8 n pixels of the lossless process (a bit each)
         or 4 n units of the others (two bits each). In a cut one, all that was made up follows.
         A unit is a block of 8 x 8, or what blocks of several channels are coded together.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Shaped

from fourview.errors import DamagedPixelsError
from fourview.geometry import Size

END = b"\xff\xd9"
LOSSLESS, SEQUENTIAL, NEAR_LOSSLESS = 0xC3, (0xC0, 0xC1), 0xF7
MOST_BYTES = 64  # taken away until a pixel changes; flat air may decode alike without its bits
Samples = Shaped[np.ndarray, "row col *channel"]


def ended(
    data: bytes, process: int, decode: Callable[[bytes], Samples], unit: Size = (8, 8)
) -> bytes:
    """The frame with an end marker, if nothing else is missing.

    Args:
        data: The frame.
        process: Its frame marker; see ``codestream.Codestream``.
        decode: Gives the samples of a frame that has its end marker.
        unit: Rows and columns of a unit; see ``codestream.Codestream``.

    Raises:
        DamagedPixelsError: It was cut off, or it cannot be told whether it was.
    """
    whole = data + END
    if process == NEAR_LOSSLESS:
        decode(whole)
        return whole
    if process != LOSSLESS and process not in SEQUENTIAL:
        raise _cut_off()
    samples = decode(whole)
    count = 1
    while count <= min(MOST_BYTES, len(data) // 2):
        changed = samples != decode(data[:-count] + END)
        places = np.flatnonzero(changed if changed.ndim == 2 else changed.any(axis=2))
        if len(places):
            behind = _behind(places, samples.shape, process, unit)
            if behind > count * (8 if process == LOSSLESS else 4):
                raise _cut_off()
            return whole
        count *= 2
    raise _cut_off()


def _behind(
    places: Shaped[np.ndarray, " place"], shape: tuple[int, ...], process: int, unit: Size
) -> int:
    """How many pixels, or units, come from the first of these on, in coded order."""
    if process == LOSSLESS:
        return int(shape[0] * shape[1] - places[0])
    rows, cols = np.divmod(places, shape[1])
    across = -(-shape[1] // unit[1])
    units = -(-shape[0] // unit[0]) * across
    return int(units - (rows // unit[0] * across + cols // unit[1]).min())


def _cut_off() -> DamagedPixelsError:
    return DamagedPixelsError(
        "the compressed frame has no end marker (ffd9) and is cut off; fetch the file again"
    )
