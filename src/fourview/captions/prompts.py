"""Zero-shot prompts: a text for every image and class, each distinct one once.

What is known of an image before it is read (``PromptSet.of_image``) comes first, with nothing
hidden but what no pixel can show (``MaskConfig`` at probability 1), then the class. What a reader
saw in the image is never in its prompts: class segments are made from the class alone.

A set without a style of its own asks in the style, and with the segments, of the captions that a
run was trained with: a run that only ever read ``density: C`` is not asked in sentences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from fourview.captions.caption import CaptionTemplate, Facts, MaskConfig, PromptSet
from fourview.errors import CaptionError

Text = tuple[str, ...]  # sentences
OF_PROTOCOL = {
    "embed-birads7": "embed-birads7",
    "embed-birads3": "embed-birads3",
    "embed-density": "embed-density",
    "vindr-birads": "vindr-birads",
    "vindr-density": "vindr-density",
    "rsna-cancer": "rsna-cancer",
}


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts of some images.

    Attributes:
        classes: Names, in the order of the columns of ``which``.
        scores: The classes that predictions are written for.
        texts: Each distinct prompt once.
        which: Number of each image's prompt for each class, an index into ``texts``.
    """

    classes: tuple[str, ...]
    scores: tuple[str, ...]
    texts: tuple[Text, ...]
    which: Int64[np.ndarray, "image class"]


def make_prompts(
    template: CaptionTemplate,
    name: str,
    facts: Mapping[str, Facts],
    images: Sequence[str],
    *,
    hidden: frozenset[str] | None = None,
    style: str = "structured",
    segments: Sequence[str] = (),
) -> Prompts:
    """The prompts of a set for these images.

    Args:
        template: The template that has the set.
        name: Name of the set.
        facts: What is known of each image, from ``caption_facts``.
        images: Ids of the images.
        hidden: Slots that are hidden; None hides the side, which pixels do not show.
        style: Style of the captions that the model was trained with.
        segments: Segments of those captions; empty takes all.

    Raises:
        CaptionError: There is no such set, or a class of it says nothing.
    """
    prompts = _in_style(template, name, style, segments)
    if hidden is None:
        hidden = MaskConfig().draw(None)
    of_class = [_of_class(template, prompts, name, key) for key in prompts.classes]
    numbers: dict[Text, int] = {}
    rows: dict[Text, list[int]] = {}  # by what is said of the image
    which = np.empty((len(images), len(of_class)), dtype=np.int64)
    for place, image in enumerate(images):
        before: Text = ()
        if prompts.of_image:
            known = template.prepare(facts.get(image, {}), prompts.style, prompts.of_image)
            before = known.caption(hidden).sentences
        if before not in rows:
            rows[before] = [numbers.setdefault((*before, *text), len(numbers)) for text in of_class]
        which[place] = rows[before]
    classes = tuple(prompts.classes)
    return Prompts(classes, prompts.scores or classes, tuple(numbers), which)


def prompts_of_protocol(protocol: str) -> str | None:
    """The prompt set that answers a protocol's question; None where there is none."""
    stem = protocol.rpartition("-v")[0].removesuffix("-multiview")
    for which in ("-sample", "-screening", "-pairs"):
        stem = stem.removesuffix(which)
    return OF_PROTOCOL.get(stem)


def _in_style(
    template: CaptionTemplate, name: str, style: str, segments: Sequence[str]
) -> PromptSet:
    """The set in the words of captions of that style and with these segments.

    Raises:
        CaptionError: There is no such set or style, or such captions never told its classes.
    """
    prompts = template.prompt_set(name)
    if prompts.style:
        return prompts  # a set that is asked in one way, whoever is asked
    known = [segment.name for segment in template.segments(style)]
    known = [segment for segment in known if not segments or segment in segments]
    of_class = tuple(segment for segment in prompts.of_class if segment in known)
    if prompts.of_class and not of_class:
        raise CaptionError(
            f"prompts '{name}': ask for {', '.join(prompts.of_class)}, which the captions of this "
            f"model never told (style {style}: {', '.join(known)}); take other prompts"
        )
    return replace(
        prompts,
        style=style,
        of_image=tuple(segment for segment in prompts.of_image if segment in known),
        of_class=of_class,
        classes=prompts.of_style.get(style, prompts.classes),
    )


def _of_class(template: CaptionTemplate, prompts: PromptSet, name: str, key: str) -> Text:
    content = prompts.classes[key]
    if not isinstance(content, Mapping):
        return tuple(content)
    caption = template.prepare(content, prompts.style, prompts.of_class).caption()
    if not caption.sentences:
        raise CaptionError(
            f"prompts '{name}': nothing is said of class '{key}'; name segments in of_class that "
            f"use {', '.join(content)}"
        )
    return caption.sentences
