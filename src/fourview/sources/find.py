"""Which sources there are, found by file name."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from fourview import sources as package
from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.suggest import no_such

Source = Callable[[Path], Manifest]
Writer = Callable[[Path, Path], str]  # root and the manifest's folder to its hash


def source_names() -> tuple[str, ...]:
    """The names of all sources, sorted; none of them is imported."""
    files = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in files if name != "find" and not name.startswith("_")))


def find_source(name: str) -> Source:
    """The function that reads the data set ``name``.

    Raises:
        ManifestError: There is none of that name; the message has the nearest.
    """
    source: Source = getattr(_module(name), f"read_{name}")
    return source


def find_writer(name: str) -> Writer | None:
    """The function that writes the manifest of ``name`` in memory that does not grow with it.

    None for sources that have none: what tables of a few million rows hold is in memory at once.

    Raises:
        ManifestError: As ``find_source``.
    """
    writer: Writer | None = getattr(_module(name), f"write_{name}", None)
    return writer


def sources() -> dict[str, Source]:
    """Every source by its name."""
    return {name: find_source(name) for name in source_names()}


def _module(name: str) -> ModuleType:
    names = source_names()
    if name not in names:
        raise ManifestError(no_such("source", name, names))
    return importlib.import_module(f"{package.__name__}.{name}")
