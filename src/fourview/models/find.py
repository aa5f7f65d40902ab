"""Families by the name of their folder."""

import importlib
import pkgutil

from fourview import models
from fourview.contract import ModelFamily
from fourview.errors import RecipeError
from fourview.suggest import no_such


def family_names() -> list[str]:
    """All families there are, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(models.__path__) if m.ispkg)


def find_family(name: str) -> ModelFamily:
    """The family of that name.

    Raises:
        RecipeError: There is none; the message names the nearest.
    """
    names = family_names()
    if name not in names:
        raise RecipeError(no_such("model family", name, names))
    family: ModelFamily = importlib.import_module(f"{models.__name__}.{name}").FAMILY
    return family
