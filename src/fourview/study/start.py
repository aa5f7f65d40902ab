"""A recipe fitted to the run that it starts from."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fourview.checkpoint.card import read_card
from fourview.checkpoint.ensemble import member_for
from fourview.errors import RecipeError
from fourview.nn.encoder import EncoderConfig
from fourview.run_files import checkpoint_of
from fourview.train.recipe import Recipe


def starting_from(recipe: Recipe, run: Path) -> Recipe:
    """The recipe with the image tower, and the pixels, of a run or checkpoint it is to start from.

    A model with an encoder of its own takes the run's image tower as that encoder and keeps its own
    pixels. Any other recipe keeps its model: ``train.begin`` says whether the weights fit it.

    Raises:
        CheckpointError: There is no checkpoint.
        RecipeError: The run has no image tower.
    """
    run = member_for(run, recipe.pixel_spec)
    folder = checkpoint_of(run)
    card = read_card(folder)
    names = {f.name for f in fields(recipe.model)}
    if "encoder" in names and card.family != recipe.family:
        return _with_encoder(recipe, run)
    if "image" not in names:
        return replace(recipe, starts_from=card.recipe)
    theirs = card.config.get("image")
    if not isinstance(theirs, dict) or not is_dataclass(recipe.model.image):
        raise RecipeError(
            f"{folder}: {card.recipe} has no image tower to start '{recipe.name}' from; "
            "name a language-image run"
        )
    try:
        tower = TypeAdapter(type(recipe.model.image)).validate_python(
            {**theirs, "weights": "none", "frozen": False}
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise RecipeError(f"{folder}: its image tower cannot be used: {reason}") from error
    return replace(
        recipe,
        model=replace(recipe.model, image=tower),
        pixel_spec=card.pixel_spec,
        starts_from=card.recipe,
    )


def _with_encoder(recipe: Recipe, run: Path) -> Recipe:
    """The recipe with the run's image tower for its encoder; another run's encoder must fit."""
    card = read_card(checkpoint_of(run))
    tower = card.config.get("image")
    if not isinstance(tower, dict):
        return replace(recipe, starts_from=card.recipe)
    if tower.get("depth") is not None:
        raise RecipeError(
            f"{run}: the image tower of {card.recipe} is cut to {tower['depth']} blocks; an "
            "encoder takes whole networks only"
        )
    ours = {f.name for f in fields(EncoderConfig)}
    encoder = TypeAdapter(EncoderConfig).validate_python(
        {**{k: v for k, v in tower.items() if k in ours}, "weights": "none"}
    )
    changed = replace(recipe.model, encoder=encoder)
    return replace(recipe, model=changed, starts_from=card.recipe)
