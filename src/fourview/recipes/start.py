"""A recipe fitted to the run that it starts from."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fourview.errors import RecipeError
from fourview.predict.checkpoint import read_card
from fourview.recipes.chain import checkpoint_of
from fourview.train.recipe import Recipe


def starting_from(recipe: Recipe, run: Path) -> Recipe:
    """The recipe with the image tower, and the pixels, of a run or checkpoint it is to start from.

    A recipe whose model has no image tower is given back as it is.

    Raises:
        CheckpointError: There is no checkpoint.
        RecipeError: The run has no image tower.
    """
    if "image" not in {f.name for f in fields(recipe.model)}:
        return recipe
    folder = checkpoint_of(run)
    card = read_card(folder)
    theirs = card.config.get("image")
    if not isinstance(theirs, dict) or not is_dataclass(recipe.model.image):
        raise RecipeError(
            f"{folder}: {card.recipe} has no image tower to start '{recipe.name}' from; "
            "name a language-image run"
        )
    try:
        tower = TypeAdapter(type(recipe.model.image)).validate_python({**theirs, "weights": "none"})
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise RecipeError(f"{folder}: its image tower cannot be used: {reason}") from error
    return replace(
        recipe,
        model=replace(recipe.model, image=tower),
        pixel_spec=card.pixel_spec,
        starts_from=card.recipe,
    )
