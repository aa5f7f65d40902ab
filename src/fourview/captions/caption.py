"""Report-like captions of single images, made from a manifest's columns by an editable template.

How:     a template (``captions/templates/default.json``, or a file of one's own) lists for each
         style the segments of a caption in turn, each with sentences whose slots are columns of the
         manifest or words for their values. A caption is a list of sentences, not a string, so that
         nobody has to find sentence ends again in "BI-RADS 4: ...".
Unknown: a sentence with a slot that nothing is known for is left out; a slot that may be hidden
         (race, age, side, ...) then reads "unknown", just as where it is hidden on purpose.
Hiding:  each of these slots is hidden with its own probability whenever a caption is drawn
         (``MaskConfig``). The draw comes from the caller's generator, so workers never repeat it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Literal

import numpy as np
import polars as pl
from pydantic import TypeAdapter, ValidationError

from fourview.entities import Manifest
from fourview.entities.labels import with_labels
from fourview.errors import CaptionError
from fourview.json_file import parse_json_object
from fourview.suggest import no_such

Facts = Mapping[str, str]  # what is known of one image, by column of the manifest
Style = Literal["structured", "natural", "tabular", "class_only"]
BOOLEANS = {True: "true", False: "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """How often a slot is hidden when a caption is drawn, in [0, 1].

    The defaults are the papers' 0.8 for what is no finding. The side is always hidden, because
    every pixel spec turns the chest wall to the left: the side cannot be seen. A probability of 1
    holds for validation and prompts too, where otherwise nothing is hidden.

    Attributes:
        procedure: The exam's description, which often names the side ("Diagnostic Left").
    """

    race: float = 0.8
    ethnicity: float = 0.8
    age: float = 0.8
    kind: float = 0.8
    side: float = 1.0
    view: float = 0.8
    procedure: float = 0.0

    def draw(self, generator: np.random.Generator | None) -> frozenset[str]:
        """Names of the slots to hide; without a generator those that are always hidden."""
        if generator is None:
            return frozenset(f.name for f in fields(self) if getattr(self, f.name) >= 1)
        drawn = generator.random(len(_MASKED)).tolist()
        return frozenset(
            name for name, u in zip(_MASKED, drawn, strict=True) if u < getattr(self, name)
        )


_MASKED = tuple(f.name for f in fields(MaskConfig))


@dataclass(frozen=True, slots=True)
class Caption:
    """Sentences without their final points, and the segment that each belongs to."""

    sentences: tuple[str, ...]
    segments: tuple[str, ...]

    @property
    def text(self) -> str:
        """The caption as one line of text."""
        return " ".join(f"{sentence}." for sentence in self.sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A slot whose words are looked up: the value of column ``of`` in ``values``."""

    of: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a caption; the label comes before its first sentence."""

    name: str
    sentences: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """What a picture is compared with in zero-shot classification.

    Attributes:
        classes: For each class either facts that replace the image's own, or ready sentences.
        of_style: By style of captions, ready sentences in place of ``classes``.
        style: Style of the segments; empty takes that of the captions that a run was trained with.
        of_image: Segments that say what is known of the image before it is read.
        of_class: Segments that say the class. Segments that the style lacks are left out.
        scores: Classes that predictions are written for; all where empty.
    """

    classes: Mapping[str, Mapping[str, str] | tuple[str, ...]]
    of_style: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    style: str = ""
    of_image: tuple[str, ...] = ()
    of_class: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a prepared caption; ``slots`` may be hidden, the rest is filled in."""

    segment: str
    text: str
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreparedCaption:
    """The caption of one image, filled in but for the slots that may be hidden."""

    sentences: tuple[_Sentence, ...]
    values: Mapping[str, str]
    unknown: str

    def caption(self, hidden: frozenset[str] = frozenset()) -> Caption:
        """The caption with these slots hidden."""
        values = {**self.values, **dict.fromkeys(hidden, self.unknown)}
        return Caption(
            tuple([s.text.format_map(values) if s.slots else s.text for s in self.sentences]),
            tuple([s.segment for s in self.sentences]),
        )


@dataclass(frozen=True, kw_only=True)
class CaptionTemplate:
    """What ``load_template`` reads; see the module docstring.

    Attributes:
        unknown: The word for what is not known or hidden.
        may_be_hidden: Slots that read ``unknown`` instead of dropping their sentence.
        words: Slots that are looked up.
        styles: Segments by style.
        prompts: Prompt sets by name.
        synonyms: Groups of words of which one may stand for another.
        protected: Words that augmentation never touches.
    """

    unknown: str
    may_be_hidden: tuple[str, ...]
    words: Mapping[str, Words]
    styles: Mapping[str, tuple[Segment, ...]]
    prompts: Mapping[str, PromptSet] = field(default_factory=dict)
    synonyms: tuple[tuple[str, ...], ...] = ()
    protected: tuple[str, ...] = ()
    about: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a manifest that any sentence asks for."""
        slots = {
            slot
            for segments in self.styles.values()
            for segment in segments
            for sentence in segment.sentences
            for slot in slots_of(sentence)
        }
        return tuple(sorted({self.words[s].of if s in self.words else s for s in slots}))

    def segments(self, style: str) -> tuple[Segment, ...]:
        """The segments of a style.

        Raises:
            CaptionError: There is no such style.
        """
        if style not in self.styles:
            raise CaptionError(no_such("caption style", style, self.styles))
        return self.styles[style]

    def prompt_set(self, name: str) -> PromptSet:
        """The prompts of that name.

        Raises:
            CaptionError: There are none.
        """
        if name not in self.prompts:
            raise CaptionError(no_such("prompts", name, self.prompts))
        return self.prompts[name]

    def value(self, slot: str, facts: Facts) -> str | None:
        """What a slot says of an image; None where that is not known."""
        words = self.words.get(slot)
        if words is None:
            return facts.get(slot)
        known = facts.get(words.of)
        return None if known is None else words.values.get(known)

    def prepare(
        self, facts: Facts, style: str = "structured", only: Iterable[str] | None = None
    ) -> PreparedCaption:
        """Fill in a caption, but for the slots that may be hidden.

        Args:
            facts: What is known of the image.
            style: One of the template's.
            only: Names of the segments wanted; None takes all of the style.
        """
        wanted = None if only is None else set(only)
        sentences: list[_Sentence] = []
        values: dict[str, str] = {}
        for segment in self.segments(style):
            if wanted is None or segment.name in wanted:
                sentences += self._sentences(segment, facts, values)
        return PreparedCaption(tuple(sentences), values, self.unknown)

    def _sentences(self, segment: Segment, facts: Facts, values: dict[str, str]) -> list[_Sentence]:
        """The sentences of a segment that can be said; adds to ``values`` what may be hidden."""
        sentences: list[_Sentence] = []
        label = f"{segment.label}: " if segment.label else ""
        for sentence in segment.sentences:
            slots = slots_of(sentence)
            known = {slot: self.value(slot, facts) for slot in slots}
            open_slots = tuple(s for s in slots if s in self.may_be_hidden)
            if any(known[s] is None and s not in open_slots for s in slots):
                continue
            if slots and all(known[s] is None for s in slots) and segment.name == "procedure":
                continue  # a data set without descriptions: no empty segment in every caption
            values |= {s: known[s] or self.unknown for s in open_slots}
            fixed = {s: known[s] or "" for s in slots if s not in open_slots}
            text = _fill(sentence, fixed, open_slots)
            sentences.append(_Sentence(segment.name, label + text, open_slots))
            label = ""
        return sentences


def slots_of(sentence: str) -> tuple[str, ...]:
    """The names in braces of a sentence."""
    return tuple(name for _, name, _, _ in Formatter().parse(sentence) if name)


def _fill(sentence: str, fixed: Mapping[str, str], left: tuple[str, ...]) -> str:
    """Fill in ``fixed`` and leave the other slots; so braces in values are doubled."""
    if not left:
        return sentence.format_map(fixed)
    escaped = {s: v.replace("{", "{{").replace("}", "}}") for s, v in fixed.items()}
    return sentence.format_map({**escaped, **{s: f"{{{s}}}" for s in left}})


@cache
def load_template(path: str = "") -> CaptionTemplate:
    """The template of a file; without a path the one that ships with the package.

    Raises:
        CaptionError: It cannot be read, or a part of it is missing or of another kind.
    """
    name = path or "captions/templates/default.json"
    place = Path(path) if path else files("fourview.captions.templates") / "default.json"
    try:
        data = parse_json_object(place.read_text(encoding="utf-8"))
        template = TypeAdapter(CaptionTemplate).validate_python(data)
    except OSError as error:
        raise CaptionError(f"{name}: cannot be read ({error.strerror}); name a JSON file") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CaptionError(f"{name}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise CaptionError(f"{name}: no JSON: {error}") from None
    _check(template, name)
    return template


def _check(template: CaptionTemplate, name: str) -> None:
    guarded = {word.casefold() for word in template.protected}
    for group in template.synonyms:
        touched = {word for phrase in group for word in phrase.casefold().split()} & guarded
        if touched:
            raise CaptionError(f"{name}: '{min(touched)}' is protected and has synonyms; drop one")
    for key, prompts in template.prompts.items():
        styles = (prompts.style,) if prompts.style else tuple(template.styles)
        known = {segment.name for style in styles for segment in template.segments(style)}
        missing = [s for s in (*prompts.of_image, *prompts.of_class) if s not in known]
        if missing:
            where = prompts.style or "any style"
            raise CaptionError(f"{name}: prompts '{key}': no segment '{missing[0]}' in {where}")
        for style, ready in prompts.of_style.items():
            if tuple(ready) != tuple(prompts.classes):
                raise CaptionError(
                    f"{name}: prompts '{key}': style {style} has classes {', '.join(ready)}, need "
                    f"{', '.join(prompts.classes)}"
                )


def caption_facts(manifest: Manifest, columns: Iterable[str]) -> dict[str, dict[str, str]]:
    """What is known of each image that belongs to a side, by image id, as text.

    A column is the image's own where it has a value, else its breast's, else its exam's; one that
    the manifest lacks is unknown everywhere. Nothing is taken from the other breast.

    Args:
        manifest: Any data set's.
        columns: Names of columns; ``age`` becomes whole years.
    """
    wanted = tuple(dict.fromkeys(columns))
    keys = {
        "images": ["image_id", "exam_id", "side"],
        "breasts": ["exam_id", "side"],
        "exams": ["exam_id"],
    }
    tables = {
        name: getattr(manifest, name).select(
            *on,
            *(
                _as_text(getattr(manifest, name), c).alias(c)
                for c in wanted
                if c in getattr(manifest, name).columns and c not in on
            ),
        )
        for name, on in keys.items()
    }
    table = with_labels(
        tables["images"], wanted, breasts=tables["breasts"], exams=tables["exams"]
    ).select("image_id", *wanted)
    return {
        row.pop("image_id"): {c: v for c, v in row.items() if v is not None}
        for row in table.iter_rows(named=True)
    }


def _as_text(table: pl.DataFrame, name: str) -> pl.Expr:
    column, kind = pl.col(name), table.schema[name]
    if kind == pl.Boolean:
        return column.replace_strict(BOOLEANS, return_dtype=pl.String)
    if kind.is_float():
        column = column.floor().cast(pl.Int64)  # years are told whole, as is all that has no unit
    return column.cast(pl.String)
