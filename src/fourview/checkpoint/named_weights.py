"""Frozen weights that a checkpoint names and does not hold: those of a large pretrained tower.

A run of ``mama:paper`` trains adapters and heads beside a text model of 11 GB that stays as it
came. Its checkpoint holds what is trained. Of the rest its card has a digest, and the config says
where the weights are: ``text.name`` is a folder, ``image.weights`` a file. Whoever loads it reads
them there, and they must have that digest.

What is named:  a text tower's frozen weights, since its folder is needed for its tokenizer anyway;
                a frozen image tower's where its file lies below FOURVIEW_MODELS, since a card may
                name no other.
What is held:   everything else: what is trained, what another run left, what has no such source.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fourview.errors import CheckpointError
from fourview.fingerprint import digest_of_parts
from fourview.nn.text_folder import ALLOWED, allowed_path, is_allowed
from fourview.nn.weight_bytes import weight_bytes

Part = Literal["text", "image"]
SOURCES: dict[Part, str] = {"text": "name", "image": "weights"}  # of the config of each tower


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWeights:
    """What a card says of the frozen weights of one tower.

    Attributes:
        part: Field of the config that says where they are, and ``part``_tower of the network.
        digest: SHA-256 of their names and values, as the run had them.
        precision: ``bfloat16`` where the run kept matrices in that, and so rounded them.
    """

    part: Part
    digest: str
    precision: Literal["float32", "bfloat16"] = "float32"


def names_from_source(model: nn.Module, part: Part) -> list[str]:
    """Names of the frozen weights of a tower that its source gave; empty where there are none."""
    tower: Any = getattr(model, f"{part}_tower", None)
    given: Collection[str] = getattr(tower, "given", ())
    if not given or (part == "image" and not is_allowed(str(tower.config.weights))):
        return []
    return sorted(
        f"{part}_tower.{name}"
        for name, weight in tower.named_parameters()
        if name in given and not weight.requires_grad
    )


def digests_from_source(model: nn.Module, *, half: bool = False) -> dict[Part, str]:
    """Digest of the weights in each tower's ``names_from_source``, where there are any.

    Args:
        model: The network.
        half: Whether digests are of the values that matrices have once rounded to bfloat16.
    """
    weights = dict(model.named_parameters())
    digests: dict[Part, str] = {}
    for part in SOURCES:
        names = names_from_source(model, part)
        if names:
            named = ((name, _rounded(weights[name], half)) for name in names)
            digests[part] = digest_of_parts(weight_bytes(named))
    return digests


def named_weights(model: nn.Module, parts: Collection[Part]) -> tuple[NamedWeights, ...]:
    """What a card says of those towers of a network whose weights are still their source's."""
    weights = dict(model.named_parameters())
    kept = []
    for part, digest in digests_from_source(model).items():
        kinds = {weights[name].dtype for name in names_from_source(model, part)}
        half = torch.bfloat16 in kinds
        if part in parts:
            precision: Literal["float32", "bfloat16"] = "bfloat16" if half else "float32"
            kept.append(NamedWeights(part=part, digest=digest, precision=precision))
    return tuple(kept)


def without_named(model: nn.Module, named: Collection[NamedWeights]) -> dict[str, Tensor]:
    """A network's state without the weights that are named."""
    left_out = {name for each in named for name in names_from_source(model, each.part)}
    return {k: v for k, v in model.state_dict().items() if k not in left_out}


def config_with_sources(
    settings: dict[str, Any],
    card_config: Mapping[str, Any],
    named: Collection[NamedWeights],
    where: str,
) -> dict[str, Any]:
    """Settings that read the named weights at their source.

    Args:
        settings: Settings of a network that begins with no weights; its text folder is where it
            lies today.
        card_config: The config as the card has it.
        named: Weights that the card names.
        where: The checkpoint, for messages.

    Raises:
        CheckpointError: The config has no such tower, or there is nothing at the source.
    """
    for each in named:
        own, theirs = settings.get(each.part), card_config.get(each.part)
        if not isinstance(own, dict) or not isinstance(theirs, dict):
            raise CheckpointError(
                f"{where}: names a frozen {each.part} tower and has none; damaged"
            )
        weights = "pretrained"
        if each.part == "image":
            source = str(theirs.get("weights"))
            here = allowed_path(source)
            if here is None:
                raise missing_source(where, named, f"there is no {source}")
            weights = str(here)
        settings = {**settings, each.part: {**own, "weights": weights}}
    return settings


def require_named(
    model: nn.Module, state: Mapping[str, Tensor], named: Collection[NamedWeights], where: str
) -> None:
    """Make sure that a network has the weights that a card names, and round them as the run did.

    Args:
        model: Network with the weights of its sources.
        state: Weights that the checkpoint holds.
        named: Weights that its card names.
        where: The checkpoint, for the message.

    Raises:
        CheckpointError: The weights at the source are others, or the checkpoint lacks more.
    """
    for each in named:
        names = names_from_source(model, each.part)
        half = each.precision == "bfloat16"
        source = source_of(model, each.part)
        if digests_from_source(model, half=half).get(each.part) != each.digest:
            raise CheckpointError(
                f"{where}: its frozen {each.part} tower has digest {each.digest[:16]}, the weights "
                f"in {source} have another; put those that it was trained with there"
            )
        weights = dict(model.named_parameters())
        for name in names if half else ():
            weights[name].data = _rounded(weights[name].data, half).float()
    held = {*state, *(n for each in named for n in names_from_source(model, each.part))}
    lacking = sorted(set(model.state_dict()) - held)
    if lacking:
        raise CheckpointError(f"{where}: holds no '{lacking[0]}', and no tower gives it; damaged")


def source_of(model: nn.Module, part: Part) -> str:
    """Where a tower's weights came from."""
    tower: Any = getattr(model, f"{part}_tower")
    return str(getattr(tower.config, SOURCES[part]))


def missing_source(where: str, named: Collection[NamedWeights], reason: object) -> CheckpointError:
    """What to say where a source is not there or cannot be read."""
    parts = " and ".join(each.part for each in named)
    return CheckpointError(
        f"{where}: holds what was trained, and its frozen {parts} tower is missing ({reason}); set "
        f"{ALLOWED} to the folder that has it, or get a copy made by fourview export --whole"
    )


def _rounded(weight: Tensor, half: bool) -> Tensor:
    return weight.to(torch.bfloat16) if half and weight.ndim > 1 else weight
