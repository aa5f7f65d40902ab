"""The model that ships with the package: the phantoms it is made of, and what it reaches.

    python -m experiments.packaged phantoms SET FOLDER         make a set: learn or unseen
    python -m experiments.packaged measure FOLDER MODEL ...    a table of models on a set

FOLDER is a set with its truth. What is made there is kept, and made further where it was stopped:
``manifest``, ``store-SPEC``, ``NAME.parquet`` of each model. A MODEL is a run, a checkpoint or the
name of one in the package. ``predict/embedded/single_view-located/README.md`` has the figures.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from fourview.evaluate.auc import auroc
from fourview.evaluate.run import evaluate
from fourview.evaluate.wilson import wilson
from fourview.manifest.manifest import read_manifest, write_manifest
from fourview.phantom.preset import SCREENING, Preset
from fourview.phantom.tables import unpack_mask
from fourview.phantom.write import write_phantom
from fourview.predict.reader import load_model
from fourview.sources.find import find_source
from fourview.store.prepare import prepare
from fourview.store.store import Store

ROWS = 768  # 0.3 mm pixels: finer than any model of the package reads
PLAIN = ("1.2.840.10008.1.2.1",)
DIGITAL = ("A", "B", "C")
DIGITAL_AND_FILM = (*DIGITAL, *DIGITAL, "film")  # a seventh on film
PROTOCOL = "screening-breast-v1"
SPECIFICITY = 0.9  # a cancer is found where its breast's score is above this part of the others

TO_LEARN = replace(
    SCREENING,
    name="screening-to-learn",  # as screening, with more of everything that is rare
    p_cancer=0.5,
    cancer_kinds={"mass_malignant": 0.62, "calc_malignant": 0.28, "distortion": 0.1},
    p_benign_mass=0.3,
    p_benign_calc=0.3,
    p_summation=0.05,
)
WITH_CANCERS = replace(
    SCREENING,
    name="screening-with-cancers",  # as screening in all but the rate of cancers
    p_cancer=0.2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSet:
    """One set of phantom exams."""

    preset: Preset
    exams: int
    seed: int
    vendors: tuple[str, ...]


SETS = {
    "learn": PhantomSet(preset=TO_LEARN, exams=900, seed=8101, vendors=DIGITAL_AND_FILM),
    "unseen": PhantomSet(preset=WITH_CANCERS, exams=1000, seed=8102, vendors=DIGITAL),
}


def make(name: str, folder: Path, exams: int | None) -> None:
    """Make the phantoms of a set that are missing."""
    chosen = SETS[name]
    summary = write_phantom(
        folder,
        num_exams=exams or chosen.exams,
        seed=chosen.seed,
        preset=chosen.preset,
        rows=ROWS,
        vendors=chosen.vendors,
        syntaxes=PLAIN,
    )
    print(f"{summary.num_exams} exams, {summary.num_cancers} breasts with cancer in {folder}")


def measure(folder: Path, models: Sequence[str]) -> None:
    """Print what models reach on a set."""
    if not (folder / "manifest").exists():
        write_manifest(find_source("phantom")(folder), folder / "manifest")
    for number, model in enumerate(models):
        table = _scored(folder, model)
        if not number:
            print("| model | what | breasts | AUC | found | region on the mask | among its parts |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in _rows(folder, table):
            print(f"| {Path(model).name} | " + " | ".join(row) + " |", flush=True)


def _scored(folder: Path, model: str) -> pl.DataFrame:
    """A model's predictions of all exams; kept beside them."""
    kept = folder / f"{Path(model).name}.parquet"
    if kept.exists():
        return pl.read_parquet(kept)
    reader, manifest = load_model(model), read_manifest(folder / "manifest")
    store = folder / f"store-{reader.spec.name}"
    prepare(manifest, reader.spec, store, workers=1)
    table = reader.predict_store(manifest, Store.open(store))
    table.write_parquet(kept)
    return table


def _rows(folder: Path, table: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    """All cancers, then each kind of them, against the breasts without any."""
    manifest = read_manifest(folder / "manifest")
    truth = pl.read_parquet(folder / "truth" / "findings.parquet")
    breasts = _breasts(manifest.breasts, table, truth)
    score, cancer = breasts["score"].to_numpy(), breasts["cancer"].to_numpy() == 1
    threshold = float(np.quantile(score[~cancer], SPECIFICITY))
    measured = evaluate(table, manifest, PROTOCOL)
    auc = next(m for m in measured.metrics if m.name == "auroc")
    for kind in ("", *sorted(breasts["kind"].drop_nulls().unique())):
        own = cancer & (breasts["kind"] == kind).fill_null(False).to_numpy() if kind else cancer
        chosen = own | ~cancer
        value = f"{auroc(score[chosen], own[chosen]):.3f}"
        if not kind:
            value += f" ({auc.low:.3f} to {auc.high:.3f})"
        found = own & (score > threshold)
        hits = [_hits(row, table, truth) for row in breasts.filter(found).iter_rows(named=True)]
        yield (
            kind.replace("_", " ") or "all cancers",
            f"{own.sum()} of {chosen.sum()}",
            value,
            _share(int(found.sum()), int(own.sum())),
            _share(sum(on for on, _ in hits), len(hits)),
            _share(sum(among for _, among in hits), len(hits)),
        )


def _breasts(known: pl.DataFrame, table: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    """exam_id, side, cancer, score, and the kind of the cancer."""
    keys = ["exam_id", "side"]
    scores = table.filter((pl.col("unit") == "breast") & (pl.col("class") == "cancer"))
    kinds = truth.filter(pl.col("malignant") == 1).unique(keys).select(*keys, "kind")
    joined = known.select(*keys, "cancer").join(scores.select(*keys, "score"), on=keys)
    return joined.join(kinds, on=keys, how="left").sort(keys)


def _hits(breast: dict[str, object], table: pl.DataFrame, truth: pl.DataFrame) -> tuple[bool, bool]:
    """Whether the middle of a breast's highest region lies on its cancer, and among its parts."""
    own = (pl.col("exam_id") == breast["exam_id"]) & (pl.col("side") == breast["side"])
    regions = table.filter(own & (pl.col("unit") == "region") & (pl.col("class") == "cancer"))
    if regions.is_empty():
        return False, False
    best = regions.sort("score", descending=True, maintain_order=True).row(0, named=True)
    x, y = (best["x0"] + best["x1"]) / 2, (best["y0"] + best["y1"]) / 2
    there = own & (pl.col("malignant") == 1) & (pl.col("image_id") == best["image_id"])
    on = among = False
    for row in truth.filter(there & pl.col("mask").is_not_null()).iter_rows(named=True):
        size = int(row["y1"] - row["y0"]), int(row["x1"] - row["x0"])
        mask = unpack_mask(row["mask"], *size).astype(np.uint8)
        hull = cv2.convexHull(cv2.findNonZero(mask))
        around = cv2.fillConvexPoly(np.zeros_like(mask), hull, 1)
        col, line = int(x - row["x0"]), int(y - row["y0"])
        if 0 <= x - row["x0"] < size[1] and 0 <= y - row["y0"] < size[0]:
            on |= bool(mask[line, col])
            among |= bool(around[line, col])
    return on, among


def _share(count: int, of: int) -> str:
    if not of:
        return "none"
    low, high = wilson(count, of)
    return f"{count / of:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    phantoms = commands.add_parser("phantoms")
    phantoms.add_argument("set", choices=SETS)
    phantoms.add_argument("folder", type=Path)
    phantoms.add_argument("--exams", type=int, help="fewer than the set has, or more")
    measured = commands.add_parser("measure")
    measured.add_argument("folder", type=Path)
    measured.add_argument("models", nargs="+")
    given = parser.parse_args()
    if given.command == "phantoms":
        make(given.set, given.folder, given.exams)
    else:
        measure(given.folder, given.models)


if __name__ == "__main__":
    main()
