"""The feed of Cls-Det-RS: the regions of every image, as pixels or as codes of a frozen encoder.

In training an item is one image, and classes are balanced by showing images of the smaller ones
more often, each time in another of their augmented copies. Otherwise an item is an exam.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from fourview.contract import ExamBatch, PatchBatch
from fourview.entities import SIDES, SLOTS, Manifest
from fourview.feeds.coded import Asked, CodedFeed
from fourview.feeds.copies import CopyRule, Move, draw_move, from_levels_of, move_of_copy, moved
from fourview.feeds.feed import FeedKind, FeedRequest, epoch_order, step_seed
from fourview.feeds.grid import RegionRule, find_regions, read_regions
from fourview.feeds.hits import Findings, boxed_findings, region_hits
from fourview.feeds.pixels import ExamPixels, Pixels
from fourview.feeds.samples import UNKNOWN, Sample, make_samples
from fourview.manifest.image_labels import LABELS, LabelRule, image_labels
from fourview.nn.region_encoder import RegionEncoderConfig
from fourview.store.store import Store

BOXES = "boxes"  # of an image's regions, kept beside their codes
Labels = Mapping[str, Mapping[str, float]]  # by label, of each image; NaN where unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFeedSettings:
    """What is read of every image.

    Attributes:
        windows: What is a region.
        encoder: What makes the codes. VGG-M-128's weights come from a file that the user made.
        reads: ``codes``, which are kept beside the store; or ``pixels``, for training the encoder
            too.
        copies: Augmented copies in training. With pixels every epoch draws its own.
        labels: How an image's labels are made; see ``manifest.image_labels``.
        boxes: Say of each region which natures of findings it hits: for training that looks at
            boxes too (``objective.boxes``), not only at labels of images.
        balance: Show images of the smaller classes (malignant, benign only, normal; or malignant
            and not, where no more is known) as often as those of the largest.
    """

    windows: RegionRule = field(default_factory=RegionRule)
    encoder: RegionEncoderConfig = field(default_factory=RegionEncoderConfig)
    reads: Literal["codes", "pixels"] = "codes"
    copies: CopyRule = field(default_factory=CopyRule)
    labels: LabelRule = "birads"
    boxes: bool = False
    balance: bool = True


@dataclass(frozen=True, slots=True)
class ReadRegions:
    """A sample with the regions of each of its images.

    ``hits`` has a row for each label of LABELS: 1 where a region hits a finding of that nature, NaN
    where the nature of what it hits is unknown; None where boxes are not asked for.
    """

    sample: Sample
    boxes: tuple[np.ndarray, ...]  # (region, 4) of each image; images differ in their regions
    values: tuple[np.ndarray, ...]  # codes (region, dim) or pixels (region, row, col)
    hits: tuple[np.ndarray, ...] | None = None  # (label, region) of each image


class RegionFeed(CodedFeed):
    """See the module docstring.

    Args:
        samples: What there is.
        pixels: Native ones.
        settings: What is read.
        labels: Of single images.
        findings: By image, those that regions may hit; None where boxes are not asked for.
        training: Draw augmented copies, and balance.
        cache_bytes: Codes kept in memory once read, at most.
    """

    code_type = np.float16  # an image has some hundred regions, nine times that with the copies

    def __init__(
        self,
        samples: Sequence[Sample],
        pixels: Pixels,
        settings: RegionFeedSettings,
        *,
        labels: Labels,
        findings: Mapping[str, Findings] | None = None,
        training: bool = False,
        cache_bytes: int = 0,
    ) -> None:
        self.samples, self.pixels, self.settings = tuple(samples), pixels, settings
        self.labels, self.findings, self.training = labels, findings, training
        self._room, self._kept = cache_bytes, dict[tuple[str, int], np.ndarray]()
        self._boxes = dict[str, np.ndarray]()

    def about(self) -> Mapping[str, Any]:
        """The rule of the regions, the encoder's config, and how copies are drawn; not how many."""
        rule = {**asdict(self.settings.windows), "revision": self.settings.windows.fingerprint}
        copies = self.settings.copies
        return {
            "of": "regions of an image",
            "windows": rule,
            "encoder": asdict(self.settings.encoder),
            "shift_px": copies.shift_px,
            "seed": copies.seed,
        }

    def asked(self) -> Iterator[Asked]:
        """Every image as it is and, in training, its augmented copies."""
        slots = {i: slot for s in self.samples for i, slot in zip(s.images, s.slots, strict=True)}
        copies = self.settings.copies.copies if self.training else 0
        for image_id, slot in slots.items():
            for copy in range(copies + 1):
                yield Asked(image_id, _codes(copy), (slot, copy))

    def patches(
        self, asked: Asked
    ) -> tuple[Mapping[str, np.ndarray], Float[np.ndarray, "region row col"]]:
        """The regions of one copy of an image."""
        slot, copy = asked.what
        boxes = self._boxes_of(asked.key, slot)
        move = move_of_copy(asked.key, copy, self.settings.copies)
        cut = self._moved_regions(asked.key, boxes, move)
        return {BOXES: boxes.astype(np.int32)}, from_levels_of(cut)

    def order(self, *, seed: int, epoch: int) -> list[int]:
        """Images of every class as often as of the largest; of unknown ones none.

        An index beyond the samples is one of them again, with a draw of its own.
        """
        if not (self.training and self.settings.balance):
            return super().order(seed=seed, epoch=epoch)
        classes: dict[str, list[int]] = {}
        for index, sample in enumerate(self.samples):
            name = self._class_of(sample)
            if name is not None:
                classes.setdefault(name, []).append(index)
        most = max((len(indices) for indices in classes.values()), default=0)
        draw = np.random.default_rng(step_seed(seed, epoch, 0))
        chosen: list[int] = []
        for name in sorted(classes):
            indices = classes[name]
            whole, rest = divmod(most, len(indices))
            shown = [i + n * len(self) for n in range(whole) for i in indices]
            extra = draw.permutation(len(indices))[:rest]
            chosen += shown + [indices[i] + whole * len(self) for i in extra]
        return [chosen[i] for i in epoch_order(len(chosen), seed=seed, epoch=epoch)]

    def read(self, index: int, draw: np.random.Generator | None = None) -> ReadRegions:
        """The regions of a sample's images; with a draw, of one of their augmented copies."""
        sample = self.samples[index % len(self)]
        boxes = tuple(
            self._boxes_of(i, slot) for i, slot in zip(sample.images, sample.slots, strict=True)
        )
        draw = draw if self.training else None
        values: list[np.ndarray] = []
        hits: list[np.ndarray] = []
        for image_id, own in zip(sample.images, boxes, strict=True):
            if self.said is not None:
                copy = 0 if draw is None else int(draw.integers(self.settings.copies.copies + 1))
                move = move_of_copy(image_id, copy, self.settings.copies)
                values.append(self._codes_of(image_id, copy))
            else:
                move = Move() if draw is None else draw_move(draw, self.settings.copies.shift_px)
                values.append(self._moved_regions(image_id, own, move))
            if self.findings is not None:
                hits.append(region_hits(_shifted(own, move), self.findings.get(image_id, ())))
        return ReadRegions(sample, boxes, tuple(values), tuple(hits) if hits else None)

    def collate(self, items: Sequence[ReadRegions]) -> ExamBatch:
        """Regions of all images in one stack; the images themselves are not read."""
        samples = [item.sample for item in items]
        images = [i for sample in samples for i in sample.images]
        counts = torch.tensor([len(boxes) for item in items for boxes in item.boxes])
        values = np.concatenate([v for item in items for v in item.values])
        boxes = np.concatenate([b for item in items for b in item.boxes])
        is_codes = self.said is not None
        tensor = torch.from_numpy(values.astype(np.float32) if is_codes else from_levels_of(values))
        hits = [own for item in items for own in item.hits or ()]
        known = dict(zip(LABELS, np.concatenate(hits, axis=1), strict=True)) if hits else {}
        patches = PatchBatch(
            image=torch.repeat_interleave(torch.arange(len(images)), counts),
            box=torch.from_numpy(boxes.astype(np.float32)),
            codes=tensor if is_codes else None,
            pixels=None if is_codes else tensor[:, None],
            targets={name: torch.from_numpy(own).float() for name, own in known.items()},
        )
        num_images = torch.tensor([len(sample.images) for sample in samples])
        return ExamBatch(
            pixels=torch.zeros(len(images), 1, 0, 0),
            exam=torch.repeat_interleave(torch.arange(len(samples)), num_images),
            slot=torch.tensor([s for sample in samples for s in sample.slots]),
            rank=torch.tensor([r for sample in samples for r in sample.ranks]),
            num_exams=len(samples),
            targets={
                label: torch.tensor([sample.targets[label] for sample in samples])
                for label in self.labels
            },
            image_targets={
                label: torch.tensor([known[i] for i in images])
                for label, known in self.labels.items()
            },
            patches=patches,
        )

    def _class_of(self, sample: Sample) -> str | None:
        values = {label: self.labels[label][sample.images[0]] for label in LABELS}
        if values["cancer"] == 1:
            return "malignant"
        if math.isnan(values["cancer"]):
            return None
        if math.isnan(values["benign"]):
            return "not malignant"  # of data that say no more
        return "benign" if values["benign"] == 1 else "normal"

    def _boxes_of(self, image_id: str, slot: int) -> Int[np.ndarray, "region 4"]:
        if image_id not in self._boxes:
            self._boxes[image_id] = (
                self.said.read(image_id, BOXES)
                if self.said is not None
                else find_regions(self.pixels.read(image_id), slot, self.settings.windows)
            )
        return self._boxes[image_id]

    def _codes_of(self, image_id: str, copy: int) -> Float[np.ndarray, "region dim"]:
        assert self.said is not None
        if (image_id, copy) in self._kept:
            return self._kept[image_id, copy]
        codes: np.ndarray = self.said.read(image_id, _codes(copy))
        if codes.nbytes <= self._room:
            self._room -= codes.nbytes
            self._kept[image_id, copy] = codes
        return codes

    def _moved_regions(
        self, image_id: str, boxes: Int[np.ndarray, "region 4"], move: Move
    ) -> np.ndarray:
        cut = read_regions(self.pixels, image_id, _shifted(boxes, move))
        return np.ascontiguousarray(moved(cut, move))


def _shifted(boxes: Int[np.ndarray, "region 4"], move: Move) -> Int[np.ndarray, "region 4"]:
    return np.asarray(boxes + np.array([move.dx, move.dy, move.dx, move.dy]))


def _codes(copy: int) -> str:
    return f"codes{copy}"


def make_feed(manifest: Manifest, store: Store, request: FeedRequest) -> RegionFeed:
    """The feed of a manifest, reading pixels."""
    settings = request.settings or RegionFeedSettings()
    exams = make_samples(
        manifest,
        classes={},
        splits=request.splits,
        in_store=store.table["image_id"].to_list(),
    )
    labels: dict[str, dict[str, float]] = {}
    if request.classes:
        table = image_labels(manifest, settings.labels)
        labels = {
            label: {
                image: UNKNOWN if value is None else float(value)
                for image, value in table.select("image_id", label).iter_rows()
            }
            for label in LABELS
        }
    samples = [one for exam in exams for one in _images_of(exam)] if request.training else exams
    return RegionFeed(
        [_with_targets(sample, labels) for sample in samples],
        store,
        settings,
        labels=labels,
        findings=boxed_findings(manifest, store) if settings.boxes and request.classes else None,
        training=request.training,
        cache_bytes=request.cache_bytes,
    )


def _images_of(exam: Sample) -> list[Sample]:
    """Each image of an exam as a sample of its own."""
    return [
        replace(exam, images=(image,), slots=(slot,), ranks=(rank,))
        for image, slot, rank in zip(exam.images, exam.slots, exam.ranks, strict=True)
    ]


def _with_targets(sample: Sample, labels: Labels) -> Sample:
    """The sample with labels of its breasts: those of the worst of their images."""

    def worst(known: Mapping[str, float], side: str) -> float:
        own = [
            known[image]
            for image, slot in zip(sample.images, sample.slots, strict=True)
            if SLOTS[slot][0] == side
        ]
        if 1.0 in own:
            return 1.0
        return 0.0 if own and not any(math.isnan(v) for v in own) else UNKNOWN

    right, left = SIDES
    targets = {label: (worst(known, right), worst(known, left)) for label, known in labels.items()}
    return replace(sample, targets=targets)


def _of_exam(pixels: ExamPixels, request: FeedRequest) -> RegionFeed:
    settings = request.settings or RegionFeedSettings()
    return RegionFeed([pixels.sample], pixels, settings, labels={})


FEED = FeedKind(make=make_feed, of_exam=_of_exam, settings=RegionFeedSettings)
