"""Which sources there are: the files here, and what modules outside of the package list."""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

from fourview import sources as package
from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.outside import find_outside, outside

Source = Callable[[Path], Manifest]
Writer = Callable[[Path, Path], str]  # root and the manifest's folder to its hash


def source_names() -> tuple[str, ...]:
    """The names of all sources, sorted; none of ours is imported."""
    return tuple(sorted({*own_names(), *(each.name for each in outside("sources"))}))


def own_names() -> tuple[str, ...]:
    """The sources of the package itself, sorted; none of them is imported."""
    files = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in files if name != "find" and not name.startswith("_")))


def find_source(name: str) -> Source:
    """The function that reads the data set ``name``.

    Raises:
        ManifestError: There is none of that name; the message has the nearest.
        ModuleError: A module outside of the package has it, and cannot be used.
    """
    other = find_outside("sources", name, own_names(), what="source", error=ManifestError)
    source: Source = (
        getattr(importlib.import_module(f"{package.__name__}.{name}"), f"read_{name}")
        if other is None
        else other.thing
    )
    return source


def find_writer(name: str) -> Writer | None:
    """The function that writes the manifest of ``name`` in memory that does not grow with it.

    It is ``write_NAME``, beside the source's ``read_NAME``. None for sources without one: their
    tables, of a few million rows at most, are in memory at once.

    Raises:
        ManifestError: As ``find_source``.
    """
    module = sys.modules.get(find_source(name).__module__)
    writer: Writer | None = getattr(module, f"write_{name}", None)
    return writer


def sources() -> dict[str, Source]:
    """Every source by its name."""
    return {name: find_source(name) for name in source_names()}
