"""Random changes of captions that keep their meaning.

After CXR-CLIP and GLAM (its "heavy" preset), with what theirs gets wrong put right: no change ever
touches a negation, a number, a BI-RADS, side or density word (the template's ``protected`` list and
anything with a digit), and nothing is looked up on a network. Synonyms are the template's.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from fourview.captions.caption import Caption, CaptionTemplate

STOP_WORDS = frozenset(
    ["a", "an", "and", "are", "as", "at", "be", "before", "can", "for", "has", "have", "in", "is",
     "it", "may", "of", "or", "that", "the", "there", "this", "to", "was", "were", "with"]
)  # fmt: skip
MOST_DELETED = 10  # words of one caption
FEWEST_WORDS = 10  # a shorter caption loses none


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionAugmentConfig:
    """Probability of each change of a caption, in [0, 1]; all 0 leaves captions alone.

    Attributes:
        synonym: One word or phrase becomes another of its group.
        sentence_swap: Two sentences change places.
        word_swap: Two words of one sentence change places.
        word_deletion: Each word goes with probability 0.1, at most ten.
        stop_words: Words such as "the" go.
    """

    synonym: float = 0.0
    sentence_swap: float = 0.0
    word_swap: float = 0.0
    word_deletion: float = 0.0
    stop_words: float = 0.0


GENTLE = CaptionAugmentConfig(synonym=0.3, sentence_swap=0.3)
HEAVY = CaptionAugmentConfig(  # the probabilities of GLAM's code
    synonym=0.3, sentence_swap=0.3, word_swap=0.3, word_deletion=0.3, stop_words=0.5
)


def augment_caption(
    caption: Caption,
    template: CaptionTemplate,
    config: CaptionAugmentConfig,
    generator: np.random.Generator,
) -> Caption:
    """A changed copy; sentences keep their segments."""
    words = _Words(template)
    changes: tuple[tuple[float, Callable[[Caption], Caption]], ...] = (
        (config.stop_words, words.without_stop_words),
        (config.synonym, lambda c: words.with_synonym(c, generator)),
        (config.word_swap, lambda c: words.with_words_swapped(c, generator)),
        (config.word_deletion, lambda c: words.with_words_deleted(c, generator)),
        (config.sentence_swap, lambda c: _with_sentences_swapped(c, generator)),
    )
    for probability, change in changes:
        if probability > 0 and generator.random() < probability:
            caption = change(caption)
    return caption


class _Words:
    """Changes of words, by what a template protects."""

    def __init__(self, template: CaptionTemplate) -> None:
        self.protected = frozenset(word.casefold() for word in template.protected)
        self.patterns = _patterns(template.synonyms)

    def may_change(self, word: str) -> bool:
        """Whether a word is neither protected nor has a digit, a label's colon or a hyphen."""
        bare = word.casefold().strip(",;")
        parts = {bare, *re.findall(r"[a-z]+", bare)}
        return bare.isalpha() and not parts & self.protected

    def without_stop_words(self, caption: Caption) -> Caption:
        kept = [
            " ".join(w for w in s.split() if w.casefold() not in STOP_WORDS - self.protected) or s
            for s in caption.sentences
        ]
        return replace(caption, sentences=tuple(kept))

    def with_synonym(self, caption: Caption, generator: np.random.Generator) -> Caption:
        places = [
            (number, match.span(), phrase, group)
            for number, sentence in enumerate(caption.sentences)
            for phrase, group, pattern in self.patterns
            for match in pattern.finditer(sentence)
        ]
        if not places:
            return caption
        number, (start, stop), phrase, group = places[generator.integers(len(places))]
        others = [p for p in group if p != phrase]
        other = others[generator.integers(len(others))]
        sentence = caption.sentences[number]
        return _with_sentence(caption, number, sentence[:start] + other + sentence[stop:])

    def with_words_swapped(self, caption: Caption, generator: np.random.Generator) -> Caption:
        free = {
            number: [i for i, word in enumerate(sentence.split()) if self.may_change(word)]
            for number, sentence in enumerate(caption.sentences)
        }
        numbers = [number for number, places in free.items() if len(places) > 1]
        if not numbers:
            return caption
        number = numbers[generator.integers(len(numbers))]
        first, second = generator.choice(free[number], size=2, replace=False)
        words = caption.sentences[number].split()
        words[first], words[second] = words[second], words[first]
        return _with_sentence(caption, number, " ".join(words))

    def with_words_deleted(self, caption: Caption, generator: np.random.Generator) -> Caption:
        if sum(len(sentence.split()) for sentence in caption.sentences) <= FEWEST_WORDS:
            return caption
        left = MOST_DELETED
        kept: list[str] = []
        for sentence in caption.sentences:
            words: list[str] = []
            for word in sentence.split():
                goes = self.may_change(word) and left > 0 and generator.random() < 0.1
                left -= goes
                if not goes:
                    words.append(word)
            kept.append(" ".join(words) or sentence)
        return replace(caption, sentences=tuple(kept))


@cache
def _patterns(
    synonyms: tuple[tuple[str, ...], ...],
) -> Sequence[tuple[str, tuple[str, ...], re.Pattern[str]]]:
    return [
        (phrase, group, re.compile(rf"\b{re.escape(phrase)}\b"))
        for group in synonyms
        for phrase in group
    ]


def _with_sentences_swapped(caption: Caption, generator: np.random.Generator) -> Caption:
    if len(caption.sentences) < 2:
        return caption
    first, second = generator.choice(len(caption.sentences), size=2, replace=False)
    order = list(range(len(caption.sentences)))
    order[first], order[second] = order[second], order[first]
    return Caption(
        tuple(caption.sentences[i] for i in order), tuple(caption.segments[i] for i in order)
    )


def _with_sentence(caption: Caption, number: int, sentence: str) -> Caption:
    before, after = caption.sentences[:number], caption.sentences[number + 1 :]
    return replace(caption, sentences=(*before, sentence, *after))
