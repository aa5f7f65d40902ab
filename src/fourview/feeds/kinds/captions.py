"""The feed of language-image pre-training: an image, another of the same exam, and its caption.

An item is an *anchor* image with its caption and, as ``positive`` says, one other image. In the
batch an item is an exam with one or two images:

    batch.text.image    which images are anchors: the index of each text's image
    batch.exam          the other image of the same index, if any, is the positive
    batch.patient       whose exam it is, the same number in every batch: two items of one patient
                        are no negatives of each other
    batch.text          what ``nn.tokenizer`` made of the captions, in the layout it describes

The anchor comes first, but for ``partner``, where CC comes before MLO whichever is the anchor. An
item without a positive (no such image) has one image. With ``texts="every"`` both images have their
own caption; with ``num_texts`` 2 each captioned image has two, hidden and changed independently,
one after the other. ``same`` gives the anchor twice, for two augmentations (``train.loop`` augments
images one by one).

Recipes of this feed have ``unit="exam"``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt16

from fourview.captions.augment import CaptionAugmentConfig, augment_caption
from fourview.captions.caption import (
    Caption,
    MaskConfig,
    PreparedCaption,
    Style,
    caption_facts,
    load_template,
)
from fourview.contract import ExamBatch
from fourview.entities import Manifest
from fourview.errors import ManifestError, RecipeError
from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.feed import Feed, FeedKind, FeedRequest
from fourview.feeds.pixels import CachedPixels, Pixels
from fourview.feeds.samples import Sample, make_samples
from fourview.nn.tokenizer import Tokenizer, TokenizerConfig
from fourview.store.store import Store
from fourview.suggest import no_such

Positive = Literal["none", "same", "exam", "other", "breast", "partner"]
NUM_SIDES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionFeedConfig:
    """What a pre-training item is.

    Attributes:
        tokenizer: The text tower's (``TextTower.tokenizer``).
        template: File with the words of captions; empty takes the package's.
        style: One of the template's.
        segments: Names of the style's segments that are told; empty takes all.
        mask: How often each part is hidden in training.
        augment: Changes of captions in training.
        require: Columns without which an image has no caption and is no anchor; add ``procedure``
            for MaMA's rule on EMBED.
        birads: Assessments that an anchor may have; empty takes all. GLAM trains on 0, 1 and 2.
        anchors: Every image once per epoch, or one image of every exam, drawn anew.
        positive: The second image: ``none``; ``same``, the anchor again; ``exam``, uniform over the
            exam's images with the anchor (MaMA); ``other``, the same without it; ``breast``,
            uniform over the breast's with the anchor; ``partner``, of the breast's other view.
        self_prob: For ``exam``: probability of the anchor itself, instead of a uniform choice
            (MaMA's code: 0.5).
        texts: Captions of the ``anchor`` only, or of ``every`` image that has one.
        num_texts: Captions drawn for each captioned image.
    """

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    template: str = ""
    style: Style = "structured"
    segments: tuple[str, ...] = ()
    mask: MaskConfig = field(default_factory=MaskConfig)
    augment: CaptionAugmentConfig = field(default_factory=CaptionAugmentConfig)
    require: tuple[str, ...] = ("density", "birads")
    birads: tuple[int, ...] = ()
    anchors: Literal["image", "exam"] = "image"
    positive: Positive = "exam"
    self_prob: float | None = None
    texts: Literal["anchor", "every"] = "anchor"
    num_texts: int = 1

    def __post_init__(self) -> None:
        if self.self_prob is not None and not 0 <= self.self_prob <= 1:
            raise ValueError(f"self_prob {self.self_prob} is no probability")
        if self.num_texts < 1:
            raise ValueError(f"num_texts {self.num_texts} gives no text; need at least 1")


@dataclass(frozen=True, slots=True)
class ReadPair:
    """An item: the images with their levels, and captions by place of the image."""

    sample: Sample
    levels: UInt16[np.ndarray, "image row col"]
    captions: tuple[tuple[int, Caption], ...]


class CaptionFeed(Feed):
    """See the module docstring.

    Args:
        exams: What there is, one sample per exam, from ``make_samples``.
        captions: By image id, for every image that may be an anchor.
        pixels: Of all their images.
        settings: What an item is.
        patients: Number of each patient.
        cache_bytes: Keep all pixels in memory if they take no more than this.
    """

    def __init__(
        self,
        exams: Sequence[Sample],
        captions: dict[str, PreparedCaption],
        pixels: Pixels,
        settings: CaptionFeedConfig,
        patients: dict[str, int],
        *,
        cache_bytes: int = 0,
    ) -> None:
        self.captions, self.pixels, self.settings = captions, pixels, settings
        ids = [image for exam in exams for image in exam.images]
        self._levels = CachedPixels(pixels, ids, cache_bytes=cache_bytes)
        self.patients = patients
        self.template = load_template(settings.template)
        self.tokenizer = Tokenizer(settings.tokenizer)
        self._exams: list[Sample] = []
        self._anchors: list[tuple[int, ...]] = []  # places in the exam that may be the anchor
        for exam in exams:
            places = tuple(i for i, image in enumerate(exam.images) if image in captions)
            groups = [places] if settings.anchors == "exam" else [(place,) for place in places]
            for group in groups:
                if group:
                    self._exams.append(exam)
                    self._anchors.append(group)
        self.samples = [
            _part(exam, places[:1]) for exam, places in zip(self._exams, self._anchors, strict=True)
        ]

    def read(self, index: int, draw: np.random.Generator | None = None) -> ReadPair:
        """An anchor with its positive; without ``draw`` the first of each, unhidden."""
        exam, anchors = self._exams[index], self._anchors[index]
        anchor = anchors[0 if draw is None else draw.integers(len(anchors))]
        chosen = self._with_positive(exam, anchor, draw)
        sample = _part(exam, chosen)
        places = [
            place
            for place, (number, image) in enumerate(zip(chosen, sample.images, strict=True))
            if image in self.captions and (self.settings.texts == "every" or number == anchor)
        ]
        if self.settings.texts == "anchor":
            places = places[:1]  # where the anchor is there twice
        captions = tuple(
            (place, self._caption(sample.images[place], draw))
            for place in places
            for _ in range(self.settings.num_texts)
        )
        return ReadPair(sample, self._levels.read(sample.images), captions)

    def collate(self, items: Sequence[ReadPair]) -> ExamBatch:
        """Pixels with their places, and the captions as tokens."""
        batch = collate([ReadSample(item.sample, item.levels) for item in items])
        texts: list[tuple[str, ...]] = []
        images: list[int] = []
        first = 0
        for item in items:
            texts += [caption.sentences for _, caption in item.captions]
            images += [first + place for place, _ in item.captions]
            first += len(item.sample.images)
        patient = torch.tensor([self.patients[item.sample.patient_id] for item in items])
        return replace(batch, text=self.tokenizer.batch(texts, images), patient=patient)

    def _caption(self, image: str, draw: np.random.Generator | None) -> Caption:
        caption = self.captions[image].caption(self.settings.mask.draw(draw))
        if draw is None or self.settings.augment == CaptionAugmentConfig():
            return caption
        return augment_caption(caption, self.template, self.settings.augment, draw)

    def _with_positive(
        self, exam: Sample, anchor: int, draw: np.random.Generator | None
    ) -> tuple[int, ...]:
        """Places in the exam of the images of an item."""
        kind = self.settings.positive
        if kind in ("none", "same"):
            return (anchor,) if kind == "none" else (anchor, anchor)
        candidates = _candidates(exam, anchor, kind)
        if not candidates:
            return (anchor,)
        if kind == "exam" and self.settings.self_prob is not None:
            others = [place for place in candidates if place != anchor]
            again = draw is not None and draw.random() < self.settings.self_prob
            candidates = [anchor] if again or not others else others
        if draw is None:
            others = [place for place in candidates if place != anchor]
            other = (others or candidates)[0]
        else:
            other = candidates[draw.integers(len(candidates))]
        if kind == "partner" and exam.slots[other] < exam.slots[anchor]:
            return (other, anchor)
        return (anchor, other)


def _candidates(exam: Sample, anchor: int, kind: Positive) -> list[int]:
    """Places of the images that may be the positive."""
    slot = exam.slots[anchor]
    everything = range(len(exam.images))
    if kind == "exam":
        return list(everything)
    if kind == "other":
        return [place for place in everything if place != anchor]
    if kind == "breast":
        return [p for p in everything if exam.slots[p] % NUM_SIDES == slot % NUM_SIDES]
    partner = (slot + NUM_SIDES) % (2 * NUM_SIDES)
    return [place for place in everything if exam.slots[place] == partner]


def _part(exam: Sample, places: Sequence[int]) -> Sample:
    """Some images of an exam, in this order; an image that is there twice gets the next rank."""
    slots = tuple(exam.slots[place] for place in places)
    return replace(
        exam,
        images=tuple(exam.images[place] for place in places),
        slots=slots,
        ranks=tuple(slots[:i].count(slot) for i, slot in enumerate(slots)),
    )


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> CaptionFeed:
    settings: CaptionFeedConfig = request.settings or CaptionFeedConfig()
    if request.unit != "exam":
        raise RecipeError(f"the captions feed draws from exams: set unit=exam, not {request.unit}")
    exams = make_samples(
        manifest,
        classes=request.classes,
        unit="exam",
        splits=request.splits,
        in_store=store.table["image_id"].to_list(),
    )
    images = [image for exam in exams for image in exam.images]
    captions = prepare_captions(manifest, images, settings)
    if images and not captions:
        raise ManifestError(
            f"no image of part '{request.part}' has a caption: each needs "
            f"{', '.join(settings.require)}; index a data set with them, or set feed.require"
        )
    patients = sorted(set(manifest.exams["patient_id"].to_list()))
    return CaptionFeed(
        exams,
        captions,
        store,
        settings,
        {patient: number for number, patient in enumerate(patients)},
        cache_bytes=request.cache_bytes,
    )


def prepare_captions(
    manifest: Manifest, images: Sequence[str], settings: CaptionFeedConfig
) -> dict[str, PreparedCaption]:
    """Captions of the images that have what ``require`` names."""
    template = load_template(settings.template)
    there_are = [segment.name for segment in template.segments(settings.style)]
    for name in settings.segments:
        if name not in there_are:
            message = no_such("segment", name, there_are)
            raise RecipeError(f"feed.segments, style {settings.style}: {message}")
    known = caption_facts(manifest, (*template.columns, *settings.require, "birads"))
    wanted = {str(category) for category in settings.birads}

    def is_anchor(facts: Mapping[str, str]) -> bool:
        has_all = all(column in facts for column in settings.require)
        return has_all and (not wanted or facts.get("birads") in wanted)

    return {
        image: template.prepare(known[image], settings.style, settings.segments or None)
        for image in images
        if is_anchor(known.get(image, {}))
    }


FEED = FeedKind(make=_make, settings=CaptionFeedConfig)
