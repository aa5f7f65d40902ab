"""The feed of most families: whole images of an exam or of a breast, by slot."""

from collections.abc import Sequence

import numpy as np

from fourview.contract import ExamBatch
from fourview.entities import Manifest
from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.feed import Feed, FeedKind, FeedRequest
from fourview.feeds.pixels import CachedPixels, ExamPixels, Pixels
from fourview.feeds.samples import Sample, make_samples
from fourview.store.store import Store


class ExamFeed(Feed):
    """Reads the images of a sample; all at once into memory first where they fit.

    Args:
        samples: What there is, from ``make_samples``.
        pixels: Of one spec with fixed rows and columns.
        cache_bytes: Keep all pixels in memory (2 bytes each) if they take no more than this.
    """

    def __init__(self, samples: Sequence[Sample], pixels: Pixels, *, cache_bytes: int = 0) -> None:
        self.samples, self.pixels = tuple(samples), pixels
        ids = [image for sample in self.samples for image in sample.images]
        self._levels = CachedPixels(pixels, ids, cache_bytes=cache_bytes)

    def read(  # nothing is random here
        self,
        index: int,
        draw: np.random.Generator | None = None,  # noqa: ARG002
    ) -> ReadSample:
        """The sample with the levels of its images."""
        sample = self.samples[index]
        return ReadSample(sample, self._levels.read(sample.images))

    def collate(self, items: Sequence[ReadSample]) -> ExamBatch:
        """Pixels in [0, 1] with their places and targets."""
        return collate(items)


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> ExamFeed:
    samples = make_samples(
        manifest,
        classes=request.classes,
        unit=request.unit,
        splits=request.splits,
        in_store=store.table["image_id"].to_list(),
    )
    return ExamFeed(samples, store, cache_bytes=request.cache_bytes)


def of_exam(pixels: ExamPixels, request: FeedRequest) -> ExamFeed:  # noqa: ARG001 - of every kind
    """The feed of one exam."""
    return ExamFeed([pixels.sample], pixels)


FEED = FeedKind(make=_make, of_exam=of_exam)
