"""Families by name: the folders here, and what modules outside of the package list."""

import importlib
import pkgutil

from fourview import models
from fourview.contract import ModelFamily
from fourview.errors import RecipeError
from fourview.outside import find_outside, outside


def family_names() -> list[str]:
    """All families there are, sorted."""
    return sorted({*own_names(), *(each.name for each in outside("families"))})


def own_names() -> list[str]:
    """The families of the package itself, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(models.__path__) if m.ispkg)


def find_family(name: str) -> ModelFamily:
    """The family of that name.

    Raises:
        RecipeError: There is none; the message names the nearest.
        ModuleError: A module outside of the package has it, and cannot be used.
    """
    from_outside = find_outside(
        "families", name, own_names(), what="model family", error=RecipeError, of=ModelFamily
    )
    family: ModelFamily = (
        importlib.import_module(f"{models.__name__}.{name}").FAMILY
        if from_outside is None
        else from_outside.thing
    )
    return family
