"""``fourview list``: what there is, and where to start.

What is the package's own is read from ``lists.json`` (written by ``docs/make_lists.py``), so that a
list is there at once, without importing torch.
"""

import json as jsonlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.outside import OURS, outside

Kind = Literal[
    "sources",
    "specs",
    "families",
    "feeds",
    "recipes",
    "protocols",
    "tables",
    "conversions",
    "studies",
]
Rows = dict[str, dict[str, Any]]
PLACE = Path(__file__).with_name("lists.json")
SIZES = {  # the one rule of names: what a run's name begins with, and what it needs
    "small": "small",  # a processor, minutes: phantoms or little data
    "phantom": "small",
    "mini": "mini",  # the same, smaller still: for rows of a table with several seeds
    "located": "of the package",
    "reference": "as the authors' code",
}
PUBLISHED = "as published"
START = {  # the run of a family to begin with; by default `paper`, and `small` without a GPU
    "clip": ("clip:paper", "clip:phantom"),
    "dmv": ("dmv:views", "dmv:small"),
    "glam": ("glam:paper", "glam:phantom"),
    "gmic": ("gmic:published_1", "gmic:small"),
    "mama": ("mama:paper", "mama:phantom"),
    "mammo_clip": ("mammo_clip:b2",),
    "mgca": ("mgca:paper",),
    "mm_mil": ("mm_mil:paper",),
    "nyu_glam": ("nyu_glam:joint", "nyu_glam:small"),
    "probe": ("probe:linear", "probe:small_linear"),
    "screen_ensemble": ("screen_ensemble:fine_tune", "screen_ensemble:mini"),
}


def list_(what: Kind, *, module: Modules = (), json: bool = False) -> None:
    """Show what there is, and where to start.

    Args:
        what: sources, specs, families, feeds, recipes, protocols, tables, conversions or studies.
        module: Your own module with families, recipes, sources, ...; may be repeated.
        json: Print as JSON.
    """
    use_modules(module)
    kinds: dict[Kind, Callable[[], Rows]] = {
        "sources": _sources,
        "specs": _specs,
        "families": _families,
        "feeds": _feeds,
        "recipes": _recipes,
        "protocols": _protocols,
        "tables": _tables,
        "conversions": _conversions,
        "studies": _studies,
    }
    listed = kinds[what]()
    theirs: dict[str, str] = {}
    if what != "tables" and what != "conversions" and what != "studies":  # noqa: PLR1714 - mypy
        theirs = {each.name: each.module for each in outside(what)}
    if json:
        rows = {name: row | {"from": theirs.get(name, OURS)} for name, row in listed.items()}
        print(jsonlib.dumps(rows, indent=2, ensure_ascii=False))
        return
    show: dict[Kind, Callable[[Rows, Mapping[str, str]], None]] = {
        "sources": _show_sources,
        "families": _show_families,
        "recipes": _show_recipes,
        "conversions": _show_conversions,
    }
    show.get(what, _show)(listed, theirs)


def size_of(recipe: str) -> str:
    """What the name of a recipe says of its size: as published, small, mini, ...

    >>> [size_of(name) for name in ("mvccl:paper", "lesion:small_lite", "mvccl:mini_sa")]
    ['as published', 'small', 'mini']
    """
    return SIZES.get(recipe.partition(":")[2].partition("_")[0], PUBLISHED)


def starts(family: str, recipes: Mapping[str, Any]) -> tuple[str, ...]:
    """The runs of a family to begin with: the published one, then the one without a GPU."""
    usual = START.get(family, (f"{family}:paper", f"{family}:small"))
    return tuple(name for name in usual if name in recipes)


def _own() -> dict[str, Any]:
    lists: dict[str, Any] = jsonlib.loads(PLACE.read_text(encoding="utf-8"))
    return lists


def _with_theirs(kind: Literal["families", "feeds", "recipes"], own: Rows) -> Rows:
    """The package's own, and those of modules outside, which are asked themselves."""
    from fourview.feeds.feed import feed_purpose
    from fourview.models.find import find_family
    from fourview.study.find_recipe import find_recipe, recipe_purpose

    rows = dict(own)
    for each in outside(kind):
        if kind == "families":
            family = find_family(each.name)
            rows[each.name] = {"kind": family.kind, "paper": family.paper, "what": ""}
        elif kind == "feeds":
            rows[each.name] = {"about": feed_purpose(each.name)}
        else:
            recipe = find_recipe(each.name)
            rows[each.name] = {
                "about": recipe_purpose(each.name),
                "task": recipe.task,
                "pixels": recipe.pixel_spec,
                "batch": recipe.batch,
                "needs": [n for n in (recipe.starts_from, recipe.context) if n],
                "weights": None,
            }
    return dict(sorted(rows.items()))


def _families() -> Rows:
    own = _own()["families"]
    return _with_theirs("families", own) if outside("families") else own


def _feeds() -> Rows:
    own = {name: {"about": about} for name, about in _own()["feeds"].items()}
    return _with_theirs("feeds", own) if outside("feeds") else own


def _recipes() -> Rows:
    own = _own()["recipes"]
    rows = _with_theirs("recipes", own) if outside("recipes") else own
    return {name: row | {"size": size_of(name)} for name, row in rows.items()}


def _sources() -> Rows:
    from dataclasses import asdict

    from fourview.sources._cards import CARDS

    rows: Rows = {name: asdict(card) for name, card in CARDS.items()}
    for each in outside("sources"):
        rows[each.name] = {"about": _first_line(each.thing)}
    return dict(sorted(rows.items()))


def _specs() -> Rows:
    from fourview.preprocess.spec import ALIASES, pixel_spec, spec_names

    rows = {name: f"short for {ALIASES[name]}" for name in spec_names() if name in ALIASES}
    for name in set(spec_names()) - set(ALIASES):
        spec = pixel_spec(name)
        rows[name] = f"{spec.rows or 'native'} x {spec.cols or 'native'}, {spec.fingerprint}"
    return {name: {"about": about} for name, about in sorted(rows.items())}


def _protocols() -> Rows:
    rows = {name: {"about": title} for name, title in _own()["protocols"].items()}
    for each in outside("protocols"):
        rows[each.name] = {"about": each.thing.title}
    return dict(sorted(rows.items()))


def _tables() -> Rows:
    return {name: {"about": about} for name, about in _own()["tables"].items()}


def _conversions() -> Rows:
    """Published weights that ``fourview convert`` takes."""
    rows: Rows = dict(_own()["conversions"])
    for each in outside("families"):
        for weights in each.thing.published:
            rows[weights.name] = {
                "family": each.name,
                "source": weights.source,
                "licence": weights.licence,
                "pixels": list(weights.pixel_specs),
                "consent": weights.consent,
            }
    return dict(sorted(rows.items()))


def _studies() -> Rows:
    """The studies that the package ships."""
    from fourview.study.read_study import SHIPPED, read_study, shipped_names

    return {
        name: {"about": read_study(SHIPPED / f"{name}.toml")[0].title} for name in shipped_names()
    }


def _show(rows: Rows, theirs: Mapping[str, str]) -> None:
    width = max(map(len, rows), default=0)
    for name, row in rows.items():
        say(f"{name:<{width}}  {row['about']}{_from(name, theirs)}")


def _show_sources(rows: Rows, theirs: Mapping[str, str]) -> None:
    for name, row in rows.items():
        if "about" in row:
            say(f"{name}  {row['about']}{_from(name, theirs)}")
            continue
        say(f"{name}  {row['title']}")
        say(f"    says: {row['knows']}")
        say(f"    you need: {row['need']}")
        doi = f"doi:{row['doi']}" if row["doi"] else ""
        about = "; ".join(part for part in (row["terms"], row["link"], doi) if part)
        say(f"    terms: {about}")
    say("traps, counts and citations: docs/data_sets.md; which fits: docs/which.md")


def _show_families(rows: Rows, theirs: Mapping[str, str]) -> None:
    recipes = _own()["recipes"]
    for kind, what in (("read", "read exams"), ("pretrain", "learn from images and captions")):
        say(f"Families that {what}:")
        for name, row in rows.items():
            if row["kind"] == kind:
                about = f"{row['what']} ({row['paper']})" if row["what"] else row["paper"]
                say(f"  {name}  {about}{_from(name, theirs)}")
                first = ", ".join(starts(name, recipes)) or "published weights, list conversions"
                say(f"      start here: {first}")


def _show_recipes(rows: Rows, theirs: Mapping[str, str]) -> None:
    families: dict[str, list[str]] = {}
    for name in rows:
        families.setdefault(name.partition(":")[0], []).append(name)
    for family, names in families.items():
        first = starts(family, rows)
        say(f"{family}    start here: {', '.join(first)}" if first else family)
        for name in names:
            row = rows[name]
            weights = "" if row["weights"] is None else f", {row['weights'] / 1e6:.2f} M weights"
            asks = row["task"] or "pre-training"
            say(f"  {name}: {row['about']}{_from(name, theirs)}")
            after = f"; after {' and '.join(row['needs'])}" if row["needs"] else ""
            say(f"      {asks}, {row['pixels']}{weights}; {row['size']}{after}")
    say(
        "Names: small, phantom and mini run on a processor; reference is as the authors' code "
        "computes; all others are of published size and want a GPU."
    )


def _show_conversions(rows: Rows, theirs: Mapping[str, str]) -> None:  # noqa: ARG001 - ours alone
    for name, row in rows.items():
        asked = "; wants --accept-licence" if row["consent"] else ""
        say(f"{name}  {row['family']}: {row['source']}")
        say(f"    licence: {row['licence']}{asked}; reads {' or '.join(row['pixels'])}")


def _from(name: str, theirs: Mapping[str, str]) -> str:
    return f" [from {theirs[name]}]" if name in theirs else ""


def _first_line(thing: object) -> str:
    return ((thing.__doc__ or "").strip().splitlines() or [""])[0]
