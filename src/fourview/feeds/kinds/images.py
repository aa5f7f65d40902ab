"""The feed of probes: single images whose label is known, drawn evenly from the classes.

For training an item is one image. Parts that are measured come as whole exams, like any other
family's, so that a breast is the average of its images.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fourview.contract import ExamBatch
from fourview.entities import SIDES, SLOTS, Manifest
from fourview.errors import RecipeError
from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.feed import Feed, FeedKind, FeedRequest, epoch_order, step_seed
from fourview.feeds.kinds.exams import ExamFeed, of_exam
from fourview.feeds.pixels import CachedPixels, Pixels
from fourview.feeds.samples import Sample, make_samples
from fourview.store.store import Store

UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFeedConfig:
    """Which training images, and how often.

    Attributes:
        fraction: Part of each class's images that is used, above 0 and at most 1; at least one
            image of each class.
        fraction_seed: Decides which; not the run's seed, so that runs differ by their own only.
        balanced: Draw with replacement, each class as often as the others; else every image once.
        draws: Images of an epoch; 0 takes as many as the whole part has, whatever the fraction: a
            few images are then seen often, in as many steps.
    """

    fraction: float = 1.0
    fraction_seed: int = 42
    balanced: bool = True
    draws: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ValueError(f"fraction {self.fraction} is not above 0 and at most 1")


class ImageFeed(Feed):
    """See the module docstring.

    Args:
        samples: One image each.
        classes: The class of each sample.
        pixels: Of their images.
        settings: How they are drawn.
        whole: Images of the whole part, of which these may be a fraction; None where they are all.
        cache_bytes: Keep all pixels in memory if they take no more than this.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        classes: Sequence[float],
        pixels: Pixels,
        settings: ImageFeedConfig,
        *,
        whole: int | None = None,
        cache_bytes: int = 0,
    ) -> None:
        self.whole = len(samples) if whole is None else whole
        self.samples, self.pixels, self.settings = tuple(samples), pixels, settings
        ids = [sample.images[0] for sample in self.samples]
        self._levels = CachedPixels(pixels, ids, cache_bytes=cache_bytes)
        self._classes = np.array(classes)

    def order(self, *, seed: int, epoch: int) -> list[int]:
        """Indices of one epoch: with replacement and weights 1 / size of the class if balanced."""
        draws = (self.settings.draws or self.whole) if self.samples else 0
        if not self.settings.balanced:
            rounds = -(-draws // max(len(self.samples), 1))
            orders = [
                i
                for part in range(rounds)
                for i in epoch_order(len(self.samples), seed=seed, epoch=epoch * rounds + part)
            ]
            return orders[:draws]
        generator = np.random.default_rng(step_seed(seed, epoch, 0))
        kinds, which, counts = np.unique(self._classes, return_inverse=True, return_counts=True)
        weights = 1.0 / (len(kinds) * counts[which])
        drawn: list[int] = generator.choice(len(self.samples), size=draws, p=weights).tolist()
        return drawn

    def read(  # nothing is random here
        self,
        index: int,
        draw: np.random.Generator | None = None,  # noqa: ARG002
    ) -> ReadSample:
        """The image with its levels."""
        sample = self.samples[index]
        return ReadSample(sample, self._levels.read(sample.images))

    def collate(self, items: Sequence[ReadSample]) -> ExamBatch:
        """Each image is an exam of its own."""
        return collate(items)


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> Feed:
    settings: ImageFeedConfig = request.settings or ImageFeedConfig()
    exams = make_samples(
        manifest,
        classes=request.classes,
        unit="exam",
        splits=request.splits,
        in_store=store.table["image_id"].to_list(),
    )
    if not request.training:
        return ExamFeed(exams, store, cache_bytes=request.cache_bytes)
    if len(request.classes) != 1:
        raise RecipeError(
            f"the images feed balances one label; the task has {len(request.classes)}: "
            f"{', '.join(request.classes) or 'none'}"
        )
    label = next(iter(request.classes))
    labelled = [pair for exam in exams for pair in _images(exam, label)]
    chosen = _fraction([value for _, value in labelled], settings)
    samples = [labelled[i][0] for i in chosen]
    classes = [labelled[i][1] for i in chosen]
    return ImageFeed(
        samples, classes, store, settings, whole=len(labelled), cache_bytes=request.cache_bytes
    )


def _images(exam: Sample, label: str) -> list[tuple[Sample, float]]:
    """The images of an exam whose label is known, each as a sample of its own side."""
    labelled = []
    for image, slot in zip(exam.images, exam.slots, strict=True):
        side = SIDES.index(SLOTS[slot][0])
        value = exam.targets[label][side]
        if np.isnan(value):
            continue
        targets = {
            name: (pair[0] if side == 0 else UNKNOWN, pair[1] if side == 1 else UNKNOWN)
            for name, pair in exam.targets.items()
        }
        sample = replace(exam, images=(image,), slots=(slot,), ranks=(0,), targets=targets)
        labelled.append((sample, value))
    return labelled


def _fraction(values: Sequence[float], settings: ImageFeedConfig) -> list[int]:
    """Places of the images that are used, in their order."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(values):
        places[value].append(place)
    generator = np.random.default_rng(settings.fraction_seed)
    chosen: list[int] = []
    for value in sorted(places):
        own = places[value]
        count = max(1, round(settings.fraction * len(own)))
        chosen += generator.permutation(own)[:count].tolist()
    return sorted(chosen)


FEED = FeedKind(make=_make, of_exam=of_exam, settings=ImageFeedConfig)
