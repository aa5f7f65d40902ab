"""A manifest of drawn exams with findings, and a lesion run of seconds on it, for several tests."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import torch

from factory import drawn_manifest, exam_batch
from fourview.checkpoint.card import save_checkpoint
from fourview.entities import Exam, Manifest
from fourview.feeds.kinds.patches import PatchSettings
from fourview.manifest.manifest import make_manifest
from fourview.models.find import find_family
from fourview.models.lesion.model import TINY
from fourview.preprocess.spec import pixel_spec
from fourview.store.prepare import prepare
from fourview.store.raster import read_raster
from fourview.store.store import Store
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig, SplitConfig

SPEC = "mvccl-192x96"
COUNTS = (6, 6, 4, 4)
FINDINGS = (("a", 1, 40.0), ("b", 0, 110.0))  # name, malignant, first row of a box of 20 x 20


def manifest_with_findings(root: Path, *, num_patients: int = 8) -> Manifest:
    """Right breasts have a malignant and a benign finding in both views, left ones none."""
    (root / "pictures").mkdir(parents=True)
    base = drawn_manifest(root / "pictures", num_patients=num_patients)
    rows = [
        {
            **{k: image[k] for k in ("patient_id", "exam_id", "image_id", "side")},
            "finding_id": f"{image['exam_id']}-{name}",
            "malignant": malignant,
            "kind": "mass",
            "frame": "stored",
            **{"x0": 70.0, "y0": y, "x1": 90.0, "y1": y + 20},
        }
        for image in base.images.filter(pl.col("side") == "R").iter_rows(named=True)
        for name, malignant, y in FINDINGS
    ]
    return make_manifest(
        source=base.source,
        root=base.root,
        images=base.images,
        breasts=base.breasts,
        exams=base.exams,
        findings=pl.DataFrame(rows),
        terms=base.terms,
    )


def store_of(manifest: Manifest, root: Path) -> Store:
    prepare(manifest, pixel_spec(SPEC), root / "store", workers=1)
    return Store.open(root / "store")


def exam_of(manifest: Manifest, patient: int = 0) -> Exam:
    """The exam of a patient, read from its pictures."""
    rows = manifest.images.filter(pl.col("patient_id") == f"p{patient:02d}")
    images = [
        read_raster(Path(manifest.root) / row["path"], row) for row in rows.iter_rows(named=True)
    ]
    return Exam(patient_id=f"p{patient:02d}", exam_id=f"e{patient:02d}", images=tuple(images))


def context_checkpoint(folder: Path) -> tuple[Path, tuple[int, int]]:
    """A GMIC with random weights, and the grid of its maps."""
    family = find_family("gmic")
    torch.manual_seed(0)
    model = family.build(family.tiny_config).eval()
    save_checkpoint(
        folder,
        model,
        recipe="gmic:tiny",
        family="gmic",
        config=family.tiny_config,
        spec=pixel_spec(SPEC),
        terms="of the context",
    )

    with torch.no_grad():
        grid = model(exam_batch("0", size=(192, 96))).saliency.shape[2:]
    return folder, (int(grid[0]), int(grid[1]))


def patch_recipe() -> Recipe:
    """A stage of one epoch."""
    return Recipe(
        name="lesion:tiny_patch",
        family="lesion",
        stage="patch",
        model=TINY,
        feed=PatchSettings(sides=(10, 30), patch_px=16, per_epoch=COUNTS, windows=4),
        pixel_spec=SPEC,
        batch=5,
        epochs=1,
        optimizer=OptimizerConfig(lr=1e-3, search=(1e-4, 1e-2)),
        schedule=ScheduleConfig(name="constant"),
        split=SplitConfig(train=0.5, validation=0.25, test=0.25),
        select="auc",
        patience_epochs=1,
    )


def aggregate_recipe(grid: tuple[int, int]) -> Recipe:
    """The stage after it."""
    before = patch_recipe()
    return replace(
        before,
        name="lesion:tiny",
        stage="aggregate",
        feed=replace(before.feed, grid=grid),
        starts_from="lesion:tiny_patch",
        context="gmic:tiny",
    )
