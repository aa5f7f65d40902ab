"""The feed of most families: whole images of an exam or of a breast, by slot."""

from collections.abc import Sequence

import numpy as np

from fourview.contract import ExamBatch
from fourview.entities import Manifest
from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.feed import Feed, FeedKind, FeedRequest
from fourview.feeds.pixels import StoredPixels
from fourview.feeds.samples import Sample, make_samples
from fourview.store.store import Store


class ExamFeed(Feed):
    """Reads the images of a sample; all at once into memory first where they fit.

    Args:
        samples: What there is, from ``make_samples``.
        store: Pixels of one spec with fixed rows and columns.
        cache_bytes: Keep all pixels in memory (2 bytes each) if they take no more than this.
    """

    def __init__(self, samples: Sequence[Sample], store: Store, *, cache_bytes: int = 0) -> None:
        self.samples = tuple(samples)
        ids = [image for sample in self.samples for image in sample.images]
        self.pixels = StoredPixels(store, ids, cache_bytes=cache_bytes)

    def read(  # nothing is random here
        self,
        index: int,
        draw: np.random.Generator | None = None,  # noqa: ARG002
    ) -> ReadSample:
        """The sample with the stored codes of its images."""
        sample = self.samples[index]
        return ReadSample(sample, self.pixels.read(sample.images))

    def collate(self, items: Sequence[ReadSample]) -> ExamBatch:
        """Pixels in [0, 1] with their places and targets."""
        return collate(items)


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> ExamFeed:
    samples = make_samples(
        manifest,
        classes=request.classes,
        unit=request.unit,
        splits=None if request.part is None else [request.part],
        in_store=store.table["image_id"].to_list(),
    )
    return ExamFeed(samples, store, cache_bytes=request.cache_bytes)


FEED = FeedKind(make=_make)
