"""An overlay in the bits above Bits Stored, native and in JPEG 2000."""

import sys

import imagecodecs
import mg

clean = mg.picture(2560, 2048)
marked = clean.copy()
marked[400:440, 240:800] |= 0x8000
marked[1200:1208, :] |= 0x1000
for number, name in enumerate(("native", "jpeg2000"), start=1):
    ds = mg.header(marked, number=number, study=str(number), patient=name, mm=0.09)
    if name == "jpeg2000":
        frame = imagecodecs.jpeg2k_encode(marked, codecformat="j2k", reversible=True, level=0)
        mg.put_encoded(ds, frame, mg.JPEG_2000)
    mg.save(ds, f"{sys.argv[1]}/{name}.dcm")
