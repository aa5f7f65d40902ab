"""A JPEG 2000 frame with its JP2 file header."""

import sys

import imagecodecs
import mg

pixels = mg.picture()
ds = mg.header(pixels)
frame = imagecodecs.jpeg2k_encode(
    pixels, codecformat="jp2", reversible=True, bitspersample=12, level=0
)
mg.put_encoded(ds, frame, mg.JPEG_2000)
mg.save(ds, f"{sys.argv[1]}/L-CC.dcm")
