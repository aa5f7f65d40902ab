"""``fourview list``: what there is."""

import json as jsonlib
from collections.abc import Callable
from typing import Literal

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.outside import OURS, outside

Kind = Literal["sources", "specs", "families", "feeds", "recipes", "protocols", "tables"]


def list_(what: Kind, *, module: Modules = (), json: bool = False) -> None:
    """Show what there is, with a line on each.

    Args:
        what: sources, specs, families, feeds, recipes, protocols or tables.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print as JSON.
    """
    use_modules(module)
    kinds: dict[Kind, Callable[[], dict[str, str]]] = {
        "sources": _sources,
        "specs": _specs,
        "families": _families,
        "feeds": _feeds,
        "recipes": _recipes,
        "protocols": _protocols,
        "tables": _tables,
    }
    told = kinds[what]()
    theirs = {} if what == "tables" else {each.name: each.module for each in outside(what)}
    if json:
        rows = {n: {"about": a, "from": theirs.get(n, OURS)} for n, a in told.items()}
        print(jsonlib.dumps(rows, indent=2))
        return
    width = max(map(len, told), default=0)
    for name, about in told.items():
        say(f"{name:<{width}}  {about}{f' [from {theirs[name]}]' if name in theirs else ''}")


def _sources() -> dict[str, str]:
    from fourview.sources.find import find_source, source_names

    return {name: _first_line(find_source(name)) for name in source_names()}


def _specs() -> dict[str, str]:
    from fourview.preprocess.spec import ALIASES, pixel_spec, spec_names

    told = {name: f"short for {ALIASES[name]}" for name in spec_names() if name in ALIASES}
    for name in set(spec_names()) - set(ALIASES):
        spec = pixel_spec(name)
        told[name] = f"{spec.rows or 'native'} x {spec.cols or 'native'}, {spec.fingerprint}"
    return dict(sorted(told.items()))


def _families() -> dict[str, str]:
    from fourview.models.find import family_names, find_family

    return {name: find_family(name).paper for name in family_names()}


def _feeds() -> dict[str, str]:
    from fourview.feeds.feed import feed_names, feed_purpose

    return {name: feed_purpose(name) for name in feed_names()}


def _recipes() -> dict[str, str]:
    from fourview.study.find_recipe import recipe_names, recipe_purpose

    return {name: recipe_purpose(name) for name in recipe_names()}


def _protocols() -> dict[str, str]:
    from fourview.evaluate.protocols import find_protocol, protocol_names

    return {name: find_protocol(name).title for name in protocol_names()}


def _tables() -> dict[str, str]:
    from fourview.report.table_published import published_tables

    return {
        name: f"{table.source}: {len(table.rows)} rows, {' and '.join(table.datasets)};"
        f" {', '.join(table.protocols)}"
        for name, table in published_tables().items()
    }


def _first_line(thing: object) -> str:
    return ((thing.__doc__ or "").strip().splitlines() or [""])[0]
