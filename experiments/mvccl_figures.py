"""Pictures of docs/results/mvccl.md: cases with scores, as in Chen et al. 2022, Fig. 3.

    python -m experiments.mvccl_figures FOLDER OUT

Cases are the first of the test set of their kind, in the manifest's order; nobody chose them.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl

from experiments.mvccl import tables, with_truth
from fourview.entities import Manifest
from fourview.geometry import Box
from fourview.manifest.manifest import read_manifest
from fourview.store.store import Store

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

PER_KIND = 2
KINDS = {
    "cancer, both views": pl.col("malignant_mode") == "both",
    "cancer, one view": pl.col("malignant_mode").is_in(["cc_only", "mlo_only"]),
    "stars in both views, none real": (pl.col("shadows") == 2) & (pl.col("cancer") == 0),
}
SHOWN = ("single", "fusion", "full")
COLOURS = {"mass_malignant": "#ff4d4d", "mass_benign": "#5aa9ff", "summation": "#ffd24d"}


def draw(root: Path, out: Path) -> None:
    """One row of pictures a kind: CC and MLO of each case, truth in colours, scores above."""
    manifest = read_manifest(root / "test_a" / "manifest")
    store = Store.open(root / "test_a" / "store")
    scores = {row: _mean_scores(tables(root, row, "test_a")) for row in SHOWN}
    breasts = with_truth(manifest)
    figure, axes = plt.subplots(len(KINDS), 2 * PER_KIND, figsize=(8.4, 13.2), facecolor="black")
    for line, (kind, rule) in zip(axes, KINDS.items(), strict=True):
        for number, case in enumerate(breasts.filter(rule).head(PER_KIND).iter_rows(named=True)):
            key = (case["exam_id"], case["side"])
            said = ", ".join(f"{row} {scores[row][key]:.2f}" for row in SHOWN)
            for place, view in enumerate(("CC", "MLO")):
                axis = line[2 * number + place]
                _show(axis, manifest, store, key, view)
                title = f"{kind}\n{said}" if place == 0 else view
                axis.set_title(title, fontsize=7.5, color="white", loc="left")
    figure.tight_layout()
    figure.savefig(out / "mvccl_cases.png", dpi=110, facecolor="black")


def _show(
    axis: plt.Axes, manifest: Manifest, store: Store, key: tuple[str, str], view: str
) -> None:
    exam_id, side = key
    image = manifest.images.filter(
        (pl.col("exam_id") == exam_id) & (pl.col("side") == side) & (pl.col("view") == view)
    ).row(0, named=True)["image_id"]
    axis.imshow(store.read(image), cmap="gray")
    axis.axis("off")
    for found in manifest.findings.filter(pl.col("image_id") == image).iter_rows(named=True):
        stored = Box(found["x0"], found["y0"], found["x1"], found["y1"])
        box = store.geometry(image).box_to_processed(stored)
        colour = COLOURS[found["phantom_kind"]]
        axis.add_patch(
            Rectangle((box.x0, box.y0), box.width, box.height, fill=False, color=colour, lw=1)
        )


def _mean_scores(found: list[pl.DataFrame]) -> dict[tuple[str, str], float]:
    """Of the runs, by breast."""
    breasts = [
        t.filter(pl.col("unit") == "breast").select("exam_id", "side", "score") for t in found
    ]
    mean = pl.concat(breasts).group_by("exam_id", "side").agg(pl.col("score").mean())
    return {(e, s): float(np.round(v, 2)) for e, s, v in mean.iter_rows()}


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
