"""Features of texts, sentences and tokens: right at padding, ends and cuts."""

from dataclasses import replace

import pytest
import torch

from fourview.errors import RecipeError
from fourview.nn.text_tower import TextTower, TextTowerConfig, pool_tokens, sentence_features
from fourview.nn.tokenizer import Tokenizer, TokenizerConfig

TEXTS = [("no mass", "negative", "the tissue is extremely dense"), ("benign",)]
SMALL = TextTowerConfig(dim=16, heads=2, layers=2)
# float32 products over batches of other shapes
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def batch_of(texts, config=None):
    return Tokenizer(config or TokenizerConfig()).batch(texts, list(range(len(texts))))


def built(config):
    torch.manual_seed(0)
    return TextTower(config).eval()


@pytest.mark.parametrize("how", ["mean", "last", "cls"])
def test_pooling_is_that_of_a_loop_over_the_tokens_that_are_there(how):
    make = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 6, 4, generator=make, dtype=torch.float64)
    lengths = [6, 4, 1]
    mask = torch.arange(6)[None] < torch.tensor(lengths)[:, None]
    got = pool_tokens(tokens, mask, how)
    for row, length in enumerate(lengths):
        own = tokens[row, :length]
        want = {"mean": sum(own) / length, "last": own[length - 1], "cls": own[0]}[how]
        torch.testing.assert_close(got[row], want)


@pytest.mark.parametrize("how", ["mean", "separator"])
@pytest.mark.parametrize("most", [144, 9])  # 9 cuts the first text within its third sentence
def test_sentence_features_are_those_of_a_loop(how, most):
    text = batch_of(TEXTS, TokenizerConfig(max_tokens=most))
    make = torch.Generator().manual_seed(0)
    tokens = torch.randn(*text.tokens.shape, 4, generator=make, dtype=torch.float64)
    got, present = sentence_features(tokens, text.mask, text.sentence, how)
    assert present.tolist() == [[True, True, True], [True, False, False]]
    for row in range(2):
        for number in range(3):
            places = [i for i, s in enumerate(text.sentence[row].tolist()) if s == number]
            if not places:
                assert not got[row, number].any()
            elif how == "mean":
                torch.testing.assert_close(got[row, number], tokens[row, places].mean(dim=0))
            else:
                last = int(text.mask[row].sum()) - 1
                torch.testing.assert_close(got[row, number], tokens[row, min(places[-1] + 1, last)])


@pytest.mark.parametrize("pooled", ["mean", "last", "cls"])
@pytest.mark.parametrize("sentence", ["mean", "separator"])
def test_a_text_is_read_without_regard_to_the_others_and_to_padding(pooled, sentence):
    tower = built(replace(SMALL, pooled=pooled, sentence=sentence, attention=True))
    both, alone = tower(batch_of(TEXTS)), tower(batch_of(TEXTS[1:]))
    torch.testing.assert_close(both.pooled[1], alone.pooled[0], **CLOSE)
    torch.testing.assert_close(both.sentences[1, :1], alone.sentences[0], **CLOSE)
    length = alone.tokens.shape[1]
    torch.testing.assert_close(both.attention[1, :length], alone.attention[0], **CLOSE)
    assert not both.attention[1, length:].any()
    torch.testing.assert_close(both.attention.sum(dim=1), torch.ones(2), **CLOSE)


def test_memory_can_be_saved_without_changing_a_gradient():
    plain, saving = built(SMALL).train(), built(replace(SMALL, checkpointing=True)).train()
    for tower in (plain, saving):
        tower(batch_of(TEXTS)).pooled.square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, **CLOSE, msg=name)


def test_a_small_tower_cannot_be_what_it_is_not():
    with pytest.raises(RecipeError, match="'small' is an encoder"):
        TextTower(TextTowerConfig(kind="decoder"))
