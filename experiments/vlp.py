"""MaMA, GLAM and CLIP on phantoms: the runs and figures of docs/results/vlp.md.

    python -m experiments.vlp data PHANTOMS FOLDER [EXAMS]   manifest of the first exams, stores
    python -m experiments.vlp train FOLDER                   what is missing of the runs, one by one
    python -m experiments.vlp measure FOLDER                 tables of what is there
    python -m experiments.vlp maps FOLDER                    only whether maps lie on findings

PHANTOMS is a folder of ``fourview phantom``. Runs go to FOLDER/runs/ROW-SEED; what is there already
is kept, and a run that was stopped goes on. Intervals are percentiles of 2,000 bootstrap replicates
of patients; a replicate takes the mean over seeds.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fourview.data.caption import caption_facts, load_template
from fourview.data.feeds.captions import CaptionFeedConfig, prepare_captions
from fourview.data.manifest import read_manifest, write_manifest
from fourview.data.prepare import prepare
from fourview.data.sources.phantom import read_phantom
from fourview.data.split import assign_split
from fourview.data.store import Store
from fourview.errors import StoreError
from fourview.evaluate.auc import auroc
from fourview.geometry import Box
from fourview.predict.language import LanguageModel, load_language_model
from fourview.preprocess.spec import pixel_spec
from fourview.recipes import clip, glam, mama
from fourview.train.recipe import Recipe
from fourview.train.run import train
from fourview.train.run_folder import BEST

SEEDS = (0, 1, 2)
ROWS: dict[str, Callable[[], Recipe]] = {
    "mama": mama.phantom,
    "glam": glam.phantom,
    "clip": clip.phantom,
    "glam_unaligned": glam.phantom_unaligned,
    "mama_fine": mama.phantom_fine,
}
WHOLE = ("mama_fine",)  # rows that have all exams
FINE = "mvccl-192x96"
SPECS = ("glam-96x48", "vlp-96x48")
PROMPTS = "vindr-density"
DENSITIES = ("A", "B", "C", "D")
REPLICATES = 2000
Interval = tuple[float, float, float]


def data(phantoms: Path, folder: Path, num_exams: int) -> None:
    """The manifest of the first exams, their pixels turned and not turned; and all, finer."""
    whole = read_phantom(phantoms)
    write_manifest(whole, folder / "manifest-whole")
    prepare(whole, pixel_spec(FINE), folder / f"store-{FINE}")
    chosen = whole.exams["exam_id"].to_list()[:num_exams]
    parts = {
        name: getattr(whole, name).filter(pl.col("exam_id").is_in(chosen))
        for name in ("exams", "breasts", "images", "findings")
    }
    manifest = replace(whole, **parts)
    write_manifest(manifest, folder / "manifest")
    for spec in SPECS:
        prepare(manifest, pixel_spec(spec), folder / f"store-{spec}")


def train_all(folder: Path) -> None:
    """Every run that is not done yet, a seed of all rows before the next seed."""
    for seed in SEEDS:
        for name, recipe in ROWS.items():
            out = folder / "runs" / f"{name}-{seed}"
            if (out / "done").exists():
                continue
            run = replace(recipe(), seed=seed)
            try:
                store = Store.open(folder / f"store-{run.pixel_spec}")
            except StoreError as error:  # still being prepared
                print(f"{name} {seed}: {error}", flush=True)
                continue
            began, used = time.time(), time.process_time()
            manifest = read_manifest(folder / manifest_name(name))
            train(run, manifest, store, out, resume=(out / "log.jsonl").exists(), cache_bytes=2**31)
            spent = f"{time.time() - began:.0f} s, {time.process_time() - used:.0f} s of CPU"
            (out / "done").write_text(spent + "\n")
            print(f"{name} {seed}: {spent}", flush=True)


def manifest_name(row: str) -> str:
    """Which exams a row has."""
    return "manifest-whole" if row in WHOLE else "manifest"


class Test:
    """Phantoms with their split, and what is known of the test images."""

    def __init__(self, folder: Path, row: str) -> None:
        recipe = ROWS[row]()
        split = recipe.split
        shares = {"train": split.train, "validation": split.validation, "test": split.test}
        self.manifest = assign_split(read_manifest(folder / manifest_name(row)), shares, split.seed)
        self.store = Store.open(folder / f"store-{recipe.pixel_spec}")
        exams = self.manifest.exams.select("exam_id", "split")
        breasts = self.manifest.breasts.select("exam_id", "side", "birads", "density")
        self.images = self.manifest.images.join(exams, on="exam_id").join(
            breasts, on=["exam_id", "side"]
        )

    def part(self, name: str) -> pl.DataFrame:
        """Images of a part of the split."""
        return self.images.filter(pl.col("split") == name)

    def pixels(self, images: list[str]) -> torch.Tensor:
        """In [0, 1]."""
        codes = self.store.read_many(images).astype(np.float32) / np.float32(65535)
        return torch.from_numpy(codes)[:, None]

    def findings(self, part: str = "test") -> pl.DataFrame:
        """Malignant findings that can be seen, an image a row."""
        seen = self.manifest.findings.filter(
            (pl.col("malignant") == 1) & pl.col("x0").is_not_null()
        )
        return seen.join(self.part(part).select("image_id", "view"), on="image_id")

    def box(self, row: dict[str, float], image: str) -> Box:
        """A finding's box in processed pixels."""
        stored = Box(row["x0"], row["y0"], row["x1"], row["y1"])
        return self.store.geometry(image).box_to_processed(stored)


def zero_shot_density(model: LanguageModel, test: Test) -> tuple[pl.DataFrame, np.ndarray]:
    """Test images, and the class that each is given."""
    table = model.zero_shot(test.manifest, test.store, PROMPTS, splits=["test"], batch_size=64)
    best = (
        table.filter(pl.col("unit") == "image")
        .sort("score", descending=True)
        .unique("image_id", keep="first", maintain_order=True)
        .select("image_id", "class")
    )
    joined = test.part("test").join(best, on="image_id")
    return joined, joined["class"].to_numpy()


def balanced_accuracy(given: np.ndarray, known: np.ndarray, weight: np.ndarray) -> float:
    """The mean over classes of the part that is given its class."""
    recalls = [
        weight[(known == c) & (given == c)].sum() / weight[known == c].sum()
        for c in DENSITIES
        if weight[known == c].sum() > 0
    ]
    return float(np.mean(recalls))


def tower_features(model: LanguageModel, test: Test, images: list[str]) -> np.ndarray:
    """Pooled features before any head."""
    found = []
    for start in range(0, len(images), 128):
        pixels = test.pixels(images[start : start + 128])
        with torch.inference_mode():
            found.append(model.model.image_tower(pixels).pooled.numpy())
    return np.concatenate(found)


def probe_birads(model: LanguageModel, test: Test) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Test images, scores of a linear probe, and its classes."""
    parts = [test.part(name).filter(pl.col("birads").is_not_null()) for name in ("train", "test")]
    features = [tower_features(model, test, p["image_id"].to_list()) for p in parts]
    scale = StandardScaler().fit(features[0])
    probe = LogisticRegression(class_weight="balanced", max_iter=2000)
    probe.fit(scale.transform(features[0]), parts[0]["birads"].to_numpy())
    return parts[1], probe.predict_proba(scale.transform(features[1])), probe.classes_


def macro_auc(scores: np.ndarray, known: np.ndarray, classes: np.ndarray) -> float:
    """The mean over classes of one against the rest."""
    return float(
        np.mean([auroc(scores[:, k].astype(np.float64), known == c) for k, c in enumerate(classes)])
    )


def pairs_of(test: Test) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Patients, and the rows by view of findings that both views of a breast show."""
    grouped = test.findings().group_by("patient_id", "finding_id", maintain_order=True)
    for (patient, _), rows in grouped:
        by_view = {row["view"]: row for row in rows.iter_rows(named=True)}
        if {"CC", "MLO"} <= set(by_view):
            yield str(patient), by_view


def slice_hits(model: LanguageModel, test: Test) -> pl.DataFrame:
    """For each finding in both views: columns between the best agreeing MLO column and its own."""
    rows, cols = model.model.super_patches
    height, width = test.store.spec.rows or 0, test.store.spec.cols or 0
    found = []
    for patient, views in pairs_of(test):
        images = [str(views[v]["image_id"]) for v in ("CC", "MLO")]
        pixels = test.pixels(images)
        with torch.inference_mode():
            agreement, _ = model.model.patch_to_slice(pixels[:1], pixels[1:])
        x, y = test.box(views["CC"], images[0]).center
        at = min(int(y * rows / height), rows - 1), min(int(x * cols / width), cols - 1)
        tissue = pixels[1, 0].unflatten(1, (cols, -1)).gt(0).float().mean(dim=(0, 2)) > 0.05
        cosines = agreement[0][at].masked_fill(~tissue, -2.0)
        truth = min(int(test.box(views["MLO"], images[1]).center[0] * cols / width), cols - 1)
        places = np.flatnonzero(tissue.numpy())
        apart = np.abs(places - truth)
        found.append(
            {
                "patient_id": patient,
                "hit": float(int(cosines.argmax()) == truth),
                "near": float(abs(int(cosines.argmax()) - truth) <= 1),
                "chance": float((apart == 0).mean()),
                "near_chance": float((apart <= 1).mean()),
                "same_column": float(at[1] == truth),
            }
        )
    return pl.DataFrame(found)


def sentence_hits(model: LanguageModel, test: Test) -> pl.DataFrame:
    """Whether the token most like the impression lies on the malignant finding, and by chance."""
    template = load_template()
    facts = caption_facts(test.manifest, template.columns)
    findings = test.findings()
    images = findings["image_id"].unique(maintain_order=True).to_list()
    settings = CaptionFeedConfig()
    captions = prepare_captions(test.manifest, images, settings)
    hidden = settings.mask.draw(None)
    stride = model.model.image_tower.stride
    first = model.model.image_tower.first_center
    found = []
    for image in images:
        if image not in captions or image not in facts:
            continue
        caption = captions[image].caption(hidden)
        text = model.tokenizer.batch([caption.sentences], [0])
        pixels = test.pixels([image])
        with torch.inference_mode():
            maps = model.model.sentence_maps(pixels, text)[0]
        values = maps[caption.segments.index("impression")].numpy()
        rows, cols = (np.arange(n) * stride + first for n in values.shape)
        inside = pixels[0, 0].numpy()[np.ix_(rows.astype(int), cols.astype(int))] > 0
        on = np.zeros_like(inside)
        whose = findings.filter(pl.col("image_id") == image)
        for row in whose.iter_rows(named=True):
            box = test.box(row, image)
            reach = stride / 2  # a cell touches the box
            on |= ((rows > box.y0 - reach) & (rows < box.y1 + reach))[:, None] & (
                (cols > box.x0 - reach) & (cols < box.x1 + reach)
            )[None]
        best = np.where(inside, values, -2.0).argmax()
        patient = str(whose["patient_id"][0])
        found.append(
            {
                "patient_id": patient,
                "hit": float(on.flat[best]),
                "chance": float(on[inside].mean()),
            }
        )
    return pl.DataFrame(found)


def over_patients(
    patients: list[np.ndarray], statistic: Callable[[int, np.ndarray], float]
) -> Interval:
    """The mean over seeds of a statistic of weights, with its interval over patients.

    Args:
        patients: Of each seed, whose each unit is; the same patients in all seeds.
        statistic: Seed and a weight for each unit to the number.
    """
    names = np.unique(np.concatenate(patients))
    places = [np.searchsorted(names, p) for p in patients]
    draw = np.random.default_rng(0)

    def of(counts: np.ndarray) -> float:
        return float(np.mean([statistic(s, counts[place]) for s, place in enumerate(places)]))

    value = of(np.ones(len(names)))
    found = [
        of(
            np.bincount(draw.integers(len(names), size=len(names)), minlength=len(names)).astype(
                float
            )
        )
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
    """What all finished runs say of the test images.

    Args:
        folder: Of ``data`` and ``train``.
        figures: Also ask the prompts and train the probes.
    """

    def __init__(self, folder: Path, *, figures: bool = True) -> None:
        runs = folder / "runs"
        self.done = {
            name: [s for s in SEEDS if (runs / f"{name}-{s}" / "done").exists()] for name in ROWS
        }
        self.models = {
            (name, seed): load_language_model(runs / f"{name}-{seed}" / BEST)
            for name, seeds in self.done.items()
            for seed in seeds
        }
        self.tests = {name: Test(folder, name) for name in ROWS if self.done[name]}
        asked = self.models if figures else {}
        self.density = {k: zero_shot_density(m, self.tests[k[0]]) for k, m in asked.items()}
        self.birads = {k: probe_birads(m, self.tests[k[0]]) for k, m in asked.items()}

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

        return over_patients(patients, statistic)


def measure(folder: Path) -> None:
    """Print the tables of what is there."""
    found = Measured(folder)
    figures = {
        "zero-shot density, balanced accuracy": found.of_density,
        "linear probe BI-RADS, macro AUC": found.of_birads,
    }
    for name in found.tests:
        print(f"{name}, seeds {found.done[name]}")
        for label, of in figures.items():
            each = [of(name, s, np.ones(len(found.density[name, s][1]))) for s in found.done[name]]
            print(f"  {label}: {_shown(found.interval(of, name))}")
            print("    by seed:", ", ".join(f"{value:.3f}" for value in each))
            if name != "clip" and name not in WHOLE and found.done["clip"]:
                print(f"    less clip: {_shown(found.interval(of, name, 'clip'))}")
    measure_maps(found)


def measure_maps(found: Measured) -> None:
    """Print whether maps lie where findings are."""
    ways = {"glam": slice_hits, "glam_unaligned": slice_hits}
    ways |= {"mama": sentence_hits, "mama_fine": sentence_hits}
    hits = {
        name: [of(found.models[name, seed], found.tests[name]) for seed in found.done[name]]
        for name, of in ways.items()
        if found.done[name]
    }
    for name, tables in hits.items():
        _show_hits(name, tables)
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

    return over_patients(patients, statistic)


def _show_hits(name: str, found: list[pl.DataFrame]) -> None:
    patients = [table["patient_id"].to_numpy() for table in found]
    print(f"{name}: {len(found[0])} findings or images, {len(found)} seeds")
    for column in found[0].columns[1:]:
        values = [table[column].to_numpy() for table in found]
        got = over_patients(patients, lambda s, w, v=values: float((v[s] * w).sum() / w.sum()))
        print(f"  {column}", _shown(got))
    for one, other in (("hit", "chance"), ("near", "near_chance"), ("hit", "same_column")):
        if {one, other} <= set(found[0].columns):
            apart = [(t[one] - t[other]).to_numpy() for t in found]
            got = over_patients(patients, lambda s, w, v=apart: float((v[s] * w).sum() / w.sum()))
            print(f"  {one} - {other}", _shown(got))


def _shown(value: Interval) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, *rest = sys.argv[1:]
    if what == "data":
        data(Path(rest[0]), Path(rest[1]), int(rest[2]) if len(rest) > 2 else 500)
    elif what == "train":
        train_all(Path(rest[0]))
    elif what == "maps":
        measure_maps(Measured(Path(rest[0]), figures=False))
    else:
        measure(Path(rest[0]))
