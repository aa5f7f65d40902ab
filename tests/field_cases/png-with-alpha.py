"""A grey picture saved as RGBA, opaque everywhere, and its table."""

import sys
from pathlib import Path

import mg
import numpy as np
from PIL import Image

root = Path(sys.argv[1])
root.mkdir(parents=True, exist_ok=True)
grey = Image.fromarray((mg.picture() >> 4).astype(np.uint8))
grey.save(root / "plain.png")
grey.convert("RGBA").save(root / "case.png")
lines = [f"{n},{n},{n},L,CC,{n}.png" for n in ("plain", "case")]
(root / "table.csv").write_text(
    "\n".join(["patient_id,exam_id,image_id,side,view,path", *lines]) + "\n"
)
