"""Tokens, and which sentence and word each is of."""

import re

import pytest
import torch

from fourview.captions.caption import load_template
from fourview.errors import CaptionError
from fourview.nn.tokenizer import (
    CLS,
    PAD,
    SEP,
    UNKNOWN,
    Tokenizer,
    TokenizerConfig,
    small_vocabulary,
)

TEXTS = [("Findings: no mass", "BI-RADS 4"), ("xylem",)]


def test_a_text_is_laid_out_as_an_encoders():
    batch = Tokenizer(TokenizerConfig()).batch(TEXTS, [3, 5])
    number = small_vocabulary()
    words = ["findings", ":", "no", "mass"], ["bi", "-", "rads", "4"]
    want = [CLS, *(number[w] for w in words[0]), SEP, *(number[w] for w in words[1]), SEP]
    assert batch.tokens[0].tolist() == want
    assert batch.sentence[0].tolist() == [-1, 0, 0, 0, 0, -1, 1, 1, 1, 1, -1]
    assert batch.word[0].tolist() == [-1, 0, 1, 2, 3, -1, 4, 5, 6, 7, -1]
    assert batch.image.tolist() == [3, 5]
    pieces = ["x", "##y", "##l", "##e", "##m"]  # a word that is not known, by its characters
    assert batch.tokens[1].tolist() == [CLS, *(number[p] for p in pieces), SEP, *[PAD] * 4]
    assert batch.word[1].tolist() == [-1, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1]
    assert batch.mask.sum(dim=1).tolist() == [11, 7]


def test_what_is_too_long_is_cut_on_the_right():
    long = Tokenizer(TokenizerConfig()).batch([("no mass " * 40,)], [0])
    short = Tokenizer(TokenizerConfig(max_tokens=10)).batch([("no mass " * 40,)], [0])
    assert short.tokens.shape == (1, 10)
    assert torch.equal(short.tokens, long.tokens[:, :10])


def test_every_word_of_the_template_is_one_token():
    template, known = load_template(), small_vocabulary()
    sentences = [
        *(s for segments in template.styles.values() for g in segments for s in g.sentences),
        *(value for words in template.words.values() for value in words.values.values()),
        *(phrase for group in template.synonyms for phrase in group),
    ]
    words = {
        w for s in sentences for w in re.findall(r"[a-z0-9]+", re.sub(r"{\w+}", " ", s.lower()))
    }
    assert words <= set(known)
    plain = [re.sub(r"{\w+}", "", s) for s in sentences]
    assert UNKNOWN not in Tokenizer(TokenizerConfig()).batch([plain], [0]).tokens


def test_numbers_of_tokens_never_change():
    """Checkpoints hold embeddings by number: words may only be added at the end of words.txt."""
    known = small_vocabulary()
    assert list(known.values()) == list(range(len(known)))
    some = ("[sep]", "a", "9", "##a", "2d", "abnormality", "years")
    assert [known[word] for word in some] == [3, 19, 54, 55, 91, 92, 298]


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(CaptionError, match=r"no folder with a tokenizer|no tokenizer can be read"):
        Tokenizer(TokenizerConfig(name=str(tmp_path / "none")))
