"""A copy of a checkpoint to pass on; refused where the terms of its data forbid that."""

import json
from pathlib import Path
from typing import Any

from fourview.checkpoint.card import ModelCard, load_checkpoint, read_card, write_whole
from fourview.disk import copy_file, write_text
from fourview.errors import CheckpointError
from fourview.json_file import read_json_object
from fourview.run_files import (
    DESCRIPTION,
    OPERATING_POINTS,
    TEMPLATE,
    WEIGHTS,
    checkpoint_of,
    operating_points_of,
)

PERMISSION = "permission.json"


def export_checkpoint(
    run: Path, out: Path, *, permission: str = "", complete: bool = False
) -> ModelCard:
    """Copy a run's best checkpoint, with its card and thresholds, to a folder of its own.

    Nothing of the training data goes along: no split, no log, no predictions. Of a file that
    training began with only the name does, not where it lay.

    Args:
        run: Run or checkpoint folder.
        out: Folder to make; must be new or empty.
        permission: Where the terms forbid passing the weights on: what allows it all the same, such
            as the number of a contract. It is written beside the card, with the terms.
        complete: With the frozen weights that the checkpoint only names, under the licence of
            whoever published them; its digest is another one then.

    Raises:
        CheckpointError: There is no checkpoint, ``out`` holds something, or the terms forbid it and
            no permission is named.
    """
    folder = checkpoint_of(run)
    card = read_card(folder)
    if not card.may_release and not permission.strip():
        raise CheckpointError(
            f"{folder}: {card.recipe} must not be passed on ({card.terms or card.licence}); if you "
            "have a permission, name it: --permission REFERENCE"
        )
    if out.exists() and any(out.iterdir()):
        raise CheckpointError(f"{out}: is not empty; name a new folder")
    model = load_checkpoint(folder)[0] if complete and card.frozen else None
    out.mkdir(parents=True, exist_ok=True)
    thresholds = operating_points_of(folder)
    if thresholds is not None:
        copy_file(thresholds, out / OPERATING_POINTS)
    if model is not None:
        before, card = card, write_whole(out, model, card)
        _rename_model(out / OPERATING_POINTS, before.digest, card.digest)
    else:
        for name in (WEIGHTS, DESCRIPTION):
            copy_file(folder / name, out / name)
    if not card.frozen:  # else the frozen weights are where the config says
        description = read_json_object(out / DESCRIPTION)
        description["config"] = _without_folders(description["config"])
        write_text(out / DESCRIPTION, json.dumps(description, indent=2) + "\n")
    if (folder / TEMPLATE).exists():
        copy_file(folder / TEMPLATE, out / TEMPLATE)
    if not card.may_release:
        fields = {"permission": permission.strip(), "terms": card.terms, "licence": card.licence}
        write_text(out / PERMISSION, json.dumps(fields, indent=2) + "\n")
    return card


def _without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """The config with the names of weights in place of their paths."""
    return {
        name: _without_folders(part)
        if isinstance(part, dict)
        else Path(part).name
        if name == "weights" and isinstance(part, str)
        else part
        for name, part in config.items()
    }


def _rename_model(path: Path, before: str, now: str) -> None:
    """Thresholds stay those of the same network, which has another digest in another file."""
    if path.exists():
        write_text(path, path.read_text().replace(before, now))
