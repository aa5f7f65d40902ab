"""A checkpoint: weights as safetensors, and beside them all that is needed to use them. No pickle.

What a card may ask for is checked in ``checkpoint.plan``: it opens no file.

FOLDER/model.safetensors    the model's state; ``checkpoint.named_weights`` says what it leaves out
FOLDER/model.json           family, config, task, pixel spec with fingerprint, terms, digest
FOLDER/template.json        words of the captions it was trained with, where they are a person's own
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fourview.checkpoint.named_weights import (
    NamedWeights,
    config_with_sources,
    missing_source,
    require_named,
    without_named,
)
from fourview.checkpoint.plan import plan, require_no_files, with_folders_here
from fourview.contract import LanguageImageModel, ModelFamily
from fourview.disk import copy_file, whole, write_text
from fourview.errors import CheckpointError, FourviewError, PixelError, RecipeError
from fourview.fingerprint import digest_of_file
from fourview.json_file import read_json_object
from fourview.models.find import find_family
from fourview.nn.text_folder import text_folder
from fourview.outside import modules_of
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.run_files import DESCRIPTION, TEMPLATE, WEIGHTS, packaged_names
from fourview.suggest import did_you_mean, no_such

MAX_CARD = 1 << 20  # bytes; ours have 2,000
PHANTOMS = "phantom"  # the source of manifests of phantom exams


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What travels with weights.

    Attributes:
        recipe: FAMILY:RECIPE that trained them.
        family: Folder of ``models/``.
        config: The family's config, as plain containers.
        pixel_spec: Name of the spec they were trained on.
        fingerprint: That spec's, when they were trained.
        digest: SHA-256 of the weights file.
        terms: What the training data ask of whoever uses or passes on the weights.
        may_release: False where the terms forbid to pass the weights on.
        trained_on: Source and hash of the manifest.
        licence: Licence of the weights themselves, where they are converted from somebody else's.
        feed: Settings of what it reads (``feeds/kinds``), as plain containers.
        split: How the patients that it was trained on were divided: shares and seed, as
            ``train.recipe.SplitConfig``. Without the manifest it does not tell in which part a
            patient is.
        vocabulary: Digest of its text tower's; empty where that is the small one, or there is none.
        modules: Outside of the package, what has the family and the pixel spec where they are none
            of ours. They are only named: a checkpoint never makes anything be imported.
        frozen: Frozen weights that are not in the file, but where the config says.
    """

    recipe: str
    family: str
    config: dict[str, Any]
    pixel_spec: str
    fingerprint: str
    digest: str
    terms: str = ""
    may_release: bool = True
    trained_on: str = ""
    licence: str = ""
    feed: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] = field(default_factory=dict)
    vocabulary: str = ""
    modules: tuple[str, ...] = ()
    frozen: tuple[NamedWeights, ...] = ()

    @property
    def caution(self) -> str:
        """What a person who sees a score must know of the training data, in one sentence."""
        source = self.trained_on.partition(" ")[0]
        if source == PHANTOMS:
            return "Trained on phantoms only: its scores say nothing about a person."
        if self.licence:
            return "Converted from published weights; measure it on your own data first."
        if not source:
            return (
                "Nothing is recorded of the data it was trained on; measure it on your own first."
            )
        return f"Trained on {source} only; measure it on your own data first."


def save_checkpoint(  # noqa: PLR0913 - all that travels with weights
    folder: Path,
    model: nn.Module,
    *,
    recipe: str,
    family: str,
    config: Any,
    spec: PixelSpec,
    terms: str = "",
    may_release: bool = True,
    trained_on: str = "",
    licence: str = "",
    feed: Any = None,
    split: Any = None,
    frozen: tuple[NamedWeights, ...] = (),
) -> ModelCard:
    """Write weights and their card; each file appears whole or not at all."""
    digest = _write_weights(folder / WEIGHTS, without_named(model, frozen))
    card = ModelCard(
        recipe=recipe,
        family=family,
        config=asdict(config),
        pixel_spec=spec.name,
        fingerprint=spec.fingerprint,
        digest=digest,
        terms=terms,
        may_release=may_release,
        trained_on=trained_on,
        licence=licence,
        feed={} if feed is None else asdict(feed),
        split={} if split is None else asdict(split),
        vocabulary=model.text_tower.vocabulary if isinstance(model, LanguageImageModel) else "",
        modules=modules_of(families=family, specs=spec.name),
        frozen=frozen,
    )
    template = getattr(feed, "template", "")
    if template:
        copy_file(Path(template), folder / TEMPLATE)
    write_card(folder, card)
    return card


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the description beside weights."""
    write_text(folder / DESCRIPTION, json.dumps(asdict(card), indent=2) + "\n")


def write_whole(folder: Path, model: nn.Module, card: ModelCard) -> ModelCard:
    """Write all weights of a network that was loaded with ``card``, and the card that they need."""
    digest = _write_weights(folder / WEIGHTS, model.state_dict())
    card = replace(card, digest=digest, frozen=())
    write_card(folder, card)
    return card


def _write_weights(path: Path, state: Mapping[str, Tensor]) -> str:
    """Write tensors; returns the digest of their file."""
    with whole(path) as draft:
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, draft)
        return digest_of_file(draft)


def load_checkpoint(
    folder: Path | str, *, own: bool = False
) -> tuple[nn.Module, ModelCard, ModelFamily]:
    """The network with its weights, in evaluation mode; strict: every name must be there.

    Nothing that the card says is taken on trust: the weights must have its digest, the network
    that it asks for must have their names and shapes, and no file that it names is opened.

    Args:
        folder: The checkpoint.
        own: This process wrote it, so it may name files that the process was told of.

    Raises:
        CheckpointError: A file is missing or damaged, the weights do not fit, the pixel spec of
            that name is another one today than the one they were trained on, a module outside
            of the package is needed that is not in use, or frozen weights that are named are not
            where the config says, or others.
    """
    folder = Path(folder)
    card = read_card(folder)
    family, spec = _family_and_spec(folder, card)
    if spec.fingerprint != card.fingerprint:
        raise CheckpointError(
            f"{folder}: trained on pixel spec {card.pixel_spec} {card.fingerprint}, but that name "
            f"is {spec.fingerprint} in this version; use the version that trained it, or retrain"
        )
    weights = folder / WEIGHTS
    settings = _without_pretraining(card.config)
    if not own:
        require_no_files({**settings, "feed": card.feed}, folder / DESCRIPTION)
        settings = with_folders_here(settings)
    try:
        if digest_of_file(weights) != card.digest:
            raise CheckpointError(
                f"{weights}: not the file that {DESCRIPTION} describes; copy both"
            )
        config: Any = TypeAdapter(family.config).validate_python(settings)
        _require_known(settings, asdict(config), folder / DESCRIPTION)
        left_out = tuple(f"{each.part}_tower." for each in card.frozen)
        plan(family, config, weights, card.recipe, left_out=left_out)
        model = _built(family, settings, card, folder)
        _require_vocabulary(card, model, folder)
        state = load_file(weights)
        require_named(model, state, card.frozen, str(folder))
        model.load_state_dict(state, strict=not card.frozen)
    except (OSError, SafetensorError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights}: cannot be loaded as {card.recipe}: {reason}") from error
    return model.eval(), card, family


def _built(
    family: ModelFamily, settings: dict[str, Any], card: ModelCard, folder: Path
) -> nn.Module:
    """The network with the weights that its card names, and random ones elsewhere."""
    settings = config_with_sources(settings, card.config, card.frozen, str(folder))
    config: Any = TypeAdapter(family.config).validate_python(settings)
    try:
        model: nn.Module = family.build(config)
    except FourviewError as error:
        if card.frozen:
            raise missing_source(str(folder), card.frozen, error) from error
        raise
    return model


def _require_vocabulary(card: ModelCard, model: nn.Module, folder: Path) -> None:
    """Refuse a tokenizer that is not the one that the weights were trained with."""
    if not isinstance(model, LanguageImageModel) or not card.vocabulary:
        return
    tower = model.text_tower
    if tower.vocabulary != card.vocabulary:
        raise CheckpointError(
            f"{folder / DESCRIPTION}: {card.recipe} was trained with vocabulary {card.vocabulary}, "
            f"the tokenizer in {text_folder(tower.tokenizer.name)} has {tower.vocabulary}; put the "
            "model's own tokenizer there"
        )


def read_card(folder: Path | str) -> ModelCard:
    """The description of a checkpoint.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    path = Path(folder) / DESCRIPTION
    try:
        data = read_json_object(path, max_bytes=MAX_CARD)
        card = TypeAdapter(ModelCard).validate_python(data)
    except OSError as error:
        ours = packaged_names()
        near = did_you_mean(str(folder), ours)
        raise CheckpointError(
            f"{path}: not found; {near}need a run folder, a checkpoint folder, or the name of a "
            f"checkpoint that the package ships: {', '.join(ours)}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: damaged: {where}: {first['msg']}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    known = {name: getattr(card, name) for name in ModelCard.__dataclass_fields__}
    _require_known(data, known, path)
    return card


def _require_known(given: Any, known: Any, path: Path, key: str = "") -> None:
    """Refuse names of settings that nothing reads; settings in a list have no names."""
    if not isinstance(given, dict) or not isinstance(known, dict):
        return
    for name, value in given.items():
        if name not in known:
            where = f" in {key}" if key else ""
            raise CheckpointError(f"{path}: damaged{where}: {no_such('key', name, list(known))}")
        _require_known(value, known[name], path, f"{key}.{name}" if key else name)


def _family_and_spec(folder: Path, card: ModelCard) -> tuple[ModelFamily, PixelSpec]:
    """The family and pixel spec that a card names."""
    try:
        return find_family(card.family), pixel_spec(card.pixel_spec)
    except (RecipeError, PixelError) as error:
        if not card.modules:
            raise
        need = " ".join(f"--module {name}" for name in card.modules)
        calls = "; ".join(f"fourview.use_module('{name}')" for name in card.modules)
        raise CheckpointError(
            f"{folder}: family '{card.family}' and pixel spec '{card.pixel_spec}' need a module "
            f"outside of Fourview that is not in use; add {need} (in a program: {calls})"
        ) from error


def _without_pretraining(config: dict[str, Any]) -> dict[str, Any]:
    """The config, but start from random weights: the checkpoint's replace them anyway."""
    return {
        name: "none"
        if name == "weights" and isinstance(part, str)
        else _without_pretraining(part)
        if isinstance(part, dict)
        else part
        for name, part in config.items()
    }


def without_pretraining(family: ModelFamily, config: Any) -> Any:
    """A family's config that asks for no weights of others, to plan its network from."""
    return TypeAdapter(family.config).validate_python(_without_pretraining(asdict(config)))
