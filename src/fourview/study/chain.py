"""Train a recipe and, before it, those that it needs: where it starts from, and its context.

OUT/starts_from     the run of ``recipe.starts_from``, trained here where none is given
OUT/context         the run of ``recipe.context``, trained here; of one that is given, its best
                    checkpoint, so that the run's folder holds all that reading needs
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from fourview.disk import copy_file, whole_folder
from fourview.entities import Manifest
from fourview.errors import TrainingError
from fourview.json_file import read_json_object
from fourview.models.find import family_names, find_family
from fourview.predict.engine import Engine
from fourview.predict.network import context_of, load_network
from fourview.run_files import (
    BEST,
    CONTEXT,
    LOG,
    OPERATING_POINTS,
    SPLIT,
    STARTS_FROM,
    checkpoint_of,
    is_checkpoint,
    operating_points_of,
)
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.study.find_recipe import find_recipe
from fourview.train.loop import Machine, Progress
from fourview.train.parts import (
    TEST,
    TRAIN,
    VALIDATION,
    feed_of_part,
    images_of_parts,
    require_trainable,
    with_split,
)
from fourview.train.processes import join_processes
from fourview.train.recipe import Recipe
from fourview.train.run import train


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Runs that are there already and need not be trained.

    Attributes:
        start: Run or checkpoint to begin with, in place of the recipe's ``starts_from`` if any.
        context: Run or checkpoint of the context network.
    """

    start: Path | None = None
    context: Path | None = None


NOTHING = Before()


def train_chain(  # noqa: PLR0913 - what decides a run, and what belongs to the machine
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    out: Path,
    *,
    resume: bool,
    machine: Machine,
    cache_bytes: int,
    progress: Progress | None = None,
    before: Before = NOTHING,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train ``recipe`` in ``out``; what it needs is trained below it if missing.

    What can be wrong with the data is said before the first of these runs begins.

    Returns:
        The folder of its best checkpoint.
    """
    whole = with_split(manifest, recipe, store)
    require_trainable(recipe, feed_of_part(whole, store, recipe, TRAIN))
    before = train_before(
        recipe,
        manifest,
        store,
        out,
        machine=machine,
        cache_bytes=cache_bytes,
        progress=progress,
        before=before,
        say=say,
    )
    context: Said | None = None
    if before.context is not None:
        processes = join_processes(machine.device, precision=recipe.precision)
        checkpoint = out / CONTEXT / BEST
        if processes.writes:
            checkpoint = _kept(before.context, out / CONTEXT)
        processes.wait()
        told = None if progress is None else partial(progress, "context maps")
        network = load_network(checkpoint, engine=Engine(device=str(processes.device)))
        context = context_of(
            network,
            manifest,
            store,
            images=images_of_parts(whole, store, recipe),
            progress=told if processes.writes else None,
            share=processes.share,
        )
        processes.wait()
    return train(
        recipe,
        manifest,
        store,
        out,
        resume=resume,
        start=None if before.start is None else checkpoint_of(before.start),
        context=context,
        machine=machine,
        cache_bytes=cache_bytes,
        progress=progress,
        say=say,
    )


def train_before(
    recipe: Recipe,
    manifest: Manifest,
    store: Store,
    out: Path,
    *,
    machine: Machine,
    cache_bytes: int,
    progress: Progress | None = None,
    before: Before = NOTHING,
    say: Callable[[str], None] = lambda _: None,
) -> Before:
    """Train what ``recipe`` needs before it, in ``out``, where it is neither given nor there.

    Several runs of one recipe (a search) share what this returns.
    """
    processes = join_processes(machine.device, precision=recipe.precision)

    def needed(name: str, folder: Path) -> Path:
        if not processes.of_first(_is_whole(folder)):
            _require_trainable(name, recipe)
            say(f"'{recipe.name}' needs a run of {name}: training it in {folder}")
            train_chain(
                replace(find_recipe(name), split=recipe.split),  # or it would have seen our test
                manifest,
                store,
                folder,
                resume=True,
                machine=machine,
                cache_bytes=cache_bytes,
                progress=progress,
                before=Before(context=before.context),
                say=say,
            )
            processes.wait()
        return folder

    for given in (before.start, before.context):
        if given is not None:
            require_same_split(given, recipe, manifest, store)
    start, context = before.start, before.context
    if start is None and recipe.starts_from is not None:
        start = needed(recipe.starts_from, out / STARTS_FROM)
    if recipe.context is None:
        context = None
    elif context is None:
        context = needed(recipe.context, out / CONTEXT)
    return Before(start=start, context=context)


def _require_trainable(name: str, recipe: Recipe) -> None:
    """Weights of others cannot be trained here: they are converted, and named by whoever has them.

    Raises:
        TrainingError: They are of that kind.
    """
    family, _, weights = name.partition(":")
    known = family in family_names() and find_family(family).published
    if known and any(weights == one.name for one in known):
        raise TrainingError(
            f"'{recipe.name}' begins with the published weights '{weights}'; get them from their "
            f"authors, run: fourview convert FILE --as {weights} -o DIR, and add --start DIR"
        )


def require_same_split(run: Path, recipe: Recipe, manifest: Manifest, store: Store) -> None:
    """Refuse a run that was trained on patients that this recipe measures on.

    A checkpoint folder without its run says nothing of its patients, and is taken.

    Raises:
        TrainingError: They share patients; the message names one.
    """
    path = run / SPLIT
    if not path.exists():
        return
    try:
        seen = set(read_json_object(path)[TRAIN])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path}: damaged ({error}); without it nobody knows whom the run was trained on"
        ) from error
    exams = with_split(manifest, recipe, store).exams
    measured = exams.filter(pl.col("split").is_in([VALIDATION, TEST]))["patient_id"]
    shared = sorted(seen & set(measured.to_list()))
    if shared:
        raise TrainingError(
            f"{run}: was trained on {len(shared)} patients that '{recipe.name}' measures on, such "
            f"as {shared[0]}; train it with the same split"
        )


def _is_whole(folder: Path) -> bool:
    """Whether a run is done, or is a checkpoint that was copied and never ran here."""
    finished = (folder / OPERATING_POINTS).exists() or not (folder / LOG).exists()
    return finished and is_checkpoint(folder / BEST)


def _kept(run: Path, folder: Path) -> Path:
    """Copy a run's best checkpoint to ``folder``, as a run has it."""
    found = checkpoint_of(run)
    if found.resolve() != (folder / BEST).resolve():
        with whole_folder(folder / BEST) as draft:
            shutil.copytree(found, draft, dirs_exist_ok=True)
    points, kept = operating_points_of(found), folder / OPERATING_POINTS
    if points is not None and points.resolve() != kept.resolve():
        copy_file(points, kept)
    return folder / BEST
