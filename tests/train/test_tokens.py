"""Captions are cut by the tokenizer of the text tower that reads them."""

from dataclasses import replace

import pytest

from fourview.errors import RecipeError
from fourview.models.find import find_family
from fourview.nn.tokenizer import SMALL
from fourview.study.find_recipe import find_recipe
from fourview.train.tokens import require_tokens_fit, with_own_tokenizer
from tiny_recipes import contrast


def test_the_tokenizer_follows_from_the_text_tower():
    recipe = with_own_tokenizer(find_recipe("mama:paper"))
    assert recipe.feed.tokenizer.name == recipe.model.text.name == "BioMedLM"
    assert recipe.feed.tokenizer.kind == "decoder"
    other = find_recipe("mvccl:small")
    assert with_own_tokenizer(other) is other  # no captions


def test_another_tokenizer_is_refused_by_name():
    recipe = find_recipe("mama:paper")
    feed = replace(recipe.feed, tokenizer=replace(recipe.feed.tokenizer, name="CXR-BERT"))
    with pytest.raises(RecipeError, match=r"tokenizer\.name is 'CXR-BERT' and model\.text\.name"):
        with_own_tokenizer(replace(recipe, feed=feed))


def test_captions_longer_than_the_tower_reads_are_refused():
    recipe = with_own_tokenizer(contrast())
    model = find_family("clip").build(recipe.model)
    assert recipe.model.text.name == SMALL
    require_tokens_fit(recipe, model)
    most = model.text_tower.most_tokens
    for tokens, fits in ((most, True), (most + 1, False)):
        feed = replace(recipe.feed, tokenizer=replace(recipe.feed.tokenizer, max_tokens=tokens))
        asked = replace(recipe, feed=feed)
        if fits:
            require_tokens_fit(asked, model)
        else:
            with pytest.raises(RecipeError, match=f"set feed.tokenizer.max_tokens={most}"):
                require_tokens_fit(asked, model)
