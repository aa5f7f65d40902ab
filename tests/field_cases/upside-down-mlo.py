"""MLO views stored upside down, as their Patient Orientation says."""

import sys
from pathlib import Path

import mg
import numpy as np


def change(ds, side, view):
    if view != "MLO":
        return
    stored = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)
    mg.put(ds, stored[::-1].copy())
    ds.PatientOrientation = ["A", "HL"] if side == "L" else ["P", "HR"]


out = Path(sys.argv[1])
mg.exam(out / "case", change)
mg.exam(out / "plain")
