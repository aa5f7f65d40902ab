"""The feed of most families: whole images of an exam or of a breast, by slot."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from fourview.contract import ExamBatch
from fourview.entities import Manifest
from fourview.feeds.coded import Asked, CodedFeed
from fourview.feeds.collate import ReadSample, collate
from fourview.feeds.feed import FeedKind, FeedRequest
from fourview.feeds.pixels import CachedPixels, ExamPixels, Pixels
from fourview.feeds.samples import Sample, make_samples
from fourview.preprocess.pipeline import from_levels
from fourview.store.said import Said
from fourview.store.store import Store

CODES = "codes"  # of a whole image


class ExamFeed(CodedFeed):
    """Reads the images of a sample; all at once into memory first where they fit.

    An encoder that is asked about them is shown each as one patch, which is all of it.

    Args:
        samples: What there is, from ``make_samples``.
        pixels: Of one spec with fixed rows and columns.
        cache_bytes: Keep all pixels in memory (2 bytes each) if they take no more than this; or
            the codes.
    """

    def __init__(self, samples: Sequence[Sample], pixels: Pixels, *, cache_bytes: int = 0) -> None:
        self.samples, self.pixels = tuple(samples), pixels
        self.cache_bytes = cache_bytes
        self._levels = CachedPixels(pixels, self._images, cache_bytes=cache_bytes)
        self._codes: dict[str, np.ndarray] = {}

    def read(  # nothing is random here
        self,
        index: int,
        draw: np.random.Generator | None = None,  # noqa: ARG002
    ) -> ReadSample:
        """The sample with the levels of its images, or with their codes."""
        sample = self.samples[index]
        if self.said is None:
            return ReadSample(sample, self._levels.read(sample.images))
        nothing = np.zeros((len(sample.images), 0, 0), np.uint16)
        return ReadSample(sample, nothing, np.stack([self._code(i) for i in sample.images]))

    def collate(self, items: Sequence[ReadSample]) -> ExamBatch:
        """Pixels in [0, 1] with their places and targets."""
        return collate(items)

    def about(self) -> Mapping[str, Any]:
        """Whole images, as the store has them."""
        return {"of": "whole images"}

    def asked(self) -> Iterator[Asked]:
        """Every image, once."""
        for image in dict.fromkeys(self._images):
            yield Asked(key=image, name=CODES, what=image)

    def patches(
        self, asked: Asked
    ) -> tuple[Mapping[str, np.ndarray], Float[np.ndarray, "patch row col"]]:
        """The image, as one patch."""
        return {}, from_levels(self._levels.read([asked.what])[0])[None]

    def with_codes(self, said: Said) -> "ExamFeed":
        """The same feed, reading codes in place of pixels; all at once where they fit."""
        other = ExamFeed(self.samples, self.pixels)
        other.said, other.cache_bytes = said, self.cache_bytes
        images = list(dict.fromkeys(self._images))
        if images and len(images) * said.read(images[0], CODES).nbytes <= self.cache_bytes:
            other._codes = {image: other._code(image) for image in images}
        return other

    @property
    def _images(self) -> list[str]:
        return [image for sample in self.samples for image in sample.images]

    def _code(self, image: str) -> Float32[np.ndarray, "dim grid_row grid_col"]:
        if image in self._codes:
            return self._codes[image]
        assert self.said is not None
        return np.asarray(self.said.read(image, CODES)[0], np.float32)


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
