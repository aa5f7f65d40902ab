"""What experiments/lesion*.toml name: a recipe, and scores of findings with other maps around them.

fourview study experiments/lesion.toml -o OUT
fourview study experiments/lesion_place.toml -o OUT
python -m experiments.lesion OUT FILE.png      the curve of biopsies avoided over cancers missed
"""

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from fourview.entities import Manifest
from fourview.evaluate.table import read_predictions
from fourview.feeds.feed import MAPS, FeedRequest, find_feed
from fourview.feeds.samples import Sample
from fourview.predict.network import context_of, load_network
from fourview.recipes.lesion import small_lite
from fourview.run_files import CONTEXT, PREDICTIONS, SPLIT
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.study.study_runs import Run
from fourview.train.recipe import Recipe

AT_ONCE = 32
RATIO = math.log(0.65 / 0.35) - math.log(0.15 / 0.85)  # of odds, in ``biopsied`` and in ``placed``
DEEP_MM = 35.0  # of ``placed``


def alone() -> Recipe:
    """``lesion:small_lite`` for maps that need no context network."""
    return replace(small_lite(), name="lesion:small_lite_alone", context=None)


RECIPES = {"lesion:small_lite_alone": alone}


def scores(
    run: Run,
    *,
    manifest: Manifest,
    store: Store,
    part: str | None,
    around: Literal["stranger", "satellites", "depth", "other_depth"],
) -> pl.DataFrame:
    """The score of every finding with a biopsy, the mean over its images.

    Args:
        run: Of a lesion network.
        manifest: With the run's split.
        store: Its pixels.
        part: Which findings.
        around: What is known beside the windows: the saliency maps of a ``stranger``'s breast, of
            the same side and view, in place of its own (a network without any is as it was); or
            what the odds depend on, from the truth: whether there are ``satellites`` in the breast,
            or the mass is at a ``depth`` of little; ``other_depth`` is that of another mass. Its
            odds are added to the score's.

    Returns:
        ``patient_id``, ``finding_id``, ``score``, ``plain`` (without what was added) and ``known``
        (malignant or not).
    """
    if around == "stranger" and (run.folder / CONTEXT).exists():
        table = _with_strangers(run, manifest, store, part)
    else:
        table = read_predictions(run.folder / PREDICTIONS)[0]
    exams = manifest.exams if part is None else manifest.exams.filter(pl.col("split") == part)
    found = (
        table.filter(pl.col("unit") == "finding")
        .join(exams.select("exam_id"), on="exam_id", how="semi")
        .group_by("patient_id", "finding_id")
        .agg(pl.col("score").mean())
        .join(_known(manifest), on="finding_id")
        .sort("finding_id")
        .with_columns(plain=pl.col("score"))
        .with_columns(
            other_depth=pl.col("depth").gather((pl.int_range(pl.len()) + pl.len() // 2) % pl.len())
        )
    )
    if around != "stranger":
        odds = (pl.col("score") / (1 - pl.col("score"))).log()
        found = found.with_columns(score=odds + RATIO * pl.col(around))
    return found.select("patient_id", "finding_id", "score", "plain", "known")


def _known(manifest: Manifest) -> pl.DataFrame:
    """Of every finding with a biopsy: its nature, and what its odds depend on."""
    breast = ["exam_id", "side"]
    beside = manifest.findings.filter(pl.col("phantom_kind") == "satellite").select(breast).unique()
    masses = manifest.findings.filter(pl.col("malignant").is_not_null())
    masses = masses.join(beside.with_columns(satellites=True), on=breast, how="left")
    return masses.group_by("finding_id").agg(
        known=pl.col("malignant").first() == 1,
        satellites=pl.col("satellites").first().fill_null(False).cast(pl.Float64),
        depth=(pl.col("x_ap_mm").first() < DEEP_MM).cast(pl.Float64),
    )


def _with_strangers(run: Run, manifest: Manifest, store: Store, part: str | None) -> pl.DataFrame:
    """Predictions of a part with each image's heatmaps in place of another patient's."""
    network = load_network(run.folder)
    assert network.context is not None
    make = find_feed(network.family.reads.feed).make
    parts = None if part is None else (part,)
    request = FeedRequest(classes={}, part=parts, settings=network.settings)
    samples = make(manifest, store, request).samples
    images = {image for sample in samples for image in sample.images}
    maps = context_of(network.context, manifest, store, images=images)
    swapped = Said(maps.about)
    for image_id, other in strangers(samples).items():
        swapped.write(image_id, {MAPS: maps.read(other, MAPS)})
    feed = make(manifest, store, replace(request, context=swapped))
    return network.table(feed, batch_size=AT_ONCE)


def strangers(samples: tuple[Sample, ...] | list[Sample]) -> dict[str, str]:
    """For each image one of another patient, of the same side and view; every one is taken once.

    Raises:
        ValueError: A side and view is there of one patient alone.
    """
    groups: dict[int, dict[str, list[str]]] = {}
    for sample in samples:
        for image_id, slot in zip(sample.images, sample.slots, strict=True):
            own = groups.setdefault(slot, {}).setdefault(sample.patient_id, [])
            own += [image_id] if image_id not in own else []
    found: dict[str, str] = {}
    for slot, patients in groups.items():
        if len(patients) < 2:
            raise ValueError(f"slot {slot}: one patient alone; need two")
        images = [image for own in patients.values() for image in own]  # a patient's together
        shift = max(len(own) for own in patients.values())
        if 2 * shift > len(images):
            raise ValueError(f"slot {slot}: one patient has more than half of the images")
        found |= dict(zip(images, images[shift:] + images[:shift], strict=True))
    return found


def miss_curve(table: pl.DataFrame, at: np.ndarray) -> np.ndarray:
    """Share of benign findings below a threshold that misses no more than these shares of cancers.

    Args:
        table: ``score`` and ``known``.
        at: Shares of missed cancers, 0 to 1.
    """
    malignant = np.sort(table.filter(pl.col("known"))["score"].to_numpy())
    benign = table.filter(~pl.col("known"))["score"].to_numpy()
    missed = np.minimum(np.floor(at * len(malignant) + 1e-9).astype(int), len(malignant) - 1)
    return np.asarray((benign[None] < malignant[missed][:, None]).mean(axis=1))


def draw(out: Path, picture: Path) -> None:
    """The curve of three rows: mean over splits, and the range of the splits."""
    import matplotlib as mpl  # noqa: PLC0415 - for the figure only

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    at = np.linspace(0, 0.3, 121)
    findings = pl.read_parquet(out / "data" / "biopsied" / "manifest" / "findings.parquet")
    labels = (
        findings.filter(pl.col("malignant").is_not_null())
        .select("finding_id", known=pl.col("malignant") == 1)
        .unique()
    )
    figure, axis = plt.subplots(figsize=(6, 4))
    for row in ("embedding", "saliency", "embedding_saliency"):
        curves = []
        for run in sorted((out / "runs").glob(f"{row}-[0-9]")):
            test = pl.read_json(run / SPLIT)["test"].explode()
            table = read_predictions(run / PREDICTIONS)[0].filter(
                (pl.col("unit") == "finding") & pl.col("patient_id").is_in(test.implode())
            )
            mean = table.group_by("finding_id").agg(pl.col("score").mean())
            curves.append(miss_curve(mean.join(labels, on="finding_id"), at))
        (line,) = axis.plot(at, np.mean(curves, axis=0), label=f"{row}, {len(curves)} splits")
        low, high = np.min(curves, axis=0), np.max(curves, axis=0)
        axis.fill_between(at, low, high, alpha=0.15, color=line.get_color(), lw=0)
    axis.set(xlabel="malignant findings missed (FNR)", ylabel="benign biopsies avoided (TNR)")
    axis.set(xlim=(0, 0.3), ylim=(0, 1))
    axis.grid(alpha=0.3)
    axis.legend(loc="upper left", fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
