"""Run-length coded frames."""

import numpy as np
from pydicom.pixels.decoders.rle import _rle_decode_frame

from fourview.phantom.rle import encode_rle


def test_rle_is_what_pydicom_decodes():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 4096, (17, 301)).astype(np.uint16)
    runs = np.repeat(rng.integers(0, 9, (17, 7)), 43, axis=1).astype(np.uint16)
    one = rng.integers(0, 3, (3, 200)).astype(np.uint8)
    for pixels in (noise, runs, np.where(noise > 2000, noise, runs), one):
        bits = 8 * pixels.itemsize
        frame = _rle_decode_frame(encode_rle(pixels), *pixels.shape, 1, bits, ">")
        got = np.frombuffer(bytes(frame), pixels.dtype.newbyteorder("<")).reshape(pixels.shape)
        assert (got == pixels).all()
