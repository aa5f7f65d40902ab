"""Window Center and Width with a comma where the point should be."""

import sys
from pathlib import Path

import mg

out = Path(sys.argv[1])
ds = mg.header(mg.picture())
data = mg.with_text(mg.as_bytes(ds), 0x0028, 0x1050, "1500,5")
mg.write(out / "case" / "L-CC.dcm", mg.with_text(data, 0x0028, 0x1051, "1200,5"))
ds.WindowCenter, ds.WindowWidth = "1500.5", "1200.5"
mg.save(ds, out / "plain" / "L-CC.dcm")
