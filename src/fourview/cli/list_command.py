"""``fourview list``: what there is."""

import json as jsonlib
from collections.abc import Callable
from typing import Literal

Kind = Literal["sources", "specs", "families", "recipes", "protocols", "tables"]


def list_(what: Kind, *, json: bool = False) -> None:
    """Show what there is, with a line on each.

    Args:
        what: sources, specs, families, recipes, protocols or tables.
        json: Print as JSON.
    """
    kinds: dict[Kind, Callable[[], dict[str, str]]] = {
        "sources": _sources,
        "specs": _specs,
        "families": _families,
        "recipes": _recipes,
        "protocols": _protocols,
        "tables": _tables,
    }
    found = kinds[what]()
    if json:
        print(jsonlib.dumps(found, indent=2))
        return
    width = max(map(len, found), default=0)
    for name, about in found.items():
        print(f"{name:<{width}}  {about}")


def _sources() -> dict[str, str]:
    from fourview.sources.find import find_source, source_names

    return {name: _first_line(find_source(name)) for name in source_names()}


def _specs() -> dict[str, str]:
    from fourview.preprocess.spec import ALIASES, SPECS

    told = {
        name: f"{spec.rows or 'native'} x {spec.cols or 'native'}, {spec.fingerprint}"
        for name, spec in SPECS.items()
    }
    told |= {short: f"short for {name}" for short, name in ALIASES.items()}
    return dict(sorted(told.items()))


def _families() -> dict[str, str]:
    from fourview.models.find import family_names, find_family

    return {name: find_family(name).paper for name in family_names()}


def _recipes() -> dict[str, str]:
    from fourview.study.find_recipe import recipe_names, recipe_purpose

    return {name: recipe_purpose(name) for name in recipe_names()}


def _protocols() -> dict[str, str]:
    from fourview.evaluate.protocols import PROTOCOLS

    return {name: protocol.title for name, protocol in sorted(PROTOCOLS.items())}


def _tables() -> dict[str, str]:
    from fourview.report.table_published import published_tables

    return {
        name: f"{table.source}: {len(table.rows)} rows, {' and '.join(table.datasets)};"
        f" {', '.join(table.protocols)}"
        for name, table in published_tables().items()
    }


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]
