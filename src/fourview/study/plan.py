"""A dry run: what training a recipe would take, beside what its paper says. Nothing is computed.

The papers' numbers stand in ``recipes/papers.csv``: recipes (patterns), setting, the paper's value
(empty where it states none), where it is said, and why ours differs.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fourview.checkpoint.card import without_pretraining
from fourview.contract import ModelFamily
from fourview.entities import Manifest
from fourview.errors import FourviewError
from fourview.models.find import find_family
from fourview.preprocess.spec import pixel_spec
from fourview.store.store import Store, canvas_of
from fourview.study.find_recipe import recipe_names
from fourview.train.batches import steps_per_epoch
from fourview.train.parts import TRAIN, feed_of_part, with_split
from fourview.train.recipe import Recipe
from fourview.train.run import objective_of

OF_MANIFEST = "of the manifest"
OF_NO_RECIPE = {"images": OF_MANIFEST, "gpus": "any number"}  # what no setting decides
OF_US = ("located", "small", "mini", "phantom")  # beginnings of recipes that no paper has
VIEWS = {"exam": 4, "breast": 2}  # images of a sample, where all views are there
BY_IMAGE = ("pretrain", "linear", "fine_tune")  # stages whose samples are single images
MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}  # tensors that an optimiser keeps for each weight
GIB = 2**30
WHOLE_IMAGES = ("exams", "captions", "images", "boxes")  # feeds that read no patches alone
TEXT_SIZES = {  # weights, by the folder's name: as their publishers give them
    "BioMedLM": 2_700_000_000,
    "Bio_ClinicalBERT": 108_000_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One setting, ours and the paper's.

    Attributes:
        setting: Dotted name, or one of the words of the page (``split``, ``pixels``, ...).
        ours: Our value as text.
        paper: The paper's value likewise; empty where the paper states none.
        where: Where the paper says it.
        why: Reason why ours differs; empty where it does not.
        same: Whether the two agree.
    """

    setting: str
    ours: str
    paper: str
    where: str
    why: str
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one GPU that trains alone, by shapes: computed, not measured.

    Attributes:
        weights: Weights of the network.
        gradients: Gradients of the trained weights.
        optimizer: State that the optimiser keeps.
        batch: Pixels of a batch, or of the part of it that is encoded at a time.
        activations: Outputs of layers that the image encoder keeps of these for its gradients.
        unknown: Words for what is not in it.
    """

    weights: int
    gradients: int
    optimizer: int
    batch: int
    activations: int
    unknown: str

    @property
    def total(self) -> int:
        """Bytes of all of these together."""
        known = self.weights + self.gradients + self.optimizer
        return known + self.batch + self.activations


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would take.

    Attributes:
        recipe: FAMILY:RECIPE.
        samples: Samples of the training part, or the paper's images; None where neither is known.
        per_epoch: Samples drawn in an epoch; None where unknown.
        batch: Samples per step.
        steps: Steps in all; None where only the data would say.
        epochs: Passes; None where unknown.
        draws: Samples drawn in the whole run; None where unknown.
        memory: None where the network cannot be planned.
        beside: Settings beside the paper's.
    """

    recipe: str
    samples: int | None
    per_epoch: int | None
    batch: int
    steps: int | None
    epochs: float | None
    draws: int | None
    memory: Memory | None
    beside: tuple[Beside, ...]


def published_recipes() -> list[str]:
    """Recipes that follow a paper or published weights, not those made for phantoms."""
    return [n for n in recipe_names() if not n.partition(":")[2].startswith(OF_US)]


def plan(
    recipe: Recipe,
    manifest: Manifest | None = None,
    store: Store | None = None,
    *,
    memory: bool = True,
) -> Plan:
    """What training a recipe would take.

    Args:
        recipe: Recipe to plan.
        manifest: Manifest of the images; without it the paper's number, where it states one.
        store: Their pixels.
        memory: Whether to plan the network too.
    """
    numbers = dict(_of_paper(recipe.name))
    samples = per_epoch = None
    if manifest is not None and store is not None:
        feed = feed_of_part(with_split(manifest, recipe, store), store, recipe, TRAIN)
        samples = len(feed)
        per_epoch = len(feed.order(seed=recipe.seed, epoch=0)) if samples else 0
    elif "images" in numbers:
        samples = per_epoch = int(numbers["images"]["paper"])
    if per_epoch is None:
        per_epoch = _draws_an_epoch(recipe)
    in_epoch = None if per_epoch is None else steps_per_epoch(per_epoch, recipe.batch)
    steps = recipe.steps if in_epoch is None else recipe.total_steps(in_epoch)
    draws = None if steps is None else steps * recipe.batch
    epochs = None if draws is None or not per_epoch else draws / per_epoch
    return Plan(
        recipe=recipe.name,
        samples=samples,
        per_epoch=per_epoch,
        batch=recipe.batch,
        steps=steps,
        epochs=epochs if epochs is not None else recipe.epochs,
        draws=draws,
        memory=memory_of(recipe) if memory else None,
        beside=tuple(_beside(recipe, row) for row in numbers.values()),
    )


def memory_of(recipe: Recipe) -> Memory | None:
    """Bytes by the network's shapes alone; None where its parts are not on this machine."""
    family = find_family(recipe.family)
    config, text = recipe.model, getattr(recipe.model, "text", None)
    unknown, of_text, of_text_trained = ["all but the image encoder's activations"], 0, 0
    if text is not None and text.name != "small":
        small = type(text)(attention=text.attention, lora=replace(text.lora, rank=0))
        config = replace(config, text=small)
        of_text = TEXT_SIZES.get(Path(text.name).name, 0)
        of_text_trained = 0 if text.lora.rank else of_text
        if not of_text:
            unknown.append(f"text tower {text.name}")
    try:
        model = _without_numbers(family, config)
        objective = objective_of(replace(recipe, model=config), model)
    except FourviewError:
        return None
    weights = list(objective.parameters())
    trained = of_text_trained + sum(p.numel() for p in weights if p.requires_grad)
    frozen = of_text - of_text_trained + sum(p.numel() for p in weights if not p.requires_grad)
    of_frozen = 2 if recipe.frozen_precision == "bfloat16" else 4
    rows, cols = canvas_of(pixel_spec(recipe.pixel_spec))
    images = recipe.batch * images_of_sample(recipe)
    if recipe.contrast.chunk is not None:
        images = min(images, recipe.contrast.chunk)
    if family.stages[recipe.stage].feed not in WHOLE_IMAGES:
        images = 0
        unknown.append("patches")
    kept = _kept_by_encoder(family, objective.model, rows, cols)
    if kept is None:
        unknown[0] = "activations"
    half = 2 if recipe.precision == "bfloat16" else 1
    return Memory(
        weights=4 * trained + of_frozen * frozen,
        gradients=4 * trained,
        optimizer=4 * trained * MOMENTS[recipe.optimizer.name],
        batch=4 * rows * cols * images,
        activations=(kept or 0) * images // half,
        unknown=", ".join(unknown),
    )


def _kept_by_encoder(family: ModelFamily, model: nn.Module, rows: int, cols: int) -> int | None:
    """Bytes that the image encoder keeps of one image in float32; None where there is none such.

    Counted on torch's ``meta`` device by what autograd would save, weights aside.
    """
    encoder = getattr(model, family.backbone or "", None)
    if encoder is None or any(not p.is_meta for p in encoder.parameters()):
        return None
    kept = 0

    def keep(saved: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        of_weights = isinstance(saved if saved._base is None else saved._base, nn.Parameter)
        kept += 0 if of_weights else saved.nbytes
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        encoder.to("meta").train()(torch.empty(2, 1, rows, cols, device="meta"))
    return kept // 2


def images_of_sample(recipe: Recipe) -> int:
    """Images of a sample of which all views are there."""
    return 1 if recipe.stage in BY_IMAGE else VIEWS[recipe.unit]


def lines_of(plan: Plan) -> Iterator[str]:
    """The plan for a person."""
    yield f"plan of {plan.recipe} (nothing is computed)"
    yield f"samples   {_count(plan.samples)}, {_count(plan.per_epoch)} per epoch"
    epochs = "" if plan.epochs is None else f", {plan.epochs:.4g} epochs"
    yield f"steps     {_count(plan.steps)} of {plan.batch} samples{epochs}"
    yield f"draws     {_count(plan.draws)}"
    if None in (plan.samples, plan.steps):
        yield "          what is unknown depends on the data: add --manifest and --store"
    if plan.memory is None:
        yield "memory    unknown: parts of the network are not on this machine"
    else:
        m = plan.memory
        yield (
            f"memory    {m.total / GIB:.2f} GiB: weights {m.weights / GIB:.2f}, gradients "
            f"{m.gradients / GIB:.2f}, optimiser {m.optimizer / GIB:.2f}, batch "
            f"{m.batch / GIB:.2f}, activations {m.activations / GIB:.2f} (computed, on one GPU; "
            f"not in it: {m.unknown})"
        )
    width = max((len(b.setting) for b in plan.beside), default=0)
    for b in plan.beside:
        sign = "=" if b.same else "!"
        paper = b.paper or "not stated"
        why = f"; {b.why}" if b.why else ""
        yield f"{sign} {b.setting:<{width}}  ours {b.ours}, paper {paper} ({b.where}){why}"
    if not plan.beside:
        yield "no paper has this recipe"


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, for ``--json``."""
    return asdict(plan)


def _of_paper(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of the table by setting; a later row takes the place of an earlier one."""
    if name.partition(":")[2].startswith(OF_US):
        return
    text = (files("fourview.recipes") / "papers.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        if any(fnmatch(name, pattern) for pattern in row["recipes"].split("|")):
            yield row["setting"], row


def _beside(recipe: Recipe, row: dict[str, str]) -> Beside:
    ours = _ours(recipe, row["setting"])
    return Beside(
        setting=row["setting"],
        ours=ours,
        paper=row["paper"],
        where=row["where"],
        why=row["why"],
        same=_is_same(ours, row["paper"]),
    )


def _ours(recipe: Recipe, setting: str) -> str:
    if setting in OF_NO_RECIPE:
        return OF_NO_RECIPE[setting]
    if setting == "images_a_step":
        return str(recipe.batch * images_of_sample(recipe))
    if setting == "draws_an_epoch":
        return str(_draws_an_epoch(recipe))
    if setting == "pixels":
        return " x ".join(str(n) for n in canvas_of(pixel_spec(recipe.pixel_spec)))
    if setting == "split":
        split = recipe.split
        return ", ".join(f"{100 * x:g}" for x in (split.train, split.validation, split.test))
    value: Any = recipe
    for name in setting.split("."):
        value = getattr(value, name)
    return "none" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)


def _draws_an_epoch(recipe: Recipe) -> int | None:
    """Where the feed's own settings say how many samples it draws."""
    per_epoch = getattr(recipe.feed, "per_epoch", None)
    return (sum(per_epoch) if per_epoch else None) or getattr(recipe.feed, "draws", None) or None


def _is_same(ours: str, paper: str) -> bool:
    if ours == paper or (paper and ours == OF_MANIFEST):
        return True
    try:
        return math.isclose(float(ours), float(paper), rel_tol=1e-5)
    except ValueError:
        return False


def _without_numbers(family: ModelFamily, config: Any) -> nn.Module:
    """The network's shapes, on torch's ``meta`` device; in memory where a part computes."""
    config = without_pretraining(family, config)
    try:
        with torch.device("meta"):
            return family.build(config)
    except NotImplementedError:
        return family.build(config)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
