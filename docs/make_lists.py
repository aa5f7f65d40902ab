"""Writes ``src/fourview/cli/lists.json``: what ``fourview list`` prints without importing torch.

Run it after changing families, feeds, recipes or published weights: python docs/make_lists.py
"""

import json
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import torch

import fourview
from fourview.evaluate.protocols import PROTOCOLS, find_protocol
from fourview.feeds import kinds
from fourview.feeds.feed import feed_purpose
from fourview.models.find import find_family
from fourview.models.find import own_names as own_families
from fourview.report.table_published import published_tables
from fourview.study.find_recipe import find_recipe, recipe_purpose
from fourview.study.find_recipe import own_names as own_recipes

PLACE = Path(fourview.__file__).parent / "cli" / "lists.json"


def lists(*, weights: bool = True) -> dict[str, Any]:
    """All lists.

    Args:
        weights: Count them; each network is built, though without memory for its weights.
    """
    return {
        "families": {name: _family(name) for name in own_families()},
        "feeds": {kind.name: feed_purpose(kind.name) for kind in iter_modules(kinds.__path__)},
        "recipes": {name: _recipe(name, weights=weights) for name in own_recipes()},
        "protocols": {name: find_protocol(name).title for name in sorted(PROTOCOLS)},
        "tables": {
            name: f"{table.source}: {len(table.rows)} rows, {' and '.join(table.datasets)};"
            f" {', '.join(table.protocols)}"
            for name, table in published_tables().items()
        },
        "conversions": {
            each.name: {
                "family": name,
                "source": each.source,
                "licence": each.licence,
                "pixels": list(each.pixel_specs),
                "consent": each.consent,
            }
            for name in own_families()
            for each in find_family(name).published
        },
    }


def _family(name: str) -> dict[str, str]:
    family = find_family(name)
    return {"kind": family.kind, "paper": family.paper, "what": _first_line(family.build)}


def _first_line(build: Any) -> str:
    module = __import__(build.__module__, fromlist=["__doc__"])
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _recipe(name: str, *, weights: bool) -> dict[str, Any]:
    recipe = find_recipe(name)
    told = {
        "about": recipe_purpose(name),
        "task": recipe.task,
        "pixels": recipe.pixel_spec,
        "batch": recipe.batch,
        "needs": [each for each in (recipe.starts_from, recipe.context) if each],
    }
    return told | ({"weights": _weights(recipe)} if weights else {})


def _weights(recipe: Any) -> int | None:
    """How many weights the network has; None where it needs files that are not here."""
    try:
        with torch.device("meta"):
            model = find_family(recipe.family).build(_random(recipe.model))
    except Exception as error:  # noqa: BLE001 - whatever a network asks for that is not here
        print(f"{recipe.name}: weights not counted: {type(error).__name__}: {error}")
        return None
    return sum(p.numel() for p in model.parameters())


def _random(config: Any) -> Any:
    """The config without pretrained weights, whose files are not here."""
    from dataclasses import fields, is_dataclass, replace  # noqa: PLC0415

    changes: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            changes[field.name] = _random(value)
        elif field.name == "weights" and isinstance(value, str):
            changes[field.name] = "none"
    return replace(config, **changes)


if __name__ == "__main__":
    PLACE.write_text(json.dumps(lists(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(PLACE)
