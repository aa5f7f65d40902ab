"""RLE Lossless frames (DICOM PS3.5 annex G): byte planes, each row packed by itself."""

import struct

import numpy as np
from jaxtyping import Shaped

from fourview.compiled import compiled_fast, inlined

HEADER = "<16I"  # number of segments, and where each of up to 15 begins
LONGEST = 128  # bytes of one run or literal


def encode_rle(pixels: Shaped[np.ndarray, "row col"]) -> bytes:
    """One frame of 8 or 16 bits, one sample a pixel; the high bytes come first."""
    rows, cols = pixels.shape
    planes = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    by_byte = planes.view(np.uint8).reshape(rows, cols, pixels.itemsize)
    segments = []
    for i in range(pixels.itemsize):
        packed = _pack(np.ascontiguousarray(by_byte[:, :, i])).tobytes()
        segments.append(packed + b"\0" * (len(packed) % 2))
    starts = [64 + sum(len(s) for s in segments[:i]) for i in range(len(segments))]
    table = [len(segments), *starts] + [0] * (15 - len(segments))
    return struct.pack(HEADER, *table) + b"".join(segments)


@inlined
def _run(row: np.ndarray, start: int) -> int:
    """How often the byte at ``start`` repeats, at most 128."""
    end = start + 1
    limit = min(len(row), start + LONGEST)
    while end < limit and row[end] == row[start]:
        end += 1
    return end - start


@compiled_fast
def _pack(plane: np.ndarray) -> np.ndarray:
    """PackBits of every row: (257 - n, byte) for a run of n, (n - 1, bytes) for n literals."""
    rows, cols = plane.shape
    out = np.empty(rows * (cols + cols // LONGEST + 2), np.uint8)
    size = 0
    for r in range(rows):
        row = plane[r]
        c = 0
        while c < cols:
            run = _run(row, c)
            if run > 2:
                out[size] = 257 - run
                out[size + 1] = row[c]
                size += 2
                c += run
                continue
            start = c
            while c < cols and c - start < LONGEST and _run(row, c) <= 2:
                c += 1
            out[size] = c - start - 1
            out[size + 1 : size + 1 + c - start] = row[start:c]
            size += 1 + c - start
    return out[:size]
