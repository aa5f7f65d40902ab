"""Every recipe has its own name, a purpose, and is found by it."""

import pytest

from fourview.errors import RecipeError
from fourview.models.find import find_family
from fourview.preprocess.spec import pixel_spec
from fourview.study.find_recipe import find_recipe, own_names, recipe_purpose


@pytest.mark.parametrize("name", own_names())
def test_a_recipe_is_what_its_name_says(name):
    recipe = find_recipe(name)
    assert recipe.name == name and name.startswith(f"{recipe.family}:")
    family = find_family(recipe.family)
    assert recipe.stage in family.stages and isinstance(recipe.model, family.config)
    assert pixel_spec(recipe.pixel_spec).name
    assert recipe_purpose(name).endswith(".")
    for other in (recipe.starts_from, recipe.context):
        if other is not None and other in own_names():
            assert other != name


def test_a_name_that_is_near_is_said():
    with pytest.raises(RecipeError, match=r"mvccl:papr.*mvccl:paper"):
        find_recipe("mvccl:papr")
    for name in ("mvccl", "mvccl:", ":paper", "mvccl:replace", "mvccl:_helper"):
        with pytest.raises(RecipeError):
            find_recipe(name)
