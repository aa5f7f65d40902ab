"""A text tower and the captions that it reads: one tokenizer, one vocabulary, one longest text."""

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from fourview.contract import LanguageImageModel
from fourview.errors import RecipeError

if TYPE_CHECKING:
    from fourview.train.recipe import Recipe


def with_own_tokenizer(recipe: "Recipe") -> "Recipe":
    """The recipe with its captions in the tokens of its text tower; others come back as they are.

    Raises:
        RecipeError: The feed names another tokenizer.
    """
    text, tokenizer = getattr(recipe.model, "text", None), getattr(recipe.feed, "tokenizer", None)
    if text is None or tokenizer is None:
        return recipe
    for key in ("name", "kind"):
        wanted, own = getattr(tokenizer, key), getattr(text, key)
        if wanted not in ("", own):
            raise RecipeError(
                f"recipe '{recipe.name}': feed.tokenizer.{key} is '{wanted}' and model.text.{key} "
                f"is '{own}'; a text tower reads the tokens of its own tokenizer: set "
                f"model.text.{key} only, and leave feed.tokenizer.{key} out"
            )
    own_one = replace(tokenizer, name=text.name, kind=text.kind)
    return replace(recipe, feed=replace(recipe.feed, tokenizer=own_one))


def require_tokens_fit(recipe: "Recipe", model: nn.Module) -> None:
    """Refuse captions that may be longer than the text tower reads.

    Raises:
        RecipeError: They may be.
    """
    tokenizer = getattr(recipe.feed, "tokenizer", None)
    if tokenizer is None or not isinstance(model, LanguageImageModel):
        return
    most = model.text_tower.most_tokens
    if most is not None and tokenizer.max_tokens > most:
        raise RecipeError(
            f"recipe '{recipe.name}': captions may have {tokenizer.max_tokens} tokens, text tower "
            f"'{recipe.model.text.name}' reads {most}; set feed.tokenizer.max_tokens={most}"
        )
