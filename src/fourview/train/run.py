"""One run from a recipe to a folder with weights, predictions, operating points and results."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import polars as pl
import torch

from fourview.checkpoint.card import read_card
from fourview.checkpoint.named_weights import Part, digests_from_source
from fourview.contract import ContrastiveObjective, Objective, task
from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.errors import TrainingError
from fourview.feeds.augment import NO_AUGMENTATION
from fourview.feeds.feed import Feed
from fourview.feeds.kinds.exams import ExamFeed
from fourview.manifest.manifest import manifest_hash
from fourview.models.find import find_family
from fourview.predict.frozen import with_codes
from fourview.run_files import BEGUN, BEST, ENVIRONMENT, LOG, RECIPE, SPLIT
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.train.begin import Begun, begin_with
from fourview.train.inputs import Inputs, inputs_of, require_same, write_inputs
from fourview.train.loop import Loop, Machine, Progress, Provenance, Watch
from fourview.train.measure import measure
from fourview.train.parts import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    divided,
    feed_of_part,
    require_even_shares,
    require_trainable,
    with_split,
)
from fourview.train.processes import Processes, join_processes, told_if_lost
from fourview.train.recipe import Recipe
from fourview.train.run_folder import environment
from fourview.train.tokens import require_tokens_fit, with_own_tokenizer
from fourview.train.trackers import open_trackers

__all__ = ["TEST", "TRAIN", "VALIDATION", "divided", "train", "with_split"]
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

    Started by ``torchrun`` or ``accelerate launch``, the processes share every batch; process 0
    writes the folder and says what there is to say.

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
        say: Called with a line that a person should see, such as how an epoch went.

    Returns:
        The folder of the best checkpoint.

    Raises:
        TrainingError: The labels cannot be trained on, or the folder holds another run.
    """
    machine = machine or Machine()
    recipe = with_own_tokenizer(recipe)
    given = manifest  # by whose hash it is known again; the split below is the recipe's
    processes = join_processes(machine.device, precision=recipe.precision)
    if processes.of_first(not resume and (out / LOG).exists()):
        raise TrainingError(f"{out}: holds a run already; add --resume to go on, or take another")
    watch = Watch()
    if processes.writes:
        watch = Watch(progress=progress or watch.progress, say=say)
    manifest = with_split(manifest, recipe, store)
    parts = {
        part: feed_of_part(manifest, store, recipe, part, cache_bytes=cache_bytes, context=context)
        for part in PARTS
    }
    require_trainable(recipe, parts[TRAIN])
    inputs = inputs_of(manifest, store, start=start, context=context)
    require_same(out, recipe, inputs)
    processes.wait()  # all have looked before anything is written
    objective, begun, as_they_came = _objective(recipe, start)
    compares = isinstance(objective, ContrastiveObjective)
    require_even_shares(recipe, processes.count, compares=compares)
    if processes.writes:
        _write_plan(out, recipe, manifest, inputs, begun, processes)
    if begun is not None:
        watch.say(str(begun))
    for line in _remarks(objective, parts[TRAIN]):
        watch.say(line)
    parts = _with_codes(parts, recipe, objective, processes, watch)
    provenance = replace(_provenance(recipe, given, inputs, start), as_they_came=as_they_came)
    _fit(recipe, objective, parts, out, provenance, machine, processes, watch)
    if recipe.task is not None:
        measure(
            out,
            recipe.name,
            task(recipe.task),
            parts,
            manifest,
            known_by=manifest_hash(given),
            machine=machine,
            processes=processes,
            watch=watch,
        )
    return out / BEST


def _fit(
    recipe: Recipe,
    objective: Objective,
    parts: dict[str, Feed],
    out: Path,
    provenance: Provenance,
    machine: Machine,
    processes: Processes,
    watch: Watch,
) -> None:
    """All steps of the run; process 0 logs them with the trackers that the machine asks for."""
    with ExitStack() as stack:
        if processes.writes:
            tell = stack.enter_context(open_trackers(machine.log, recipe, out))
            watch = replace(watch, tell=tell)
        loop = Loop(
            recipe,
            objective,
            training=parts[TRAIN],
            validation=parts[VALIDATION],
            out=out,
            provenance=provenance,
            machine=machine,
            processes=processes,
            watch=watch,
        )
        with told_if_lost(processes):
            loop.fit()


def _with_codes(
    parts: dict[str, Feed],
    recipe: Recipe,
    objective: Objective,
    processes: Processes,
    watch: Watch,
) -> dict[str, Feed]:
    """Codes for patches, where the stage has a frozen encoder; each process makes a share."""
    encoder_of = find_family(recipe.family).stages[recipe.stage].encoder
    encoder = None if encoder_of is None else encoder_of(objective.model, recipe.feed)
    if encoder is None:
        return parts
    if isinstance(parts[TRAIN], ExamFeed) and replace(recipe.augment, view_dropout=0) != (
        NO_AUGMENTATION
    ):
        raise TrainingError(
            f"stage '{recipe.stage}' of '{recipe.name}' keeps what its encoder says of each image, "
            "so augment.* cannot change images; set all of it to nothing but view_dropout, as the "
            "recipe mvccl:mini_heads does, or take stage=train"
        )
    coded = {
        part: with_codes(
            feed,
            encoder,
            device=processes.device,
            progress=partial(watch.progress, f"codes of {part}"),
            share=processes.share,
        )
        for part, feed in parts.items()
    }
    processes.wait()
    return coded


def _remarks(objective: Objective, training: Feed) -> tuple[str, ...]:
    """What the objective says of a few samples, spread over the training part."""
    if type(objective).remarks is Objective.remarks:
        return ()
    step = max(1, len(training) // REMARKED)
    chosen = range(0, min(len(training), step * REMARKED), step)
    with torch.no_grad():
        return objective.remarks(training.collate([training.read(i) for i in chosen]))


def objective_of(recipe: Recipe, model: torch.nn.Module) -> Objective:
    """What the recipe's stage minimises, around a network of the recipe's config."""
    stage = find_family(recipe.family).stages[recipe.stage]
    settings = {name: getattr(recipe.feed, name) for name in stage.from_feed}
    return stage.objective(model, recipe.objective, **settings)


def _objective(
    recipe: Recipe, start: Path | None
) -> tuple[Objective, Begun | None, tuple[Part, ...]]:
    """The stage's objective around its network, and what of its weights ``start`` gave.

    The last are the frozen towers whose weights are those of the folder or file that they name.
    """
    torch.manual_seed(recipe.seed)  # initial weights
    model = find_family(recipe.family).build(recipe.model)
    require_tokens_fit(recipe, model)
    given = digests_from_source(model)
    begun = None if start is None else begin_with(model, recipe, start)
    now = given if start is None else digests_from_source(model)
    return objective_of(recipe, model), begun, tuple(p for p in given if now[p] == given[p])


def _provenance(
    recipe: Recipe, manifest: Manifest, inputs: Inputs, start: Path | None
) -> Provenance:
    """What the run's checkpoints say of where they come from."""
    terms, may_release = _terms(manifest, start)
    return Provenance(
        digest=inputs.digest(recipe),
        trained_on=f"{manifest.source} {manifest_hash(manifest)}",
        terms=terms,
        may_release=may_release,
    )


def _terms(manifest: Manifest, start: Path | None) -> tuple[str, bool]:
    """What the data ask for, and what the data of the weights that it starts from do."""
    if start is None:
        return manifest.terms, manifest.may_release_weights
    card = read_card(start)
    terms = dict.fromkeys(words for words in (manifest.terms, card.terms) if words)
    return "; ".join(terms), manifest.may_release_weights and card.may_release


def _write_plan(
    out: Path,
    recipe: Recipe,
    manifest: Manifest,
    inputs: Inputs,
    begun: Begun | None,
    processes: Processes,
) -> None:
    """All that is known of a run before its first step."""
    out.mkdir(parents=True, exist_ok=True)
    patients = manifest.exams.select("patient_id", "split").unique().sort("patient_id")
    split = {
        part: patients.filter(pl.col("split") == part)["patient_id"].to_list() for part in PARTS
    }
    write_text(out / RECIPE, recipe.to_json() + "\n")
    write_text(out / SPLIT, json.dumps(split, indent=1) + "\n")
    write_inputs(out, inputs)
    if begun is not None:
        write_text(out / BEGUN, json.dumps(asdict(begun), indent=1) + "\n")
    ran_on = environment(processes.device, processes.count)
    write_text(out / ENVIRONMENT, json.dumps(ran_on, indent=2) + "\n")
