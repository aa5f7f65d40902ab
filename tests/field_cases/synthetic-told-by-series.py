"""Synthetic 2D images that only Series Description gives away, beside ordinary ones."""

import sys
from pathlib import Path

import mg

out = Path(sys.argv[1])
mg.exam(out / "ordinary")
for number, (side, view) in enumerate(mg.FOUR, start=11):
    ds = mg.header(mg.picture(700, 560, side=side, view=view), side=side, view=view, number=number)
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SeriesDescription = f"{side} {view} C-View"
    mg.save(ds, out / "synthetic" / f"{side}-{view}.dcm")
