"""What people hand to `read` by mistake: a ZIP of an exam, a folder of PNGs."""

import sys
import zipfile
from pathlib import Path

import mg
from PIL import Image

root = Path(sys.argv[1])
(root / "zip").mkdir(parents=True, exist_ok=True)
(root / "png").mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(root / "zip" / "exam.zip", "w") as archive:
    for number, (side, view) in enumerate(mg.FOUR, start=1):
        pixels = mg.picture(side=side, view=view)
        ds = mg.header(pixels, side=side, view=view, number=number)
        archive.writestr(f"{side}-{view}.dcm", mg.as_bytes(ds))
        Image.fromarray(pixels * 16).save(root / "png" / f"{side}_{view}.png")
