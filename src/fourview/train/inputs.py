"""What a run was begun with, beside its recipe; and what differs when it is to go on.

RUN/inputs.json    manifest, store, and the weights that it starts from and reads as context
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fourview.checkpoint.card import read_card
from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.errors import TrainingError
from fourview.fingerprint import digest_of_text
from fourview.json_file import read_json_object
from fourview.manifest.manifest import manifest_hash
from fourview.run_files import INPUTS, RECIPE
from fourview.store.said import Said
from fourview.store.store import Store
from fourview.train.recipe import Recipe

SHOWN = 4  # settings in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Digests of what decides a run beside its recipe; empty where there is nothing of the kind."""

    manifest: str
    store: str
    start: str = ""
    context: str = ""

    def digest(self, recipe: Recipe) -> str:
        """One digest of the recipe and of these."""
        parts = [recipe.to_json(), *asdict(self).values()]
        return digest_of_text("\n".join(parts))


def inputs_of(
    manifest: Manifest, store: Store, *, start: Path | None = None, context: Said | None = None
) -> Inputs:
    """Digests of what a run is made of; the digest of weights stands in their card."""
    return Inputs(
        manifest=manifest_hash(manifest),
        store=store.fingerprint,
        start="" if start is None else read_card(start).digest,
        context="" if context is None else str(context.about["weights"]),
    )


def write_inputs(out: Path, inputs: Inputs) -> None:
    """Write them into a run's folder."""
    write_text(out / INPUTS, json.dumps(asdict(inputs), indent=1) + "\n")


def require_same(out: Path, recipe: Recipe, inputs: Inputs) -> None:
    """Refuse to go on with a run that was begun with other settings or data.

    Raises:
        TrainingError: Something differs; the message names it with both values.
    """
    if not (out / RECIPE).exists() or not (out / INPUTS).exists():
        return
    try:
        before = read_json_object(out / RECIPE)
        was = read_json_object(out / INPUTS)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{out}: cannot be resumed ({error}); take another folder") from error
    now = json.loads(recipe.to_json())
    changes = [
        f"{name} {_short(old)}, now {_short(new)}" for name, old, new in differences(before, now)
    ]
    changes += [
        f"another {name}" for name, value in asdict(inputs).items() if was.get(name, "") != value
    ]
    if changes:
        shown = "; ".join(changes[:SHOWN]) + (
            f"; and {len(changes) - SHOWN} more" * (len(changes) > SHOWN)
        )
        raise TrainingError(
            f"{out}: was begun with another recipe, manifest or store ({shown}); take another "
            "folder or the same settings"
        )


def differences(before: Any, now: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """Names of settings with their values before and now, where these are not the same."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [(name, before, now)]
    return [
        each
        for key in dict.fromkeys((*before, *now))
        for each in differences(
            before.get(key), now.get(key), f"{name}.{key}" if name else str(key)
        )
    ]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
