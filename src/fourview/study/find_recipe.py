"""Recipes by name: FAMILY:RECIPE is the function RECIPE of recipes/FAMILY.py.

A recipe is a public function without parameters; others in the file are its parts.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from fourview import recipes
from fourview.errors import RecipeError
from fourview.suggest import no_such
from fourview.train.recipe import Recipe


def recipe_names() -> list[str]:
    """All recipes, as FAMILY:RECIPE."""
    return sorted(f"{family}:{name}" for family in _families() for name in _functions(family))


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: There is none; the message names the nearest.
    """
    family, _, run = name.partition(":")
    if family in _families() and run in _functions(family):
        return _functions(family)[run]()
    raise RecipeError(no_such("recipe", name, recipe_names()))


def recipe_purpose(name: str) -> str:
    """The first line of what a recipe says of itself."""
    family, _, run = name.partition(":")
    return (inspect.getdoc(_functions(family)[run]) or "").splitlines()[0]


def _families() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(recipes.__path__)]


def _functions(family: str) -> dict[str, Callable[[], Recipe]]:
    module = importlib.import_module(f"{recipes.__name__}.{family}")
    return {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.signature(function).parameters
    }
