"""Recipes by name: FAMILY:RECIPE is the function RECIPE of recipes/FAMILY.py.

A recipe is a public function without parameters; others in the file are its parts. Modules outside
of the package list theirs (``fourview.outside``).
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from fourview import recipes
from fourview.errors import ModuleError, RecipeError
from fourview.outside import Outside, find_outside, outside
from fourview.train.recipe import Recipe


def recipe_names() -> list[str]:
    """All recipes, as FAMILY:RECIPE, sorted."""
    return sorted({*own_names(), *(each.name for each in outside("recipes"))})


def own_names() -> list[str]:
    """The recipes of the package itself, sorted."""
    return sorted(f"{family}:{name}" for family in _families() for name in _functions(family))


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: There is none; the message names the nearest.
        ModuleError: A module outside of the package has it, and cannot be used.
    """
    function, module = _function(name)
    recipe = function()
    if module is not None and getattr(recipe, "name", None) != name:
        raise ModuleError(
            f"module '{module}': '{name}' in RECIPES gives {_description(recipe)}, need a Recipe "
            f"named '{name}'"
        )
    return recipe


def recipe_purpose(name: str) -> str:
    """The first line of a recipe's docstring."""
    return ((inspect.getdoc(_function(name)[0]) or "").splitlines() or [""])[0]


def _function(name: str) -> tuple[Callable[[], Recipe], str | None]:
    """The function of a recipe, and the module outside of the package that has it."""
    family, _, run = name.partition(":")
    ours = family in _families() and run in _functions(family)
    try:
        outside = _outside(name, [name] if ours else [])
    except RecipeError:
        outside = _outside(name, own_names())  # of all families, for the names that are near
    return (_functions(family)[run], None) if outside is None else (outside.thing, outside.module)


def _outside(name: str, ours: list[str]) -> Outside | None:
    return find_outside("recipes", name, ours, what="recipe", error=RecipeError)


def _description(recipe: object) -> str:
    return f"one named '{recipe.name}'" if isinstance(recipe, Recipe) else type(recipe).__name__


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
