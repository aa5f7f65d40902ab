"""What the pixel contract alone holds between two machines, for docs/results/mvccl.md.

    python -m experiments.mvccl_pixels FOLDER

The same breasts stand in test_a and test_c, drawn as vendor A's and as vendor C's files, and in
train_a and half of train_ab as A's and B's. Compared are the stored values scaled from least to
greatest, as code does that looks no further than the pixel array, and the processed pixels.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from fourview.dicom.image import read_image
from fourview.entities import Manifest
from fourview.manifest.manifest import read_manifest
from fourview.store.store import Store

NUM_EXAMS = 100
SETS = {"C": ("test_a", "test_c"), "B": ("train_a", "train_ab")}


def pairs(one: Manifest, two: Manifest, vendor: str) -> pl.DataFrame:
    """Images of the same views of the same breasts, of the first exams of both."""
    keys = ["patient_id", "side", "view"]
    of_vendor = two.images.filter(pl.col("vendor").str.ends_with(vendor))
    patients = of_vendor["patient_id"].unique(maintain_order=True).head(NUM_EXAMS).to_list()
    first = one.images.filter(pl.col("patient_id").is_in(patients))
    theirs = of_vendor.select(*keys, other="image_id", other_path="path")
    return first.join(theirs, on=keys, how="inner")


def stored(manifest: Manifest, path: str) -> np.ndarray:
    """Stored values from least to greatest as 0 to 1."""
    pixels = read_image(Path(manifest.root) / path).pixels.astype(np.float64)
    scaled: np.ndarray = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    return scaled


def alike(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Correlation and mean absolute difference of pixels."""
    gap = float(np.abs(a[inside] - b[inside]).mean())
    return float(np.corrcoef(a[inside], b[inside])[0, 1]), gap


def main() -> None:
    """See the module docstring."""
    for vendor, names in SETS.items():
        compare(Path(sys.argv[1]), vendor, names)


def compare(root: Path, vendor: str, names: tuple[str, str]) -> None:
    """Print medians over the pairs of vendor A and another."""
    sets = [read_manifest(root / name / "manifest") for name in names]
    stores = [Store.open(root / name / "store") for name in names]
    raw, contract = [], []
    for row in pairs(sets[0], sets[1], vendor).iter_rows(named=True):
        a, c = (
            s.read(i) / 65535 for s, i in zip(stores, (row["image_id"], row["other"]), strict=True)
        )
        contract.append(alike(a, c, (a > 0) & (c > 0)))
        left, right = stored(sets[0], row["path"]), stored(sets[1], row["other_path"])
        raw.append(alike(left, right, left > 0.05))
    for name, found in (("stored values, scaled", raw), ("processed pixels", contract)):
        correlation, gap = np.median(found, axis=0)
        print(f"| A and {vendor} | {name} | {correlation:.3f} | {gap:.3f} |  {len(found)} pairs")


if __name__ == "__main__":
    main()
