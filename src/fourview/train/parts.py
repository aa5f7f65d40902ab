"""The parts of a manifest that a recipe trains and measures on, and what is wrong with them.

All that can be said before anything is computed is said here: another store, too few samples for a
batch, a label of one class.
"""

from collections.abc import Sequence
from typing import Any

from fourview.contract import Task, task
from fourview.entities import Manifest
from fourview.errors import TrainingError
from fourview.feeds.feed import Feed, FeedRequest, find_feed
from fourview.feeds.samples import Sample, known_values
from fourview.manifest.split import assign_split
from fourview.models.find import find_family
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.train.batches import steps_per_epoch
from fourview.train.recipe import Recipe, SplitConfig

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)


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


def feed_of_part(
    manifest: Manifest,
    store: Store,
    recipe: Recipe,
    part: str,
    *,
    cache_bytes: int = 0,
    context: Said | None = None,
) -> Feed:
    """What the recipe's stage reads of a part.

    Args:
        manifest: Manifest with the split (``with_split``).
        store: Store of its pixels.
        recipe: Recipe whose stage reads.
        part: One of PARTS.
        cache_bytes: Most memory that the part's pixels are kept in; larger parts are not kept.
        context: Heatmaps of another network.
    """
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


def images_of_parts(manifest: Manifest, store: Store, recipe: Recipe) -> set[str]:
    """The images that a run of the recipe reads, in any of its parts."""
    feeds = [feed_of_part(manifest, store, recipe, part) for part in PARTS]
    return {image for feed in feeds for sample in feed.samples for image in sample.images}


def require_trainable(recipe: Recipe, training: Feed) -> None:
    """Refuse a training part that a run cannot be made of.

    A batch is filled from the order of an epoch, in which a feed may show a sample more than once.

    Raises:
        TrainingError: There are too few samples for a batch, or the label has one known class.
    """
    samples, shown = len(training), 0
    if samples:
        shown = len(training.order(seed=recipe.seed, epoch=0))
    if steps_per_epoch(shown, recipe.batch) < 1:
        more = f", shown {shown} times an epoch" if shown != samples else ""
        raise TrainingError(
            f"the training part has {samples} samples with images in the store{more}, a batch of "
            f"'{recipe.name}' needs {recipe.batch}; prepare more images, or add --set "
            f"batch={max(shown, 1)} or less"
        )
    if recipe.task is not None:
        _require_labels(task(recipe.task), training.samples)


def require_even_shares(recipe: Recipe, num_processes: int, *, compares: bool) -> None:
    """Refuse a batch that the processes cannot share; each needs as many samples as the others.

    Args:
        recipe: Recipe with the batch, over all processes.
        num_processes: Number of processes.
        compares: Whether the stage gathers its batch, and may have uneven shares.

    Raises:
        TrainingError: It cannot be shared.
    """
    if recipe.batch < num_processes or (not compares and recipe.batch % num_processes):
        even = max(recipe.batch // num_processes, 1) * num_processes
        raise TrainingError(
            f"a batch of {recipe.batch} cannot be shared evenly by {num_processes} processes; "
            f"use --set batch={even}, or another number of processes"
        )


def _require_labels(asked: Task, samples: Sequence[Sample]) -> None:
    label = next(iter(asked.labels))
    values = list(known_values(samples, label))
    if len(set(values)) < 2:
        names: Any = (f"no {label}", label) if asked.is_suspicion else asked.classes
        known = f"all {len(values)} known are '{names[int(values[0])]}'" if values else "none known"
        raise TrainingError(
            f"label '{label}' cannot be trained on: {known} in the training part, need at "
            "least two classes; train another label (--set model.task=density) or add exams"
        )
