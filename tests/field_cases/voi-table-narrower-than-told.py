"""A VOI LUT that says 16 bits and whose entries fill 12."""

import sys
from pathlib import Path

import mg
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

out = Path(sys.argv[1])
for name, bits in (("case", 16), ("plain", 12)):
    ds = mg.header(mg.picture())
    table = np.rint((np.arange(4096) / 4095) ** 0.8 * 4095).astype(int).tolist()
    item = Dataset()
    item.add_new(0x00283002, "US", [4096, 0, bits])
    item.LUTExplanation = "NORMAL"
    item.add_new(0x00283006, "US", table)
    ds.VOILUTSequence = Sequence([item])
    del ds.WindowCenter, ds.WindowWidth
    mg.save(ds, out / name / "L-CC.dcm")
