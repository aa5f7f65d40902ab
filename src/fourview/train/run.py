"""One run from a recipe to a folder with weights, predictions, operating points and results."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

from fourview.checkpoint.card import load_checkpoint, read_card
from fourview.contract import Objective, Task, task
from fourview.disk import write_text
from fourview.entities import SIDES, SLOTS, Manifest
from fourview.errors import TrainingError
from fourview.evaluate.operating import choose_threshold, write_thresholds
from fourview.evaluate.table import write_predictions
from fourview.feeds.feed import Feed, FeedRequest, find_feed
from fourview.feeds.samples import Sample, known_values
from fourview.fingerprint import digest_of_text
from fourview.manifest.manifest import manifest_hash
from fourview.manifest.split import assign_split
from fourview.models.find import find_family
from fourview.predict.engine import Engine
from fourview.predict.frozen import with_codes
from fourview.predict.network import REGION_RULE, Network
from fourview.run_files import (
    BEGUN,
    BEST,
    ENVIRONMENT,
    LOG,
    OPERATING_POINTS,
    PREDICTIONS,
    RECIPE,
    SPLIT,
)
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.train.begin import Begun, begin_with
from fourview.train.loop import Loop, Machine, Progress, Provenance
from fourview.train.recipe import Recipe, SplitConfig
from fourview.train.run_folder import environment
from fourview.train.tokens import require_tokens_fit, with_own_tokenizer

OPERATING_RULES = ("sensitivity-0.95", "sensitivity-0.90", "specificity-0.90", "youden")
MISS_RULES = tuple(f"sensitivity-{1 - missed:.2f}" for missed in (0, 0.01, 0.02, 0.03, 0.05))
TRAIN, VALIDATION, TEST = "train", "validation", "test"
REMARKED = 64  # samples that are looked at before a run


def train(  # noqa: PLR0913 - what decides a run, and what belongs to the machine
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    out: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    context: Said | None = None,
    machine: Machine | None = None,
    cache_bytes: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train, and measure on the parts that were not trained on.

    Args:
        recipe: What to do.
        manifest: Whose images; its split is used where it has one, else the recipe's.
        store: Their pixels, of the recipe's spec.
        out: The run's folder.
        resume: Go on where the folder says; without it the folder must be new or empty.
        start: Checkpoint folder to begin with; what is taken of it stands in ``start.json``.
        context: Heatmaps of ``recipe.context``, by another network.
        machine: What belongs to the machine.
        cache_bytes: Keep a part's pixels in memory where they take no more than this.
        progress: Called with what is done, how much, and of how much.
        say: Called with a line that a person should see, such as which weights begin anew.

    Returns:
        The folder of the best checkpoint.

    Raises:
        TrainingError: The labels cannot be trained on, or the folder holds another run.
    """
    if not resume and (out / LOG).exists():
        raise TrainingError(f"{out}: holds a run already; add --resume to go on, or take another")
    machine = machine or Machine()
    recipe = with_own_tokenizer(recipe)
    given = manifest  # by whose hash it is known again; the split below is the recipe's
    manifest = with_split(manifest, recipe, store)
    parts = {
        part: _feed(manifest, store, recipe, part, cache_bytes, context)
        for part in (TRAIN, VALIDATION, TEST)
    }
    _require_samples(recipe, parts[TRAIN])
    out.mkdir(parents=True, exist_ok=True)
    _write_plan(out, recipe, manifest)
    objective, begun = _objective(recipe, start)
    if begun is not None:
        write_text(out / BEGUN, json.dumps(asdict(begun), indent=1) + "\n")
        say(str(begun))
    for line in _remarks(objective, parts[TRAIN]):
        say(line)
    parts = _with_codes(parts, recipe, objective, progress)
    terms, may_release = _terms(manifest, start)
    loop = Loop(
        recipe,
        objective,
        training=parts[TRAIN],
        validation=parts[VALIDATION],
        out=out,
        provenance=Provenance(
            digest=_digest(recipe, manifest, store, start, context),
            trained_on=f"{given.source} {manifest_hash(given)}",
            terms=terms,
            may_release=may_release,
        ),
        machine=machine,
        progress=progress,
    )
    _write_environment(out, loop)
    loop.fit()
    if loop.accelerator.is_main_process and recipe.task is not None:
        _measure(out, recipe, task(recipe.task), parts, given, loop, machine)
    return out / BEST


def _with_codes(
    parts: dict[str, Feed], recipe: Recipe, objective: Objective, progress: Progress | None
) -> dict[str, Feed]:
    """Codes in place of patches, where the stage has a frozen encoder."""
    encoder_of = find_family(recipe.family).stages[recipe.stage].encoder
    encoder = None if encoder_of is None else encoder_of(objective.model, recipe.feed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    coded = {}
    for part, feed in parts.items():
        told = None if progress is None else partial(progress, f"codes of {part}")
        coded[part] = with_codes(feed, encoder, device=device, progress=told)
    return coded


def _remarks(objective: Objective, training: Feed) -> tuple[str, ...]:
    """What the objective says of a few samples, spread over the training part."""
    if type(objective).remarks is Objective.remarks:
        return ()
    step = max(1, len(training) // REMARKED)
    chosen = range(0, min(len(training), step * REMARKED), step)
    with torch.no_grad():
        return objective.remarks(training.collate([training.read(i) for i in chosen]))


def _objective(recipe: Recipe, start: Path | None) -> tuple[Objective, Begun | None]:
    """The stage's objective around its network, and what of its weights ``start`` gave."""
    family = find_family(recipe.family)
    stage = family.stages[recipe.stage]
    torch.manual_seed(recipe.seed)  # initial weights
    model = family.build(recipe.model)
    require_tokens_fit(recipe, model)
    begun = None if start is None else begin_with(model, recipe, start)
    return stage.objective(model, recipe.objective), begun


def _write_environment(out: Path, loop: Loop) -> None:
    found = environment(loop.accelerator.device, loop.accelerator.num_processes)
    write_text(out / ENVIRONMENT, json.dumps(found, indent=2) + "\n")


def with_split(manifest: Manifest, recipe: Recipe, store: Store) -> Manifest:
    """The manifest with the split that the recipe is trained and measured by.

    Raises:
        TrainingError: The store holds another pixel spec than the recipe's.
    """
    if store.spec.name != recipe.pixel_spec:
        raise TrainingError(
            f"the store holds {store.spec.name}, recipe '{recipe.name}' needs {recipe.pixel_spec}; "
            f"run: fourview prepare MANIFEST --spec {recipe.pixel_spec} -o STORE"
        )
    return divided(manifest, recipe.split)


def divided(manifest: Manifest, split: SplitConfig) -> Manifest:
    """The manifest with its own split, or the one that ``split`` says; a validation part always."""
    if manifest.exams["split"].is_not_null().any():
        if (manifest.exams["split"] == VALIDATION).any():
            return manifest
        rest = 1 - split.validation
        return assign_split(
            manifest, {TRAIN: rest, VALIDATION: split.validation}, split.seed, within=TRAIN
        )
    shares = {TRAIN: split.train, VALIDATION: split.validation, TEST: split.test}
    return assign_split(manifest, shares, split.seed)


def _feed(
    manifest: Manifest,
    store: Store,
    recipe: Recipe,
    part: str,
    cache_bytes: int,
    context: Said | None,
) -> Feed:
    stage = find_family(recipe.family).stages[recipe.stage]
    request = FeedRequest(
        classes={} if recipe.task is None else task(recipe.task).labels,
        unit=recipe.unit if part == TRAIN else "exam",
        part=part,
        training=part == TRAIN,
        settings=recipe.feed,
        cache_bytes=cache_bytes,
        context=context,
    )
    return find_feed(stage.feed).make(manifest, store, request)


def _require_samples(recipe: Recipe, training: Feed) -> None:
    drawn = len(training.order(seed=recipe.seed, epoch=0))  # more than there are, where repeated
    if drawn < recipe.batch:
        raise TrainingError(
            f"the training part has {drawn} samples with images in the store, a batch "
            f"needs {recipe.batch}; prepare more images or lower batch"
        )
    if recipe.task is not None:
        _require_labels(task(recipe.task), training.samples)


def _require_labels(asked: Task, samples: Sequence[Sample]) -> None:
    label = next(iter(asked.labels))
    values = list(known_values(samples, label))
    if len(set(values)) < 2:
        names = (f"no {label}", label) if asked.is_suspicion else asked.classes
        found = f"all {len(values)} known are '{names[int(values[0])]}'" if values else "none known"
        raise TrainingError(
            f"label '{label}' cannot be trained on: {found} in the training part, need at "
            "least two classes; train another label (--set model.task=density) or add exams"
        )


def _terms(manifest: Manifest, start: Path | None) -> tuple[str, bool]:
    """What the data ask for, and what the data of the weights that it starts from do."""
    if start is None:
        return manifest.terms, manifest.may_release_weights
    card = read_card(start)
    terms = dict.fromkeys(words for words in (manifest.terms, card.terms) if words)
    return "; ".join(terms), manifest.may_release_weights and card.may_release


def _digest(
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    start: Path | None,
    context: Said | None,
) -> str:
    parts = [recipe.to_json(), manifest_hash(manifest), store.fingerprint]
    parts.append(load_checkpoint(start)[1].digest if start is not None else "")
    if context is not None:
        parts.append(str(context.about["weights"]))
    return digest_of_text("\n".join(parts))


def _write_plan(out: Path, recipe: Recipe, manifest: Manifest) -> None:
    patients = manifest.exams.select("patient_id", "split").unique().sort("patient_id")
    split = {
        part: patients.filter(pl.col("split") == part)["patient_id"].to_list()
        for part in (TRAIN, VALIDATION, TEST)
    }
    write_text(out / RECIPE, recipe.to_json() + "\n")
    write_text(out / SPLIT, json.dumps(split, indent=1) + "\n")


def _measure(
    out: Path,
    recipe: Recipe,
    asked: Task,
    parts: dict[str, Feed],
    manifest: Manifest,
    loop: Loop,
    machine: Machine,
) -> None:
    """Score validation and test with the best checkpoint; choose thresholds on validation."""
    model, card, family = load_checkpoint(out / BEST, own=True)
    network = Network(model, card, family, engine=Engine(device=str(loop.accelerator.device)))
    tables = {
        part: network.table(
            parts[part],
            batch_size=machine.eval_batch,
            workers=machine.workers,
            progress=partial(loop.progress, f"scoring {part}"),
        )
        for part in (VALIDATION, TEST)
    }
    about = {
        "model_digest": card.digest,
        "pixel_spec": f"{card.pixel_spec} {card.fingerprint}",
        "manifest_hash": manifest_hash(manifest),
        "terms": card.terms,
        "caution": card.caution,
        "recipe": recipe.name,
    }
    write_predictions(pl.concat(tables.values()), out / PREDICTIONS, about)
    if asked.is_suspicion:
        chosen_on = parts[VALIDATION].samples
        of_findings = any(sample.findings for sample in chosen_on)
        choose = _miss_rates if of_findings else _operating_points
        label = next(iter(asked.labels))
        thresholds = choose(tables[VALIDATION], chosen_on, label)
        write_thresholds(
            out / OPERATING_POINTS,
            thresholds,
            about | {"part": VALIDATION},
            regions=region_points(tables[VALIDATION], chosen_on, label),
        )


def region_points(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    """The threshold of drawn regions, chosen on what it is applied to: the regions themselves.

    An image counts with its best region, and with 0 where it has none; it is positive where its
    breast has the label. With ``specificity-0.90`` no more than a tenth of the images of breasts
    without the label have a region drawn on them.
    """
    regions = predictions.filter((pl.col("unit") == "region") & (pl.col("class") == label))
    best = dict(regions.group_by("image_id").agg(pl.col("score").max()).iter_rows())
    known = {
        image: sample.targets[label][SIDES.index(SLOTS[slot][0])]
        for sample in samples
        for image, slot in zip(sample.images, sample.slots, strict=True)
    }
    judged = [image for image, value in known.items() if value in (0.0, 1.0)]
    scores = np.array([best.get(image, 0.0) for image in judged])
    positive = np.array([known[image] == 1 for image in judged], dtype=bool)
    value = choose_threshold(scores, positive, REGION_RULE) if best else None
    return {} if value is None else {REGION_RULE: value}


def _operating_points(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    known = {
        (s.exam_id, side): value
        for s in samples
        for side, value in zip("RL", s.targets[label], strict=True)
        if value in (0.0, 1.0)
    }
    breasts = predictions.filter((pl.col("unit") == "breast") & (pl.col("class") == label))
    keys = list(zip(breasts["exam_id"], breasts["side"], strict=True))
    rows = [i for i, key in enumerate(keys) if key in known]
    scores = breasts["score"].to_numpy()[rows]
    positive = pl.Series([known[keys[i]] == 1 for i in rows], dtype=pl.Boolean).to_numpy()
    chosen = {rule: choose_threshold(scores, positive, rule) for rule in OPERATING_RULES}
    return {rule: value for rule, value in chosen.items() if value}


def _miss_rates(
    predictions: pl.DataFrame, samples: Sequence[Sample], label: str
) -> dict[str, float]:
    """Thresholds on a finding's score, the mean over its images, by how many cancers they miss."""
    known = {
        finding: max(v for v in sample.targets[label] if v in (0.0, 1.0))
        for sample in samples
        for finding in sample.findings
        if any(v in (0.0, 1.0) for v in sample.targets[label])
    }
    findings = predictions.filter(pl.col("unit") == "finding")
    means = findings.group_by("finding_id", maintain_order=True).agg(pl.col("score").mean())
    means = means.filter(pl.col("finding_id").is_in(list(known)) & pl.col("score").is_not_null())
    positive = np.array([known[f] == 1 for f in means["finding_id"]], dtype=bool)
    scores = means["score"].to_numpy()
    chosen = {rule: choose_threshold(scores, positive, rule) for rule in MISS_RULES}
    return {rule: value for rule, value in chosen.items() if value}
