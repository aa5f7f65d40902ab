"""MaMA, GLAM and CLIP on phantoms: the runs and figures of docs/results/vlp.md.

    python -m experiments.vlp data PHANTOMS PLAIN FOLDER   manifests and stores
    python -m experiments.vlp train FOLDER [ROW ...]       what is missing of the runs, one by one
    python -m experiments.vlp measure FOLDER               tables of what is there
    python -m experiments.vlp maps FOLDER [PART]           only whether maps lie on findings

PHANTOMS and PLAIN are folders of ``fourview phantom``, of the presets miniature and plain. Runs go
to FOLDER/runs/ROW-SEED; what is there already is kept, and a run that was stopped goes on.
Intervals are percentiles of 2,000 bootstrap replicates; a replicate draws seeds and patients and
takes the mean over the seeds that it drew.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from experiments.vlp_maps import Part, sentence_hits, slice_hits, told_apart
from fourview.evaluate.auc import auroc
from fourview.manifest.manifest import read_manifest, write_manifest
from fourview.predict.language import LanguageModel, load_language_model
from fourview.preprocess.spec import pixel_spec
from fourview.recipes import clip, glam, mama
from fourview.run_files import BEST
from fourview.sources.phantom import read_phantom
from fourview.store.prepare import prepare
from fourview.store.store import Store
from fourview.train.recipe import Recipe
from fourview.train.run import train

SEEDS = (0, 1, 2, 3, 4, 5)
SEEDS_OF_PLAIN = (0, 1, 2)  # two minutes each
ROWS: dict[str, Callable[[], Recipe]] = {
    "mama": mama.phantom,
    "glam": glam.phantom,
    "clip": clip.phantom,
    "glam_unaligned": glam.phantom_unaligned,
    "findings": mama.phantom_findings,
    "findings_visual": mama.phantom_findings_visual,
    "findings_late": mama.phantom_findings_late,
}
PLAIN = tuple(row for row in ROWS if row.startswith("findings"))  # on the plain phantoms: maps only
SPECS = ("glam-96x48", "vlp-96x48")
PROMPTS = "vindr-density"
DENSITIES = ("A", "B", "C", "D")
REPLICATES = 2000
Interval = tuple[float, float, float]


def data(phantoms: Path, plain: Path, folder: Path) -> None:
    """Manifests of both sets; pixels of the first turned and not turned, of the other finer."""
    manifest = read_phantom(phantoms)
    write_manifest(manifest, folder / "manifest")
    for spec in SPECS:
        prepare(manifest, pixel_spec(spec), folder / f"store-{spec}")
    manifest = read_phantom(plain)
    write_manifest(manifest, folder / "manifest-plain")
    spec = mama.phantom_findings().pixel_spec
    prepare(manifest, pixel_spec(spec), folder / f"store-plain-{spec}")


def places(row: str, folder: Path) -> tuple[Path, Path]:
    """The manifest and the store of a row."""
    plain = "-plain" if row in PLAIN else ""
    return folder / f"manifest{plain}", folder / f"store{plain}-{ROWS[row]().pixel_spec}"


def train_all(folder: Path, rows: Sequence[str]) -> None:
    """Every run of these rows that is not done yet, a seed of all before the next seed."""
    for seed in SEEDS:
        for name in rows:
            if name in PLAIN and seed not in SEEDS_OF_PLAIN:
                continue
            out = folder / "runs" / f"{name}-{seed}"
            if (out / "done").exists():
                continue
            run = replace(ROWS[name](), seed=seed)
            manifest, store = places(name, folder)
            began, used = time.time(), time.process_time()
            train(
                run,
                read_manifest(manifest),
                Store.open(store),
                out,
                resume=(out / "log.jsonl").exists(),
                cache_bytes=2**31,
            )
            spent = f"{time.time() - began:.0f} s, {time.process_time() - used:.0f} s of CPU"
            (out / "done").write_text(spent + "\n")
            print(f"{name} {seed}: {spent}", flush=True)


def zero_shot_density(model: LanguageModel, part: Part) -> tuple[pl.DataFrame, np.ndarray]:
    """Test images, and the class that each is given."""
    table = model.zero_shot(part.manifest, part.store, PROMPTS, splits=[part.name], batch_size=64)
    best = (
        table.filter(pl.col("unit") == "image")
        .sort("score", descending=True)
        .unique("image_id", keep="first", maintain_order=True)
        .select("image_id", "class")
    )
    joined = part.of().join(best, on="image_id")
    return joined, joined["class"].to_numpy()


def balanced_accuracy(given: np.ndarray, known: np.ndarray, weight: np.ndarray) -> float:
    """The mean over classes of the part that is given its class."""
    recalls = [
        weight[(known == c) & (given == c)].sum() / weight[known == c].sum()
        for c in DENSITIES
        if weight[known == c].sum() > 0
    ]
    return float(np.mean(recalls))


def tower_features(model: LanguageModel, part: Part, images: list[str]) -> np.ndarray:
    """Pooled features before any head."""
    found = []
    for start in range(0, len(images), 128):
        pixels = part.pixels(images[start : start + 128])
        with torch.inference_mode():
            found.append(model.model.image_tower(pixels).pooled.numpy())
    return np.concatenate(found)


def probe_birads(model: LanguageModel, part: Part) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Test images, scores of a linear probe, and its classes."""
    known = pl.col("birads").is_not_null()
    parts = [images.filter(known) for images in (part.of("train"), part.of())]
    features = [tower_features(model, part, p["image_id"].to_list()) for p in parts]
    scale = StandardScaler().fit(features[0])
    probe = LogisticRegression(class_weight="balanced", max_iter=2000)
    probe.fit(scale.transform(features[0]), parts[0]["birads"].to_numpy())
    return parts[1], probe.predict_proba(scale.transform(features[1])), probe.classes_


def macro_auc(scores: np.ndarray, known: np.ndarray, classes: np.ndarray) -> float:
    """The mean over classes of one against the rest."""
    return float(
        np.mean([auroc(scores[:, k].astype(np.float64), known == c) for k, c in enumerate(classes)])
    )


def over_runs(
    patients: list[np.ndarray], statistic: Callable[[int, np.ndarray], float]
) -> Interval:
    """The mean over seeds of a statistic of weights, with its interval over seeds and patients.

    Args:
        patients: Of each seed, whose each unit is; the same patients in all seeds.
        statistic: Seed and a weight for each unit to the number.
    """
    names = np.unique(np.concatenate(patients))
    places = [np.searchsorted(names, p) for p in patients]
    draw = np.random.default_rng(0)

    def of(seeds: np.ndarray, counts: np.ndarray) -> float:
        each = {s: statistic(int(s), counts[places[s]]) for s in np.unique(seeds)}
        return float(np.mean([each[s] for s in seeds]))

    def drawn(num: int) -> np.ndarray:
        return draw.integers(num, size=num)

    every = np.arange(len(places))
    value = of(every, np.ones(len(names)))
    found = [
        of(drawn(len(every)), np.bincount(drawn(len(names)), minlength=len(names)).astype(float))
        for _ in range(REPLICATES)
    ]
    low, high = np.nanquantile(found, [0.025, 0.975])
    return value, float(low), float(high)


def weighted_macro_auc(
    scores: np.ndarray, known: np.ndarray, classes: np.ndarray, weight: np.ndarray
) -> float:
    """``macro_auc`` of a replicate: units repeated as often as their patient was drawn."""
    again = np.repeat(np.arange(len(known)), weight.astype(int))
    if any(not (known[again] == c).any() or (known[again] == c).all() for c in classes):
        return float("nan")
    return macro_auc(scores[again], known[again], classes)


class Measured:
    """What all finished runs say of a part's images.

    Args:
        folder: Of ``data`` and ``train``.
        part: Name of the part of the split.
        figures: Also ask the prompts and train the probes.
    """

    def __init__(self, folder: Path, part: str = "test", *, figures: bool = True) -> None:
        runs = folder / "runs"
        self.done = {
            name: [s for s in SEEDS if (runs / f"{name}-{s}" / "done").exists()] for name in ROWS
        }
        self.models = {
            (name, seed): load_language_model(runs / f"{name}-{seed}" / BEST)
            for name, seeds in self.done.items()
            for seed in seeds
        }
        self.parts = {
            name: Part(*places(name, folder), ROWS[name](), part)
            for name in ROWS
            if self.done[name]
        }
        asked = {k: m for k, m in self.models.items() if figures and k[0] not in PLAIN}
        self.density = {k: zero_shot_density(m, self.parts[k[0]]) for k, m in asked.items()}
        self.birads = {k: probe_birads(m, self.parts[k[0]]) for k, m in asked.items()}

    def of_density(self, name: str, seed: int, weight: np.ndarray) -> float:
        """Balanced accuracy of a run."""
        table, given = self.density[name, seed]
        return balanced_accuracy(given, table["density"].to_numpy(), weight)

    def of_birads(self, name: str, seed: int, weight: np.ndarray) -> float:
        """Macro AUC of a run."""
        table, scores, classes = self.birads[name, seed]
        return weighted_macro_auc(scores, table["birads"].to_numpy(), classes, weight)

    def interval(
        self, of: Callable[[str, int, np.ndarray], float], name: str, less: str | None = None
    ) -> Interval:
        """A figure of a row, or its difference from another row, with its interval."""
        seeds = [s for s in self.done[name] if less is None or s in self.done[less]]
        tables = self.density if of == self.of_density else self.birads
        patients = [tables[name, seed][0]["patient_id"].to_numpy() for seed in seeds]

        def statistic(place: int, weight: np.ndarray) -> float:
            value = of(name, seeds[place], weight)
            return value if less is None else value - of(less, seeds[place], weight)

        return over_runs(patients, statistic)


def measure(folder: Path) -> None:
    """Print the tables of what is there."""
    found = Measured(folder)
    figures = {
        "zero-shot density, balanced accuracy": found.of_density,
        "linear probe BI-RADS, macro AUC": found.of_birads,
    }
    for name in dict.fromkeys(name for name, _ in found.density):
        print(f"{name}, seeds {found.done[name]}")
        for label, of in figures.items():
            each = [of(name, s, np.ones(len(found.density[name, s][1]))) for s in found.done[name]]
            print(f"  {label}: {_shown(found.interval(of, name))}")
            print("    by seed:", ", ".join(f"{value:.3f}" for value in each))
            if name != "clip" and found.done["clip"]:
                print(f"    less clip: {_shown(found.interval(of, name, 'clip'))}")
    measure_maps(found)


def measure_maps(found: Measured) -> None:
    """Print whether maps lie where findings are."""
    ways = {"glam": slice_hits, "glam_unaligned": slice_hits}
    ways |= dict.fromkeys(("mama", *PLAIN), sentence_hits)
    hits = {
        name: [of(found.models[name, seed], found.parts[name]) for seed in found.done[name]]
        for name, of in ways.items()
        if found.done[name]
    }
    for name, tables in hits.items():
        _show_hits(name, tables)
        if name in PLAIN:
            told = [told_apart(found.models[name, s], found.parts[name]) for s in found.done[name]]
            print("  images told apart, AUC", ", ".join(f"{area:.3f}" for area in told))
    if {"glam", "glam_unaligned"} <= set(hits):
        both = list(zip(hits["glam"], hits["glam_unaligned"], strict=False))
        print("glam less glam_unaligned")
        for column in ("hit", "near"):
            print(f"  {column} {_shown(_difference(both, column))}")


def _difference(both: list[tuple[pl.DataFrame, pl.DataFrame]], column: str) -> Interval:
    """Between two rows, the same seeds and patients."""
    patients = [np.concatenate([t["patient_id"].to_numpy() for t in pair]) for pair in both]

    def statistic(seed: int, weight: np.ndarray) -> float:
        split = np.split(weight, [len(both[seed][0])])
        values = [t[column].to_numpy() for t in both[seed]]
        one, other = (float((v * w).sum() / w.sum()) for v, w in zip(values, split, strict=True))
        return one - other

    return over_runs(patients, statistic)


def _show_hits(name: str, found: list[pl.DataFrame]) -> None:
    patients = [table["patient_id"].to_numpy() for table in found]
    print(f"{name}: {len(found[0])} findings or images, {len(found)} seeds")
    for column in found[0].columns[1:]:
        values = [table[column].to_numpy() for table in found]
        got = over_runs(patients, lambda s, w, v=values: float((v[s] * w).sum() / w.sum()))
        print(f"  {column}", _shown(got), "by seed", ", ".join(f"{v.mean():.3f}" for v in values))
    for one, other in (("hit", "chance"), ("near", "near_chance"), ("hit", "same_column")):
        if {one, other} <= set(found[0].columns):
            apart = [(t[one] - t[other]).to_numpy() for t in found]
            got = over_runs(patients, lambda s, w, v=apart: float((v[s] * w).sum() / w.sum()))
            print(f"  {one} - {other}", _shown(got))


def _shown(value: Interval) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, *rest = sys.argv[1:]
    if what == "data":
        data(*(Path(place) for place in rest))
    elif what == "train":
        train_all(Path(rest[0]), rest[1:] or tuple(ROWS))
    elif what == "maps":
        measure_maps(Measured(Path(rest[0]), *rest[1:], figures=False))
    else:
        measure(Path(rest[0]))
