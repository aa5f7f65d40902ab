"""Train a recipe and, before it, those that it needs: where it starts from, and its context.

OUT/starts_from     the run of ``recipe.starts_from``, trained here where none is given
OUT/context         the run of ``recipe.context``, trained here; of one that is given, its best
                    checkpoint, so that the run's folder holds all that reading needs
"""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from fourview.checkpoint.ensemble import member_for
from fourview.disk import copy_file, whole_folder
from fourview.entities import Manifest
from fourview.errors import TrainingError
from fourview.models.find import family_names, find_family
from fourview.predict.engine import Engine
from fourview.predict.network import context_of, load_network
from fourview.run_files import (
    BEST,
    CONTEXT,
    LOG,
    OPERATING_POINTS,
    STARTS_FROM,
    checkpoint_of,
    holds_run,
    is_checkpoint,
    operating_points_of,
)
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.study.find_recipe import find_recipe, recipe_names
from fourview.study.run_pages import write_run_pages
from fourview.study.seen import is_of_same_data, trained_patients, with_split_of
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
from fourview.train.processes import Processes, join_processes
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What a run has in common with those that are trained before it.

    Attributes:
        manifest: Manifest of the images.
        store: Their pixels.
        machine: What belongs to the machine.
        cache_bytes: Memory for pixels, as ``train.run.train`` takes it.
        progress: Called with what is done, how much, and of how much.
        say: Called with a line for a person.
    """

    manifest: Manifest
    store: Store
    machine: Machine
    cache_bytes: int = 0
    progress: Progress | None = None
    say: Callable[[str], None] = lambda _: None

    def processes(self, recipe: Recipe) -> Processes:
        """The processes that train together."""
        return join_processes(self.machine.device, precision=recipe.precision)

    def train(
        self, recipe: Recipe, out: Path, *, resume: bool, start: Path | None, context: Said | None
    ) -> Path:
        """Train one recipe, nothing before it."""
        return train(
            recipe,
            self.manifest,
            self.store,
            out,
            resume=resume,
            start=start,
            context=context,
            machine=self.machine,
            cache_bytes=self.cache_bytes,
            progress=self.progress,
            say=self.say,
        )


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
    common = Common(
        manifest=manifest,
        store=store,
        machine=machine,
        cache_bytes=cache_bytes,
        progress=progress,
        say=say,
    )
    return train_with(common, recipe, out, resume=resume, before=before)


def train_with(
    common: Common, recipe: Recipe, out: Path, *, resume: bool, before: Before = NOTHING
) -> Path:
    """Train as ``train_chain``, with what it has in common with other runs."""
    before, recipe = _settled(common, recipe, before, common.say)
    whole = with_split(common.manifest, recipe, common.store)
    require_trainable(recipe, feed_of_part(whole, common.store, recipe, TRAIN))
    before = _train_before(common, recipe, out, before)
    start = None if before.start is None else checkpoint_of(before.start)
    context = None
    if before.context is not None:
        images = images_of_parts(whole, common.store, recipe)
        context = _context(common, recipe, before.context, out / CONTEXT, images)
    best = common.train(recipe, out, resume=resume, start=start, context=context)
    processes = common.processes(recipe)
    if processes.writes:
        write_run_pages(out, recipe, whole, common.store)
    processes.wait()
    return best


def _context(
    common: Common, recipe: Recipe, run: Path, folder: Path, images: Collection[str]
) -> Said:
    """What a context network says of images; its checkpoint is kept in ``folder``."""
    processes = common.processes(recipe)
    checkpoint = folder / BEST
    if processes.writes:
        checkpoint = _kept(run, folder)
    processes.wait()
    progress = None if common.progress is None else partial(common.progress, "context maps")
    said = context_of(
        load_network(checkpoint, engine=Engine(device=str(processes.device))),
        common.manifest,
        common.store,
        images=images,
        progress=progress if processes.writes else None,
        share=processes.share,
    )
    processes.wait()
    return said


def train_before(common: Common, recipe: Recipe, out: Path, *, before: Before = NOTHING) -> Before:
    """Train what ``recipe`` needs before it, in ``out``, where it is neither given nor there.

    Several runs of one recipe (a search) share what this returns.
    """
    before, recipe = _settled(common, recipe, before, lambda _: None)
    return _train_before(common, recipe, out, before)


def _settled(
    common: Common, recipe: Recipe, before: Before, say: Callable[[str], None]
) -> tuple[Before, Recipe]:
    """One network of an ensemble, and a recipe that measures nobody whom it has seen."""
    before = _of_one_network(before, recipe)
    return before, _with_known_patients(recipe, common.manifest, common.store, before, say)


def _of_one_network(before: Before, recipe: Recipe) -> Before:
    """The network of an ensemble that reads the recipe's pixels, in the ensemble's place."""
    if before.start is None:
        return before
    return replace(before, start=member_for(before.start, recipe.pixel_spec))


def _train_before(common: Common, recipe: Recipe, out: Path, before: Before) -> Before:
    processes = common.processes(recipe)

    def needed(name: str, folder: Path) -> Path:
        if not processes.of_first(_is_whole(folder)):
            _require_trainable(name, recipe)
            common.say(f"'{recipe.name}' needs a run of {name}: training it in {folder}")
            own = replace(find_recipe(name), split=recipe.split)  # or it would have seen our test
            train_with(common, own, folder, resume=True, before=Before(context=before.context))
            processes.wait()
        return folder

    start, context = before.start, before.context
    if start is None and recipe.starts_from is not None:
        start = needed(recipe.starts_from, out / STARTS_FROM)
    if recipe.context is None:
        context = None
    elif context is None:
        context = needed(recipe.context, out / CONTEXT)
    return Before(start=start, context=context)


def _require_trainable(name: str, recipe: Recipe) -> None:
    """Refuse to train weights that only others publish: they are converted, then given.

    Raises:
        TrainingError: The recipe names such weights.
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

    A checkpoint whose patients nobody knows is accepted (``study.seen``).

    Raises:
        TrainingError: They share patients; the message names one.
    """
    seen = trained_patients(run, manifest)
    if seen is None:
        return
    exams = with_split(manifest, recipe, store).exams
    measured = exams.filter(pl.col("split").is_in([VALIDATION, TEST]))["patient_id"]
    shared = sorted(seen & set(measured.to_list()))
    if shared:
        raise TrainingError(
            f"{run}: was trained on {len(shared)} of the patients that '{recipe.name}' measures "
            f"on, such as {shared[0]}; give both the same split: index with --split, or leave out "
            "--set split.*"
        )


def _with_known_patients(
    recipe: Recipe, manifest: Manifest, store: Store, before: Before, say: Callable[[str], None]
) -> Recipe:
    """The recipe with its start's split; nobody is measured whom a given run was trained on."""
    if before.start is not None:
        own = recipe.split
        recipe = with_split_of(recipe, before.start, manifest)
        if recipe.split != own and manifest.exams["split"].is_null().all():
            say(f"patients are divided as {before.start} was trained: {_shares(recipe)}")
    for given in (before.start, before.context):
        if given is None:
            continue
        if trained_patients(given, manifest) is None and is_of_same_data(given, manifest):
            say(f"note: nobody knows which patients of '{manifest.source}' {given} has seen")
        require_same_split(given, recipe, manifest, store)
    return recipe


def _shares(recipe: Recipe) -> str:
    """The split in words."""
    split = recipe.split
    shares = f"{split.train:g} train, {split.validation:g} validation, {split.test:g} test"
    return f"{shares}, seed {split.seed}"


def require_folder(out: Path, *, resume: bool) -> None:
    """Refuse to go on with a run that is not there, or to put one among other things.

    Raises:
        TrainingError: There is nothing to resume, or the folder holds anything but a run.
    """
    if holds_run(out):
        return
    if out.is_dir() and any(out.iterdir()):
        raise TrainingError(f"{out}: holds other things than a run; name a new folder")
    if resume:
        raise TrainingError(
            f"{out}: holds no run to go on with; correct the folder, or leave out --resume"
        )


def require_context(recipe: Recipe, *, start: Path | None) -> None:
    """Refuse a context network that neither the recipe nor one that is trained before it reads.

    Raises:
        TrainingError: It would not be read.
    """
    there = recipe
    while there.context is None:
        before = None if start is not None else there.starts_from
        if before not in recipe_names():
            raise TrainingError(
                f"--context: '{recipe.name}' reads no context network; leave it out"
            )
        there = find_recipe(before)


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds a finished run, or a checkpoint that was copied and never ran here."""
    finished = (folder / OPERATING_POINTS).exists() or not (folder / LOG).exists()
    return finished and is_checkpoint(folder / BEST)


def _kept(run: Path, folder: Path) -> Path:
    """Copy a run's best checkpoint to ``folder``, as a run has it."""
    best = checkpoint_of(run)
    if best.resolve() != (folder / BEST).resolve():
        with whole_folder(folder / BEST) as draft:
            shutil.copytree(best, draft, dirs_exist_ok=True)
    points, kept = operating_points_of(best), folder / OPERATING_POINTS
    if points is not None and points.resolve() != kept.resolve():
        copy_file(points, kept)
    return folder / BEST
