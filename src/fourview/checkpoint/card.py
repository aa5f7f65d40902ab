"""A checkpoint: weights as safetensors, and beside them all that is needed to use them. No pickle.

FOLDER/model.safetensors    the model's state, float32
FOLDER/model.json           family, config, task, pixel spec with fingerprint, terms, digest
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from fourview.contract import ModelFamily
from fourview.disk import whole, write_text
from fourview.errors import CheckpointError
from fourview.fingerprint import digest_of_file
from fourview.models.find import find_family
from fourview.preprocess.spec import PixelSpec, pixel_spec
from fourview.run_files import DESCRIPTION, WEIGHTS


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
        licence: Of the weights themselves, where they are converted from somebody else's.
        feed: Settings of what it reads (``feeds/kinds``), as plain containers.
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
) -> ModelCard:
    """Write weights and their card; each file appears whole or not at all."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with whole(folder / WEIGHTS) as draft:
        save_file(state, draft)
        digest = digest_of_file(draft)
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
    )
    write_text(folder / DESCRIPTION, json.dumps(asdict(card), indent=2) + "\n")
    return card


def load_checkpoint(folder: Path) -> tuple[nn.Module, ModelCard, ModelFamily]:
    """The network with its weights, in evaluation mode; strict: every name must be there.

    Raises:
        CheckpointError: A file is missing or damaged, the weights do not fit, or the pixel spec of
            that name is another one today than the one they were trained on.
    """
    card = read_card(folder)
    family = find_family(card.family)
    spec = pixel_spec(card.pixel_spec)
    if spec.fingerprint != card.fingerprint:
        raise CheckpointError(
            f"{folder}: trained on pixel spec {card.pixel_spec} {card.fingerprint}, but that name "
            f"is {spec.fingerprint} in this version; use the version that trained it, or retrain"
        )
    weights = folder / WEIGHTS
    try:
        config: Any = TypeAdapter(family.config).validate_python(_without_pretraining(card.config))
        model = family.build(config)
        state = load_file(weights)
        model.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, ValidationError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{weights}: cannot be loaded as {card.recipe}: {reason}") from error
    if digest_of_file(weights) != card.digest:
        raise CheckpointError(f"{weights}: not the file that {DESCRIPTION} describes; copy both")
    return model.eval(), card, family


def read_card(folder: Path) -> ModelCard:
    """The description of a checkpoint.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    path = folder / DESCRIPTION
    try:
        return TypeAdapter(ModelCard).validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(
            f"{path}: not found; need a run folder or a checkpoint folder of Fourview"
        ) from error
    except ValidationError as error:
        raise CheckpointError(f"{path}: damaged: {error.errors()[0]['msg']}") from error


def _without_pretraining(config: dict[str, Any]) -> dict[str, Any]:
    """The config, but start from random weights: the checkpoint's replace them anyway."""
    return {
        name: {**part, "weights": "none"}
        if isinstance(part, dict) and isinstance(part.get("weights"), str)
        else part
        for name, part in config.items()
    }
