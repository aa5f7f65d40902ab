"""RLE Lossless frames (DICOM PS3.5 annex G): byte planes, each row packed by itself."""

import struct

import imagecodecs
import numpy as np
from jaxtyping import Shaped

HEADER = "<16I"  # number of segments, and where each of up to 15 begins


def encode_rle(pixels: Shaped[np.ndarray, "row col"]) -> bytes:
    """One frame of 8 or 16 bits, one sample per pixel; the high bytes come first."""
    rows, cols = pixels.shape
    planes = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    by_byte = planes.view(np.uint8).reshape(rows, cols, pixels.itemsize)
    segments = []
    for i in range(pixels.itemsize):
        # PackBits row by row: a run must not cross into the next row (G.3.1)
        packed = imagecodecs.packbits_encode(by_byte[:, :, i].copy(), axis=-1)
        segments.append(packed + b"\0" * (len(packed) % 2))
    starts = [64 + sum(len(s) for s in segments[:i]) for i in range(len(segments))]
    table = [len(segments), *starts] + [0] * (15 - len(segments))
    return struct.pack(HEADER, *table) + b"".join(segments)
