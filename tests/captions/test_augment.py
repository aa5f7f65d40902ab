"""Changes of captions keep what matters."""

import re

import numpy as np
import pytest

from fourview.captions.augment import GENTLE, HEAVY, CaptionAugmentConfig, augment_caption
from fourview.captions.caption import load_template

TEMPLATE = load_template()
ALWAYS = CaptionAugmentConfig(
    synonym=1.0, sentence_swap=1.0, word_swap=1.0, word_deletion=1.0, stop_words=1.0
)


def captions():
    for birads in "0123456":
        for density in "ABCD":
            facts = {"birads": birads, "density": density, "age": "57", "side": "L", "view": "CC"}
            yield TEMPLATE.prepare(facts).caption()


def guarded(caption):
    """Words that must stay, sentence by sentence, whatever the order of sentences."""
    words = set(TEMPLATE.protected)
    protected = []
    for sentence in caption.sentences:
        kept = [w for w in re.findall(r"[a-z0-9-]+", sentence.lower()) if w in words or w.isdigit()]
        protected.append(tuple(sorted(kept)))
    return sorted(protected)


@pytest.mark.parametrize("config", [ALWAYS, HEAVY, GENTLE], ids=["always", "heavy", "gentle"])
def test_negations_numbers_categories_sides_and_densities_stay(config):
    generator = np.random.default_rng(0)
    for caption in captions():
        for _ in range(5):
            changed = augment_caption(caption, TEMPLATE, config, generator)
            assert guarded(changed) == guarded(caption)
            assert sorted(changed.segments) == sorted(caption.segments)


def test_each_change_does_what_it_says():
    caption = next(iter(captions()))
    generator = np.random.default_rng(1)

    def only(**change):
        return augment_caption(caption, TEMPLATE, CaptionAugmentConfig(**change), generator)

    swapped = only(sentence_swap=1.0)
    assert swapped.sentences != caption.sentences
    assert sorted(swapped.sentences) == sorted(caption.sentences)
    moved = [s for s, t in zip(swapped.sentences, caption.sentences, strict=True) if s != t]
    assert len(moved) == 2

    other = only(synonym=1.0)
    changed = [
        (set(a.split()), set(b.split()))
        for a, b in zip(caption.sentences, other.sentences, strict=True)
        if a != b
    ]
    assert len(changed) == 1
    groups = [set(" ".join(group).split()) for group in TEMPLATE.synonyms]
    gone, came = changed[0][0] - changed[0][1], changed[0][1] - changed[0][0]
    assert any({w.strip(",") for w in gone | came} <= group for group in groups)

    assert len(only(stop_words=1.0).text.split()) < len(caption.text.split())
    fewer = sum(len(only(word_deletion=1.0).text.split()) for _ in range(20)) / 20
    assert len(caption.text.split()) - 10 <= fewer < len(caption.text.split())


def test_the_same_draw_gives_the_same_caption():
    caption = next(iter(captions()))
    pair = [augment_caption(caption, TEMPLATE, HEAVY, np.random.default_rng(3)) for _ in range(2)]
    assert pair[0] == pair[1]
