"""A header of a mammogram read by ours and by pydicom: the same attributes of the same file."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom

from benchmarks.index import template
from fourview.dicom.header import read_header

WANTED = ("SOPInstanceUID", "PatientID", "StudyInstanceUID", "Rows", "Columns", "ViewPosition")


def median_s(action: Callable[[], object], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def run() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.dcm"
        path.write_bytes(template())

        def plain() -> list[object]:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            return [dataset.get(name) for name in WANTED]

        ours, theirs = median_s(lambda: read_header(path), 500), median_s(plain, 500)
    return [
        {"name": "header of 100 elements", "ours": ours, "plain": theirs, "ratio": theirs / ours,
         "floor": 2}
    ]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(row)
