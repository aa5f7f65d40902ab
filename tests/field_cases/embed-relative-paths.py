"""EMBED tables whose anon_dicom_path begins with ./images/, as the release has it."""

import csv
import sys
from pathlib import Path

import mg

root = Path(sys.argv[1])
images = []
for number, (side, view) in enumerate(mg.FOUR, start=1):
    path = f"cohort_1/10000001/1.2.3.1/1.2.3.1.{number}/2.25.{number}.dcm"
    pixels = mg.picture(side=side, view=view, seed=number)
    mg.save(mg.header(pixels, side=side, view=view, number=number), root / "images" / path)
    images.append(
        {
            "empi_anon": 10000001,
            "acc_anon": 5000000001,
            "anon_dicom_path": f"./images/{path}",
            "FinalImageType": "2D",
            "ImageLateralityFinal": side,
            "ViewPosition": view,
            "StudyDescription": "MG Screening Bilateral",
            "SeriesDescription": f"{side} {view}",
            "spot_mag": "",
            "ROI_coords": "()",
            "num_roi": 0,
        }
    )
findings = [
    {
        "empi_anon": 10000001,
        "acc_anon": 5000000001,
        "desc": "MG Screening Bilateral",
        "side": "",
        "asses": "N",
        "tissueden": 2,
        "age_at_study": 55,
        "numfind": 1,
        "path_severity": "",
        "bside": "",
    }
]
(root / "tables").mkdir(parents=True, exist_ok=True)
for name, rows in (("metadata", images), ("clinical", findings)):
    with (root / "tables" / f"EMBED_OpenData_{name}.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
