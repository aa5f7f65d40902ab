"""Whole compressed frames with 200 zero bytes behind their end marker."""

import sys

import imagecodecs
import mg

pixels = mg.picture()
frames = {
    "jpeg2000": (
        imagecodecs.jpeg2k_encode(
            pixels, codecformat="j2k", reversible=True, bitspersample=12, level=0
        ),
        mg.JPEG_2000,
    ),
    "jpeg_lossless": (
        imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=12),
        mg.JPEG_LOSSLESS,
    ),
    "jpeg_ls": (imagecodecs.jpegls_encode(pixels), mg.JPEG_LS),
}
for number, (name, (frame, syntax)) in enumerate(frames.items(), start=1):
    ds = mg.header(pixels, number=number, study=str(number), patient=name)
    mg.put_encoded(ds, frame + bytes(200), syntax)
    mg.save(ds, f"{sys.argv[1]}/{name}.dcm")
