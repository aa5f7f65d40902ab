"""MONOCHROME2 with Presentation LUT Shape INVERSE, small values dense."""

import sys
from pathlib import Path

import mg
import numpy as np


def change(ds, side, view):
    ds.PresentationLUTShape = "INVERSE"
    stored = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)
    mg.put(ds, (4095 - stored).astype(np.uint16))


out = Path(sys.argv[1])
mg.exam(out / "case", change)
mg.exam(out / "plain")
