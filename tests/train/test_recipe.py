"""Recipes: typed overrides, and a round trip through JSON."""

from dataclasses import replace

import pytest

from fourview.errors import RecipeError
from fourview.study.find_recipe import find_recipe, recipe_names, recipe_purpose
from fourview.train.recipe import override, recipe_from_json


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_knows_its_name_its_purpose_and_its_way_through_json(name):
    recipe = find_recipe(name)
    assert recipe.name == name
    assert recipe_purpose(name)
    assert recipe_from_json(recipe.to_json()) == recipe


def test_values_are_set_with_the_type_of_their_field():
    recipe = override(
        find_recipe("mvccl:paper"),
        ["optimizer.lr=3e-5", "model.gcm=false", "epochs=2", "optimizer.clip_norm=1",
         "augment.scale=[0.9, 1.1]", "model.encoder.weights=none"],
    )  # fmt: skip
    assert recipe.optimizer.lr == 3e-5
    assert recipe.model.gcm is False
    assert recipe.epochs == 2
    assert recipe.optimizer.clip_norm == 1.0
    assert recipe.augment.scale == (0.9, 1.1)
    assert recipe.model.encoder.weights == "none"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.lrate=1", "did you mean 'lr'"),
        ("epoch=1", "did you mean 'epochs'"),
        ("epochs=many", "need int"),
        ("model.local=cnn", "model.local=cnn"),
        ("optimizer=adam", "name one of its keys"),
        ("epochs", "key=value"),
    ],
)
def test_a_wrong_override_is_one_line_that_helps(assignment, message):
    with pytest.raises(RecipeError, match=message):
        override(find_recipe("mvccl:paper"), [assignment])


def test_steps_take_the_place_of_epochs_and_epochs_of_steps():
    by_epochs = find_recipe("mvccl:paper")
    by_steps = override(by_epochs, ["steps=40000"])
    assert (by_steps.steps, by_steps.epochs) == (40_000, None)
    assert by_steps.total_steps(7) == 40_000
    assert recipe_from_json(by_steps.to_json()) == by_steps
    again = override(by_steps, ["epochs=20"])
    assert again == by_epochs
    assert again.total_steps(7) == 140
    with pytest.raises(RecipeError, match="name one of them"):
        override(by_epochs, ["steps=3", "epochs=3"])
    with pytest.raises(ValueError, match="epochs is 20 and steps is 3"):
        replace(by_epochs, steps=3)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'mvccl:small'"):
        find_recipe("mvccl:smal")


def test_a_run_has_as_many_steps_as_its_epochs_or_as_it_says():
    recipe = override(find_recipe("mvccl:small"), ["epochs=3"])
    assert recipe.total_steps(7) == 21
    assert override(recipe, ["steps=5"]).total_steps(7) == 5
