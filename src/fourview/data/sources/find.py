"""Which sources there are, found by file name."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from fourview.data import sources as package
from fourview.entities import Manifest
from fourview.errors import ManifestError

Source = Callable[[Path], Manifest]


def source_names() -> tuple[str, ...]:
    """The names of all sources, sorted; none of them is imported."""
    files = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in files if name != "find" and not name.startswith("_")))


def find_source(name: str) -> Source:
    """The function that reads the data set ``name``.

    Raises:
        ManifestError: There is none of that name; the message has the nearest.
    """
    names = source_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f", did you mean '{near[0]}'?" if near else ""
        raise ManifestError(f"no source '{name}'{hint}; there are: {', '.join(names)}")
    module = importlib.import_module(f"{package.__name__}.{name}")
    source: Source = getattr(module, f"read_{name}")
    return source


def sources() -> dict[str, Source]:
    """Every source by its name."""
    return {name: find_source(name) for name in source_names()}
