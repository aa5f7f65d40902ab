"""Several checkpoints that are one model: ``ensemble.json`` beside the folders that hold them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fourview.checkpoint.card import read_card
from fourview.disk import write_text
from fourview.errors import CheckpointError
from fourview.json_file import read_json_object
from fourview.run_files import ENSEMBLE

# A file that comes from anywhere asks for no more memory than this; ours names a few networks.
MAX_MEMBERS = 32
MAX_BYTES = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # of a folder here, never a path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """What the file says.

    Attributes:
        recipe: FAMILY:NAME, as cards and reports name the whole.
        members: Names of the folders of its networks; their scores are averaged.
    """

    recipe: str
    members: tuple[str, ...]


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Say that the checkpoints in a folder are one model; written after them."""
    fields = {"recipe": ensemble.recipe, "members": list(ensemble.members)}
    write_text(folder / ENSEMBLE, json.dumps(fields, indent=2) + "\n")


def read_ensemble(folder: Path) -> Ensemble | None:
    """What a folder says of its checkpoints; None where it is no ensemble.

    Raises:
        CheckpointError: The file is damaged, or names something that is no folder beside it.
    """
    path = folder / ENSEMBLE
    if not path.exists():
        return None
    try:
        fields = read_json_object(path, max_bytes=MAX_BYTES)
        ensemble = TypeAdapter(Ensemble).validate_python(fields)
    except ValidationError as error:
        raise CheckpointError(f"{path}: damaged: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    if not 1 <= len(ensemble.members) <= MAX_MEMBERS:
        raise CheckpointError(
            f"{path}: damaged: {len(ensemble.members)} members, need 1 to {MAX_MEMBERS}"
        )
    for name in ensemble.members:
        if not _NAME.fullmatch(name):
            raise CheckpointError(f"{path}: damaged: '{name}' is no name of a folder beside it")
    return ensemble


def member_for(folder: Path, spec: str) -> Path:
    """The network of an ensemble that reads a pixel spec; a folder that is none, itself.

    Raises:
        CheckpointError: No network of it reads that spec.
    """
    ensemble = read_ensemble(folder)
    if ensemble is None:
        return folder
    specs = {name: read_card(folder / name).pixel_spec for name in ensemble.members}
    for name, known in specs.items():
        if known == spec:
            return folder / name
    raise CheckpointError(
        f"{folder}: no network of {ensemble.recipe} reads '{spec}'; they read "
        f"{', '.join(specs.values())}: name one as pixel_spec"
    )


def members_of(folder: Path) -> tuple[Path, ...]:
    """The checkpoints of a model: those of an ensemble, else the folder itself."""
    ensemble = read_ensemble(folder)
    return (folder,) if ensemble is None else tuple(folder / name for name in ensemble.members)
