"""The RSNA table with PNG exports in place of the DICOM files."""

import csv
import sys
from pathlib import Path

import mg
from PIL import Image

root = Path(sys.argv[1])
folder = root / "train_images" / "10006"
folder.mkdir(parents=True, exist_ok=True)
rows = []
for number, (side, view) in enumerate(mg.FOUR):
    image_id = 900000 + number
    Image.fromarray(mg.picture(side=side, view=view) * 16).save(folder / f"{image_id}.png")
    rows.append(
        {
            "site_id": 2,
            "patient_id": 10006,
            "image_id": image_id,
            "laterality": side,
            "view": view,
            "age": 61.0,
            "cancer": 0,
            "biopsy": 0,
            "invasive": 0,
            "BIRADS": "",
            "implant": 0,
            "density": "",
            "machine_id": 29,
            "difficult_negative_case": False,
        }
    )
with (root / "train.csv").open("w", newline="") as file:
    table = csv.DictWriter(file, rows[0])
    table.writeheader()
    table.writerows(rows)
