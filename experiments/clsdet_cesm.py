"""A model trained on phantoms marks real images: localisation on CDD-CESM, for docs/results.

    fourview index CDD_CESM --source cdd_cesm -o FOLDER/manifest
    fourview prepare FOLDER/manifest --spec clsdet-native -o FOLDER/store
    python -m experiments.clsdet_cesm FOLDER RUN [RUN ...]    recall by run, FOLDER/ten_cases.png

A hit is a region whose overlap with the box of a drawn lesion is at least half of the smaller of
the two. Every image is of a malignant breast and many lesions are large, so the same is said of
regions drawn at random, and of the brightest regions.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image as Picture

from fourview.entities import Manifest
from fourview.geometry import Box
from fourview.manifest.manifest import read_manifest
from fourview.predict.reader import load_model
from fourview.store.store import Store

TOP = (1, 3)
NUM_CASES, SEED, REPLICATES = 10, 0, 2000
BOX = ("x0", "y0", "x1", "y1")
Case = tuple[str, pl.DataFrame, list[Box], np.ndarray]  # image, its regions, lesions, hits


def cases_of(manifest: Manifest, predictions: pl.DataFrame) -> list[Case]:
    """Every image with a lesion's box: its regions best first, and which of them hit."""
    regions = predictions.filter((pl.col("unit") == "region") & (pl.col("class") == "cancer"))
    known = manifest.findings.filter(pl.col("x0").is_not_null())
    cases = []
    best_first = regions.sort("image_id", "score", descending=[False, True], maintain_order=True)
    for (image_id,), own in best_first.group_by("image_id", maintain_order=True):
        drawn = known.filter(pl.col("image_id") == image_id).select(BOX)
        lesions = [Box(*corners) for corners in drawn.iter_rows()]
        if not lesions:
            continue
        hits = [any(Box(*c).iom(b) >= 0.5 for b in lesions) for c in own.select(BOX).iter_rows()]
        cases.append((str(image_id), own, lesions, np.array(hits)))
    return cases


def brightest_first(cases: list[Case], manifest: Manifest, store: Store) -> list[Case]:
    """The same images with their regions in the order of their mean brightness."""
    predictions = []
    for image_id, regions, *_ in cases:
        levels, geometry = store.read(image_id), store.geometry(image_id)
        means = []
        for corners in regions.select(BOX).iter_rows():
            box = geometry.box_to_processed(Box(*corners))
            x0, y0, x1, y1 = (round(v) for v in (box.x0, box.y0, box.x1, box.y1))
            means.append(float(levels[max(y0, 0) : y1, max(x0, 0) : x1].mean()))
        predictions.append(regions.with_columns(score=pl.Series(means)))
    return cases_of(manifest, pl.concat(predictions))


def report(cases: list[Case], patients: list[str]) -> None:
    """Share of images with a hit among the best regions, and among as many drawn at random."""
    random = np.random.default_rng(SEED)
    groups = [np.flatnonzero(np.array(patients) == p) for p in sorted(set(patients))]
    for top in TOP:
        found = np.array([hits[:top].any() for *_, hits in cases], dtype=float)
        chance = np.array([_chance(hits, top) for *_, hits in cases])
        draws = [
            np.concatenate([groups[g] for g in random.integers(len(groups), size=len(groups))])
            for _ in range(REPLICATES)
        ]
        low, high = np.quantile([found[d].mean() for d in draws], [0.025, 0.975])
        gap = np.quantile([(found - chance)[d].mean() for d in draws], [0.025, 0.975])
        print(
            f"  best {top}: {found.mean():.3f} ({low:.3f}-{high:.3f}); at random "
            f"{chance.mean():.3f}; difference {np.mean(found - chance):+.3f} "
            f"({gap[0]:+.3f} to {gap[1]:+.3f})"
        )


def _chance(hits: np.ndarray, top: int) -> float:
    """Probability that ``top`` regions drawn without replacement have a hit."""
    miss, n, m = 1.0, len(hits), int((~hits).sum())
    for i in range(min(top, n)):
        miss *= max(m - i, 0) / (n - i)
    return 1 - miss


def draw(cases: list[Case], manifest: Manifest, out: Path) -> None:
    """Ten images drawn by lot: lesions' boxes in red, the three best regions in cyan."""
    import matplotlib as mpl  # noqa: PLC0415 - for the figure only

    mpl.use("Agg")
    from matplotlib import patches  # noqa: PLC0415
    from matplotlib import pyplot as plt  # noqa: PLC0415

    paths = dict(manifest.images.select("image_id", "path").iter_rows())
    chosen = np.random.default_rng(SEED).permutation(len(cases))[:NUM_CASES]
    figure, axes = plt.subplots(2, NUM_CASES // 2, figsize=(11, 5.2))
    for axis, number in zip(axes.flat, sorted(chosen), strict=True):
        image_id, regions, lesions, hits = cases[number]
        axis.imshow(np.asarray(Picture.open(Path(manifest.root) / paths[image_id])), cmap="gray")
        for box in lesions:
            axis.add_patch(_outline(patches, box, "#ff5050", 0.9))
        for corners, score in zip(
            regions.head(3).select(BOX).iter_rows(), regions["score"].head(3), strict=True
        ):
            axis.add_patch(_outline(patches, Box(*corners), "#5ce1e6", 1.6))
            axis.text(corners[0], corners[1] - 4, f"{score:.2f}", color="#5ce1e6", fontsize=6)
        axis.set_title(f"{image_id}: {'hit' if hits[:3].any() else 'missed'}", fontsize=7)
        axis.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(out, dpi=110)


def _outline(patches, box: Box, color: str, width: float):
    return patches.Rectangle(
        (box.x0, box.y0), box.width, box.height, fill=False, ec=color, lw=width
    )


def main() -> None:
    """See the module docstring."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, runs = Path(sys.argv[1]), [Path(run) for run in sys.argv[2:]]
    manifest, store = read_manifest(folder / "manifest"), Store.open(folder / "store")
    owner = dict(manifest.images.select("image_id", "patient_id").iter_rows())
    for number, run in enumerate(runs):
        cases = cases_of(manifest, load_model(run).predict_store(manifest, store))
        patients = [owner[image_id] for image_id, *_ in cases]
        sizes = np.mean([len(hits) for *_, hits in cases])
        print(
            f"{run.name}: {len(cases)} images, {len(set(patients))} patients, {sizes:.0f} regions"
        )
        report(cases, patients)
        if number == 0:
            print("the brightest regions")
            report(brightest_first(cases, manifest, store), patients)
            draw(cases, manifest, folder / "ten_cases.png")


if __name__ == "__main__":
    main()
