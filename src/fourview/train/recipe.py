"""Recipe: everything that decides a run, frozen, typed and written beside its weights."""

import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter, ValidationError

from fourview.errors import RecipeError
from fourview.feeds.augment import AugmentConfig
from fourview.feeds.feed import find_feed
from fourview.feeds.samples import Unit
from fourview.json_file import parse_json_object
from fourview.models.find import find_family
from fourview.suggest import no_such
from fourview.train.tokens import with_own_tokenizer

LENGTHS = ("epochs", "steps")  # either says how long a run is
EPOCHS = 20  # where neither is said


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How weights move.

    Attributes:
        name: ``adam`` adds weight decay to the gradient (L2), ``adamw`` to the weights.
        lr: Learning rate; the highest one of a schedule.
        weight_decay: 0 or more.
        decay: ``matrices`` leaves biases, norms, temperatures and other single vectors alone.
        clip_norm: Gradients longer than this are scaled down to it; None leaves them.
        search: Lowest and highest learning rate of a random search (``train --trials``), uniform
            in the logarithm; None where there is nothing to search.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    weight_decay: float = 1e-6
    decay: Literal["all", "matrices"] = "all"
    clip_norm: float | None = None
    search: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.lr >= 0:
            raise ValueError(f"lr is {self.lr}, need 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate changes.

    Attributes:
        name: ``plateau`` multiplies it by ``factor`` when the loss that ``Recipe.select`` names has
            not fallen on the validation part for more than ``patience`` epochs; ``one_cycle`` rises
            for ``warmup`` of the steps and falls as a cosine; ``warmup_cosine`` rises in a straight
            line from ``lowest`` for ``warmup`` of the steps and falls as half a cosine to it;
            ``constant`` leaves it.
        factor: Factor of ``plateau``.
        patience: Patience of ``plateau``, in epochs.
        warmup: Length of the rise of ``one_cycle`` and ``warmup_cosine``, as a part of all steps.
        lowest: Lowest rate of ``warmup_cosine``, as a part of the highest.
    """

    name: Literal["plateau", "one_cycle", "warmup_cosine", "constant"] = "plateau"
    factor: float = 0.1
    patience: int = 2
    warmup: float = 0.3
    lowest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """How patients are split where the manifest has no split of its own.

    Attributes:
        train: Part of the patients that is trained on.
        validation: Part that chooses the checkpoint and the operating points.
        test: Part that is only ever measured.
        seed: Seed of the split, not of the run: all seeds of a recipe share one split.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastConfig:
    """How a contrastive batch is computed; other stages ignore it.

    Attributes:
        chunk: Images, or texts, that are encoded at a time (``train.grad_cache``); None encodes the
            whole batch at once. Changes memory and time, not the gradients.
        frozen_statistics: Batch normalisation in the encoders uses its running statistics; needed
            for a chunk or several processes.
        gathered: The samples of all processes are compared with each other, else only a process's
            own.
    """

    chunk: int | None = None
    frozen_statistics: bool = False
    gathered: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One stage of training.

    Attributes:
        name: FAMILY:RECIPE.
        family: A folder of ``models/``.
        model: The family's config.
        pixel_spec: Name of the PixelSpec of the store.
        stage: One of the family's stages.
        objective: Settings of that stage's objective.
        feed: Settings of what that stage reads (``feeds/kinds``).
        unit: A sample is a whole exam, or one breast of it.
        batch: Samples per step, over all processes.
        epochs: Passes over the training part; None where ``steps`` says how long. Where neither is
            said, 20.
        steps: Steps of the optimiser in all, as papers give them; the last pass may end early. None
            where ``epochs`` says how long.
        precision: ``float32``, or ``bfloat16`` for forward passes (weights stay float32).
        frozen_precision: Precision of the matrices that the stage does not train, such as those of
            a text tower with adapters; ``bfloat16`` halves their memory and needs ``precision`` to
            be ``bfloat16`` too.
        seed: Seed of weights, order, augmentation and dropout.
        select: What the validation part chooses the checkpoint by: ``loss``, the lowest total;
            ``auc``, the highest; or the lowest of one part of the loss by its name, such as
            ``cross_entropy``. With ``last`` it chooses nothing: the weights after the last step are
            kept, as papers without a validation part have it. A plateau is one of the same loss,
            and of the total where it is ``auc`` or ``last``.
        split: Used where the manifest has none.
        contrast: How a stage that compares samples with each other computes its batch.
        starts_from: Recipe whose best checkpoint this one begins with.
        context: Recipe of another family whose heatmaps of every image the stage reads.
        patience_epochs: Stop after so many epochs without a better checkpoint; None never does.
    """

    name: str
    family: str
    model: Any
    pixel_spec: str
    stage: str = "train"
    objective: Any = None
    feed: Any = None
    unit: Unit = "breast"
    batch: int = 4
    epochs: int | None = None
    steps: int | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    precision: Literal["float32", "bfloat16"] = "float32"
    frozen_precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    select: str = "loss"
    split: SplitConfig = field(default_factory=SplitConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    starts_from: str | None = None
    context: str | None = None
    patience_epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("batch", *LENGTHS):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, need 1 or more")
        if self.epochs is None and self.steps is None:
            object.__setattr__(self, "epochs", EPOCHS)
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                f"epochs is {self.epochs} and steps is {self.steps}; one of them says how long, "
                "the other has to be none"
            )
        if self.frozen_precision == "bfloat16" and self.precision != "bfloat16":
            raise ValueError(
                "frozen_precision is bfloat16 and precision float32; frozen weights in bfloat16 "
                "need precision=bfloat16"
            )
        stages = find_family(self.family).stages
        if self.stage not in stages:
            raise RecipeError(f"family '{self.family}': {no_such('stage', self.stage, stages)}")
        if self.objective is None:
            object.__setattr__(self, "objective", stages[self.stage].settings())
        if self.feed is None:
            object.__setattr__(self, "feed", find_feed(stages[self.stage].feed).settings())

    @property
    def task(self) -> str | None:
        """The label that is trained; None for a family that only pre-trains."""
        return None if find_family(self.family).kind == "pretrain" else str(self.model.task)

    def total_steps(self, per_epoch: int) -> int:
        """Steps of the whole run, where a pass over the training part has ``per_epoch``."""
        return self.steps if self.steps is not None else per_epoch * (self.epochs or EPOCHS)

    def to_json(self) -> str:
        """Text that ``recipe_from_json`` reads back to an equal recipe."""
        return json.dumps(asdict(self), indent=2)


def recipe_from_json(text: str) -> Recipe:
    """What ``Recipe.to_json`` wrote.

    Raises:
        RecipeError: A key or value is none that this version knows.
    """
    try:
        data = parse_json_object(text)
    except ValueError as error:
        raise RecipeError(f"the recipe cannot be read: {error}") from error
    family = find_family(str(data.get("family")))
    try:
        data["model"] = TypeAdapter(family.config).validate_python(data["model"])
        settings = family.stages[data["stage"]].settings
        data["objective"] = TypeAdapter(settings).validate_python(data["objective"])
        feed = find_feed(family.stages[data["stage"]].feed).settings
        data["feed"] = TypeAdapter(feed).validate_python(data.get("feed") or {})
        return TypeAdapter(Recipe).validate_python(data)
    except (KeyError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"no {error}"
        raise RecipeError(f"recipe '{data.get('name')}' cannot be read: {reason}") from error


def override(recipe: Recipe, assignments: list[str]) -> Recipe:
    """The recipe with some fields changed, as ``--set optimizer.lr=3e-5`` asks.

    ``steps`` takes the place of the recipe's ``epochs``, and ``epochs`` that of its ``steps``.

    Raises:
        RecipeError: A key that is no field (the nearest is named), a value of another type, or both
            ``epochs`` and ``steps``.
    """
    lengths = [key for key in (a.partition("=")[0] for a in assignments) if key in LENGTHS]
    if len(set(lengths)) > 1:
        raise RecipeError("--set epochs and --set steps: name one of them")
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise RecipeError(f"--set {assignment}: need key=value, such as optimizer.lr=3e-5")
        recipe = _replaced(recipe, key.split("."), value, key)
    with_own_tokenizer(recipe)  # refuses a tokenizer that is not the text tower's
    return recipe


def _replaced(holder: Any, path: list[str], text: str, whole: str) -> Any:
    names = [f.name for f in fields(holder)]
    name = path[0]
    if name not in names:
        raise RecipeError(f"--set {whole}: {no_such('key', name, names)}")
    current = getattr(holder, name)
    if len(path) > 1:
        if not is_dataclass(current):
            raise RecipeError(f"--set {whole}: '{name}' has no keys below it")
        value = _replaced(current, path[1:], text, whole)
    else:
        value = _typed(holder, name, text, whole)
    changes = {name: value}
    if isinstance(holder, Recipe) and name in LENGTHS and value is not None:
        changes |= {other: None for other in LENGTHS if other != name}
    try:
        return replace(holder, **changes)
    except ValueError as error:
        raise RecipeError(f"--set {whole}={text}: {error}") from error


def _typed(holder: Any, name: str, text: str, whole: str) -> Any:
    hint = get_type_hints(type(holder))[name]
    if is_dataclass(getattr(holder, name)):
        raise RecipeError(f"--set {whole}: name one of its keys, such as {whole}.KEY=VALUE")
    adapter = TypeAdapter(hint)
    for candidate in (text, _json(text)):
        try:
            return adapter.validate_python(candidate, strict=False)
        except ValidationError:
            continue
    raise RecipeError(f"--set {whole}={text}: need {getattr(hint, '__name__', hint)}")


def _json(text: str) -> Any:
    try:
        return json.loads({"none": "null", "True": "true", "False": "false"}.get(text, text))
    except ValueError:
        return text
