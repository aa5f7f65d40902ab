"""What a card of weights may ask for, before anything is made: no file, no more than its weights.

A card may come from anywhere. It names a family and its settings; from these a network is planned
on torch's ``meta`` device, which holds shapes and no numbers, and compared with the names and
shapes in the header of the weights file. Only then is memory taken.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from fourview.contract import ModelFamily
from fourview.errors import CheckpointError, FourviewError
from fourview.nn.text_folder import ALLOWED, allowed_path, is_allowed
from fourview.nn.tokenizer import SMALL

MOST_NUMBERS = 8_000_000_000  # of a planned network: 32 GB; the largest here has 0.3 billion
MOST_TENSORS = 100_000  # likewise; the largest here has 2,000
SHOWN = 3  # names in a message


def require_no_files(settings: Any, where: Path, *, key: str = "") -> None:
    """Refuse settings that name a file or folder, other than below the folders in ALLOWED.

    Args:
        settings: Plain containers.
        where: The card, for the message.
        key: Key below which the settings stand in it.

    Raises:
        CheckpointError: The message names the key and what it says.
    """
    if isinstance(settings, dict):
        for name, value in settings.items():
            require_no_files(value, where, key=f"{key}.{name}" if key else str(name))
    elif isinstance(settings, list):
        for value in settings:
            require_no_files(value, where, key=key)
    elif isinstance(settings, str) and _is_place(settings, key) and not is_allowed(settings):
        raise CheckpointError(
            f"{where}: {key} names '{settings}'; a card opens no file. If you trust it and have "
            f"that model, set {ALLOWED} to the folder that holds it, by the same name"
        )


def plan(
    family: ModelFamily,
    config: Any,
    weights: Path,
    recipe: str,
    *,
    left_out: tuple[str, ...] = (),
) -> None:
    """Make sure that the network of a config has the names and shapes of a weights file.

    Args:
        family: Family of the network.
        config: Config of the network; it asks for no weights of others.
        weights: The file.
        recipe: Name of the recipe, for messages.
        left_out: Beginnings of names that the file may lack.

    Raises:
        CheckpointError: The network has others, or cannot be built; no memory was taken for it.
    """
    with safe_open(weights, framework="pt") as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    numbers = sum(math.prod(shape) for shape in shapes.values())
    try:
        try:
            with _bounded(MOST_NUMBERS), torch.device("meta"):
                model = family.build(config)
        except NotImplementedError:  # a part that computes while it is made
            with _bounded(max(4 * numbers, 1 << 26)):
                model = family.build(config)
    except FourviewError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{weights}: cannot be loaded as {recipe}: {reason}") from error
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    other = [
        name
        for name in sorted({*wanted, *shapes})
        if wanted.get(name) != shapes.get(name)
        and not (name not in shapes and name.startswith(left_out))
    ]
    if other:
        shown = "; ".join(
            f"{name} is {_shape(shapes.get(name))}, need {_shape(wanted.get(name))}"
            for name in other[:SHOWN]
        )
        raise CheckpointError(
            f"{weights}: cannot be loaded as {recipe}: {len(other):,} tensors differ ({shown}); "
            "the card and the weights belong to two networks"
        )


@contextmanager
def _bounded(most: int) -> Iterator[None]:
    """Stop the making of a network once it has more tensors or numbers than any has."""
    tensors = numbers = 0

    def count(_: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        tensors += 1
        numbers += 0 if parameter is None else parameter.numel()
        if tensors > MOST_TENSORS or numbers > most:
            raise CheckpointError(
                f"the card asks for a network of more than {numbers:,} numbers in {tensors:,} "
                f"tensors (at '{name}'), which its weights do not have; refused"
            )

    handle: Any = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def _is_place(text: str, key: str) -> bool:
    """Whether a setting could be opened: as a path, or as a name in the working folder."""
    if key == "feed.template":
        return False  # a copy lies beside the weights, and only that is opened
    if any(sign in text for sign in "/\\~:\0") or text.startswith("."):
        return True
    parent, _, name = key.rpartition(".")
    names_model = name == "name" and parent.rpartition(".")[2] in ("text", "tokenizer")
    return names_model and text not in ("", SMALL)


def with_folders_here(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose text folder is named where it lies today, below the folders in ALLOWED."""
    text = settings.get("text")
    if not isinstance(text, dict) or text.get("name", SMALL) == SMALL:
        return settings
    folder = allowed_path(str(text["name"]))
    return settings if folder is None else {**settings, "text": {**text, "name": str(folder)}}


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))
