"""Families, recipes, sources, specs, protocols and feeds that live outside the package.

They are in a module of yours, in lists with these names, as many of them as it needs:

    FAMILIES = [FAMILY]                        ModelFamily
    RECIPES = {"brightest:plain": plain}       FAMILY:RECIPE to a function that gives a Recipe
    SOURCES = {"riverbend": read_riverbend}    a name to a function: folder to Manifest
    SPECS = [SPEC]                             PixelSpec
    PROTOCOLS = [PROTOCOL]                     Protocol
    FEEDS = {"strips": FEED}                   a name to a FeedKind

A module is named by ``use_module``, which is what ``--module`` of a command calls; or an installed
package names it as an entry point of the group ``fourview.families``, ``fourview.recipes``, and so
on. Such a module is imported only when somebody asks for a name of that kind that the package
does not have.

Metrics have no list: a module adds one with ``evaluate.metrics.register`` when it is imported.
"""

import importlib
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal

from fourview.errors import FourviewError, ModuleError
from fourview.suggest import no_such

Kind = Literal["families", "recipes", "sources", "specs", "protocols", "feeds"]
LISTS: Mapping[Kind, str] = {
    "families": "FAMILIES",
    "recipes": "RECIPES",
    "sources": "SOURCES",
    "specs": "SPECS",
    "protocols": "PROTOCOLS",
    "feeds": "FEEDS",
}
OURS = "fourview"  # where everything of the package itself comes from

_used: list[str] = []  # modules that this process was told to use, in that order


@dataclass(frozen=True, slots=True)
class Outside:
    """One thing that a module outside of the package has.

    Attributes:
        name: The name that it is asked for by.
        thing: The family, function, spec, ...
        module: Where it is from.
    """

    name: str
    thing: Any
    module: str


def use_module(name: str) -> ModuleType:
    """Import a module and use what it has, from now on and in the processes that are started.

    Args:
        name: As in an import statement, such as ``my_package`` or ``my_package.sources``.

    Raises:
        ModuleError: There is none of that name, importing it fails, it has nothing for Fourview,
            or a name in it is taken by another module.
    """
    module = _imported(name)
    for kind in LISTS:
        _listed(module, kind)
    if not any(hasattr(module, names) for names in LISTS.values()):
        raise ModuleError(
            f"module '{name}' ({_place(module)}): has none of {', '.join(LISTS.values())}; "
            "see docs/adding_a_model.md"
        )
    if name not in _used:
        _used.append(name)
    return module


def used_modules() -> tuple[str, ...]:
    """What ``use_module`` was called with; for other processes, which need the same."""
    return tuple(_used)


def outside(kind: Kind) -> list[Outside]:
    """All things of a kind that modules in use and installed packages have.

    Raises:
        ModuleError: A module cannot be imported, or two have different things of one name.
    """
    return list(_together(kind, (*map(_imported, _used), *_installed(kind))).values())


def find_outside(
    kind: Kind,
    name: str,
    ours: Collection[str],
    *,
    what: str,
    error: type[FourviewError],
    of: type | None = None,
) -> Outside | None:
    """The thing of that name, where it is not one of ours.

    Args:
        kind: Of the thing.
        name: What is asked for.
        ours: Names of the package itself.
        what: The kind in words, for errors: "model family".
        error: What is raised where there is none of that name.
        of: The class it must have; None asks for a function.

    Returns:
        None where the name is one of ours.

    Raises:
        ModuleError: A module in use has a thing of that name too, a thing of a wrong class, or
            cannot be imported.
    """
    if name in ours:
        clash = next((m for m in _used if name in _listed(_imported(m), kind)), None)
        if clash is not None:
            raise ModuleError(
                f"module '{clash}': {what} '{name}' is one of Fourview's; give yours another name"
            )
        return None
    theirs = _together(kind, map(_imported, _used))  # those of installed packages only if need be
    if name not in theirs:
        theirs = {each.name: each for each in outside(kind)}
    if name not in theirs:
        known = no_such(what, name, sorted([*ours, *theirs]))
        raise error(f"{known}; of your own: --module NAME")
    entry = theirs[name]
    if not (callable(entry.thing) if of is None else isinstance(entry.thing, of)):
        need = "a function" if of is None else f"a {of.__name__}"
        raise ModuleError(
            f"module '{entry.module}': '{name}' in {LISTS[kind]} is a "
            f"{type(entry.thing).__name__}, need {need}"
        )
    return entry


def modules_of(**names: str) -> tuple[str, ...]:
    """The modules outside of the package that have these things, such as ``families="brightest"``.

    What is not outside counts as ours.
    """
    modules = [
        each.module
        for kind in LISTS
        if kind in names
        for each in outside(kind)
        if each.name == names[kind]
    ]
    return tuple(dict.fromkeys(modules))


def _together(kind: Kind, modules: Iterable[ModuleType]) -> dict[str, Outside]:
    """The things that modules have, by name."""
    things: dict[str, Outside] = {}
    for module in modules:
        for name, thing in _listed(module, kind).items():
            known = things.setdefault(name, Outside(name, thing, module.__name__))
            if known.thing is not thing:
                raise ModuleError(
                    f"modules '{known.module}' and '{module.__name__}' both have '{name}' in "
                    f"{LISTS[kind]}; use one of them, or give it another name"
                )
    return things


def _imported(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    if "/" in name or name.endswith(".py"):
        raise ModuleError(
            f"module '{name}': need the name of a module as in an import, such as "
            f"'{name.removesuffix('.py').rpartition('/')[2] or 'my_package'}', and its folder as "
            "the current one"
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ModuleError(
                f"module '{name}': not found; go to the folder that holds it, or put that into "
                "PYTHONPATH"
            ) from error
        raise ModuleError(f"module '{name}': {_reason(error)}") from error
    except Exception as error:
        raise ModuleError(f"module '{name}': {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What happened when a module was imported, and where."""
    at, trace = "", error.__traceback__
    while trace is not None:
        at = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        at = f"{error.filename}:{error.lineno}"
    return f"cannot be imported: {type(error).__name__}: {error} ({at})"


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "no file"


def _installed(kind: Kind) -> Iterator[ModuleType]:
    """Modules that installed packages have for a kind."""
    for point in _points(kind):
        if point.value in _used:
            continue
        try:
            yield _imported(point.value)
        except ModuleError as error:
            package = "" if point.dist is None else f" of the installed package {point.dist.name}"
            raise ModuleError(f"{error}{package}; mend it, or uninstall it") from error


@cache
def _points(kind: Kind) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"fourview.{kind}"))


def _listed(module: ModuleType, kind: Kind) -> dict[str, Any]:
    """The things of a kind that a module has, by name.

    Raises:
        ModuleError: Its list is not a list (or a dict), or an entry has no name.
    """
    listed = getattr(module, LISTS[kind], ())
    where = f"module '{module.__name__}': {LISTS[kind]}"
    if kind in ("recipes", "sources", "feeds"):  # functions and kinds of feed have no name
        if not isinstance(listed, Mapping) and listed != ():
            raise ModuleError(f"{where} is a {type(listed).__name__}, need a dict by name")
        return dict(listed)
    if not isinstance(listed, list | tuple):
        raise ModuleError(f"{where} is a {type(listed).__name__}, need a list")
    nameless = [each for each in listed if not isinstance(getattr(each, "name", None), str)]
    if nameless:
        raise ModuleError(f"{where} holds a {type(nameless[0]).__name__}, which has no name")
    return {each.name: each for each in listed}
