"""A table in Mirai's form: exams are counted within each patient."""

import csv
import sys
from pathlib import Path

import mg
from PIL import Image

root = Path(sys.argv[1])
root.mkdir(parents=True, exist_ok=True)
rows = []
for patient in (1, 2):
    for exam in (0, 1):
        for side, view in mg.FOUR:
            name = f"{patient}_{exam}_{side}_{view}.png"
            Image.fromarray(mg.picture(side=side, view=view) * 16).save(root / name)
            rows.append(
                {
                    "patient_id": patient,
                    "exam_id": exam,
                    "laterality": side,
                    "view": view,
                    "file_path": name,
                    "years_to_cancer": 100,
                    "years_to_last_followup": 10,
                    "split_group": "test",
                }
            )
with (root / "metadata.csv").open("w", newline="", encoding="utf-8-sig") as file:
    table = csv.DictWriter(file, rows[0])
    table.writeheader()
    table.writerows(rows)
