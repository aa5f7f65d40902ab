"""Texts to token numbers: a small tokenizer of our own, or that of any transformers model.

Input is a list of sentences, as ``captions.caption.Caption`` has them. Layout of a text:

    [CLS] sentence 1 [SEP] sentence 2 [SEP] ...                 encoders such as BERT
    <begin> sentence 1 <separator> sentence 2 <separator> <end>   decoders such as BioMedLM

The token right after a sentence is therefore its separator; ``TextBatch.sentence`` numbers the
tokens of sentences and is -1 at special tokens. A text that is too long is cut on the right.

Special tokens that a transformers tokenizer lacks are added after its vocabulary, always in the
order of ``ROLES``; ``TextTower`` gives them embeddings that are trained, whatever else is frozen.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from fourview.contract import TextBatch
from fourview.errors import CaptionError
from fourview.fingerprint import digest_of_text, short
from fourview.json_file import read_json_object
from fourview.nn.text_folder import ALLOWED, text_folder

SMALL = "small"
PAD, UNKNOWN, CLS, SEP = range(4)  # of the small tokenizer
SPECIAL = ("[pad]", "[unk]", "[cls]", "[sep]")
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
SIGNS = ".,;:!?()/-+=%'\""
_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
# Kinds of model that are a BERT with another head, for which their folders ask for code of their
# own (CXR-BERT): nothing of a folder is run here, and the BERT is read as one.
BERT_BY_ANOTHER_NAME = frozenset({"cxr-bert"})
ROLES = {"encoder": ("cls_token", "sep_token"), "decoder": ("bos_token", "sep_token", "eos_token")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """Which tokenizer.

    Attributes:
        name: ``small``, or a folder with the tokenizer files of a transformers model; in a recipe
            empty, which is that of the text tower (``model.text.name``).
        max_tokens: Longest text, special tokens included; the papers' 144 (72 for short captions).
        kind: Layout of a text: ``encoder`` or ``decoder`` (module docstring); empty as for
            ``name``. The small one is always an encoder's.
    """

    name: str = ""
    max_tokens: int = 144
    kind: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("", "encoder", "decoder"):
            raise ValueError(f"kind '{self.kind}' is none of encoder, decoder")
        if self.max_tokens < 3:
            raise ValueError(f"max_tokens {self.max_tokens} holds no text; need at least 3")


class _Splitter(Protocol):
    """Splits one sentence into tokens, with the number of the word that each belongs to."""

    begin: int
    separator: int
    end: int | None
    pad: int

    def split(self, sentence: str) -> tuple[tuple[int, ...], tuple[int, ...]]: ...


class Tokenizer:
    """See the module docstring; sentences are split once and remembered."""

    def __init__(self, config: TokenizerConfig) -> None:
        self.config = config
        is_small = config.name in ("", SMALL)
        self._splitter: _Splitter = _Small() if is_small else _Transformers(config)
        self._known: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def batch(self, texts: Sequence[Sequence[str]], images: Sequence[int]) -> TextBatch:
        """Texts (lists of sentences) as one batch, padded on the right to the longest.

        Args:
            texts: At least one.
            images: For each text the index of its image in the batch.
        """
        rows = [self._encode(sentences) for sentences in texts]
        longest = max(len(tokens) for tokens, _, _ in rows)
        tokens = torch.full((len(rows), longest), self._splitter.pad)
        sentence = torch.full((len(rows), longest), -1)
        word = torch.full((len(rows), longest), -1)
        mask = torch.zeros((len(rows), longest), dtype=torch.bool)
        for index, (ids, of_sentence, of_word) in enumerate(rows):
            tokens[index, : len(ids)] = torch.tensor(ids)
            sentence[index, : len(ids)] = torch.tensor(of_sentence)
            word[index, : len(ids)] = torch.tensor(of_word)
            mask[index, : len(ids)] = True
        whose: Tensor = torch.tensor(list(images), dtype=torch.long)
        return TextBatch(tokens=tokens, mask=mask, sentence=sentence, image=whose, word=word)

    def _encode(self, sentences: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
        splitter = self._splitter
        ids, of_sentence, of_word = [splitter.begin], [-1], [-1]
        words = 0
        for number, sentence in enumerate(sentences):
            tokens = self._known.get(sentence)
            if tokens is None:
                tokens = self._known[sentence] = splitter.split(sentence)
            own, place = tokens
            if not own:
                continue
            ids += [*own, splitter.separator]
            of_sentence += [number] * len(own) + [-1]
            of_word += [words + p for p in place] + [-1]
            words += place[-1] + 1
        most = self.config.max_tokens - (splitter.end is not None)
        del ids[most:], of_sentence[most:], of_word[most:]
        if splitter.end is not None:
            ids.append(splitter.end)
            of_sentence.append(-1)
            of_word.append(-1)
        return ids, of_sentence, of_word


@cache
def small_vocabulary() -> dict[str, int]:
    """Tokens of the small tokenizer by number: special ones, signs, characters, then words.

    ``words.txt`` is part of what a checkpoint was trained with: words are added at its end only.
    """
    text = (files("fourview.nn") / "words.txt").read_text(encoding="utf-8")
    tokens = [*SPECIAL, *SIGNS, *CHARACTERS, *(f"##{c}" for c in CHARACTERS), *text.split()]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


class _Small:
    """Whole words where they are known, else characters; lower case."""

    def __init__(self) -> None:
        self.begin, self.separator, self.pad = CLS, SEP, PAD
        self.end: int | None = None

    def split(self, sentence: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        vocabulary = small_vocabulary()
        ids: list[int] = []
        places: list[int] = []
        for place, word in enumerate(_WORD.findall(sentence.lower())):
            tokens = [word] if word in vocabulary else [word[0], *(f"##{c}" for c in word[1:])]
            ids += [vocabulary.get(token, UNKNOWN) for token in tokens]
            places += [place] * len(tokens)
        return tuple(ids), tuple(places)


class _Transformers:
    """The tokenizer of a transformers model in a local folder."""

    def __init__(self, config: TokenizerConfig) -> None:
        self._tokenizer = load_transformers_tokenizer(config.name)
        numbers = special_numbers(self._tokenizer, config.kind or "encoder")
        self.begin, self.separator = numbers[0], numbers[1]
        self.end: int | None = numbers[2] if config.kind == "decoder" else None
        own = self._tokenizer.pad_token_id
        self.pad: int = 0 if own is None else own  # masked wherever it stands

    def split(self, sentence: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ids: list[int] = []
        places: list[int] = []
        for place, word in enumerate(sentence.split()):
            # with the blank before it, as the word stands in the sentence
            own = self._tokenizer.encode(f" {word}" if place else word, add_special_tokens=False)
            ids += own
            places += [place] * len(own)
        return tuple(ids), tuple(places)


def load_transformers_tokenizer(folder: str) -> Any:
    """The tokenizer in a folder (``nn.text_folder``); nothing is fetched.

    Raises:
        CaptionError: transformers is not installed, or the folder holds no tokenizer.
    """
    try:
        from transformers import (  # noqa: PLC0415 - an optional extra
            AutoTokenizer,
            BertTokenizerFast,
        )
    except ImportError:
        raise CaptionError(
            "text models need transformers; install fourview[language], or take the text tower "
            "and tokenizer 'small'"
        ) from None
    place = text_folder(folder)
    if not place.is_dir():
        raise CaptionError(
            f"{folder}: no folder with a tokenizer; name a local one, set {ALLOWED} to the folder "
            "that holds it, or take 'small'"
        )
    try:
        reads = BertTokenizerFast if model_type(place) in BERT_BY_ANOTHER_NAME else AutoTokenizer
        return reads.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise CaptionError(f"{folder}: no tokenizer can be read there ({reason})") from error


def special_numbers(tokenizer: Any, kind: str) -> tuple[int, ...]:
    """Numbers of the ``ROLES`` of that kind: the tokenizer's own, or the next after its words."""
    numbers: list[int] = []
    following = len(tokenizer)
    for role in ROLES[kind]:
        own = getattr(tokenizer, f"{role}_id")
        if own is None:
            own, following = following, following + 1
        numbers.append(own)
    return tuple(numbers)


def model_type(folder: Path) -> str:
    """The kind of model that a folder's config.json names; empty where it names none."""
    try:
        return str(read_json_object(folder / "config.json").get("model_type", ""))
    except (OSError, ValueError):
        return ""


def vocabulary_digest(tokenizer: Any) -> str:
    """Of every token of the vocabulary with its number."""
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return short(digest_of_text("\n".join(f"{number} {token}" for token, number in tokens)))
