"""Where feeds get the levels of images by id: a store, or an exam that was just read.

Both have the same methods, so a feed makes the batch of an exam with the code that makes those of
a store.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt16

from fourview.entities import Exam, Image, LeftOut, ProcessedImage
from fourview.entities.reasons import reason_of
from fourview.errors import DicomError, PixelError
from fourview.feeds.patches import patch_reader
from fourview.feeds.samples import Sample
from fourview.geometry import Geometry, Size
from fourview.preprocess.pipeline import to_pixel_levels
from fourview.preprocess.spec import PixelSpec
from fourview.store.breast_scale import scales_of_exam
from fourview.store.read_image import process_as_prepared

TILE = 512  # rows and columns that an exam gives at a time where a store gives a chunk


@runtime_checkable
class Pixels(Protocol):
    """Processed images by id, as levels; ``Store`` and ``ExamPixels`` are such."""

    @property
    def path(self) -> Path | None:
        """Folder beside whose pixels codes are kept; None where there is none."""

    @property
    def spec(self) -> PixelSpec:
        """What was done to the pixels."""

    @property
    def fingerprint(self) -> str:
        """Of the spec."""

    @property
    def chunk(self) -> Size:
        """Rows and columns that are read at a time."""

    def size(self, image_id: str) -> Size:
        """Rows and columns of an image."""

    def geometry(self, image_id: str) -> Geometry:
        """The way between the file's own pixels and the processed ones."""

    def read(self, image_id: str) -> UInt16[np.ndarray, "row col"]:
        """The levels of an image."""

    def read_many(self, image_ids: Sequence[str]) -> UInt16[np.ndarray, "image row col"]:
        """The levels of several images of one size, in the order asked for."""

    def patch(
        self, image_id: str, y0: int, x0: int, size: int | Size
    ) -> UInt16[np.ndarray, "row col"]:
        """The levels of a rectangle; what lies beyond the image is 0."""

    def chunks(
        self, image_id: str, places: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], UInt16[np.ndarray, "row col"]]]:
        """Some of an image's chunks, (row, col) of their grid each."""


class ExamPixels:
    """The images of one exam that fill slots, processed; read as those of a store.

    Args:
        exam: What was read; an image that cannot be processed is listed; the others are read.
        spec: What is done to the pixels.

    Attributes:
        images: Those that could be processed, in the exam's order.
        processed: The same, as models see them.
        left_out: The others, with reasons.
    """

    path = None

    def __init__(self, exam: Exam, spec: PixelSpec) -> None:
        images: list[Image] = []
        processed: list[ProcessedImage] = []
        left_out: list[LeftOut] = []
        scales = scales_of_exam(exam, spec)
        for image in exam.images:
            if image.view.slot is None:
                continue
            try:
                scale = scales.get(image.view.side)
                processed.append(process_as_prepared(image, spec, scale=scale))
                images.append(image)
            except (DicomError, PixelError) as error:
                left_out.append(_left_out(image, error))
        self.spec, self.fingerprint, self.chunk = spec, spec.fingerprint, (TILE, TILE)
        self.images, self.processed = tuple(images), tuple(processed)
        self.left_out = tuple(left_out)
        self._levels = {p.image_id: to_pixel_levels(p.pixels) for p in processed}
        self._geometries = {p.image_id: p.geometry for p in processed}

    @cached_property
    def sample(self) -> Sample:
        """All images, with the slots that they fill; no label is known."""
        slots = tuple(slot for i in self.images if (slot := i.view.slot) is not None)
        first = self.images[0]
        return Sample(
            patient_id=first.patient_id,
            exam_id=first.exam_id,
            images=tuple(image.image_id for image in self.images),
            slots=slots,
            ranks=tuple(slots[:place].count(slot) for place, slot in enumerate(slots)),
            targets={},
        )

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._levels

    def size(self, image_id: str) -> Size:
        """Rows and columns of the processed image."""
        rows, cols = self._levels[image_id].shape
        return rows, cols

    def geometry(self, image_id: str) -> Geometry:
        """The way between the file's own pixels and the processed ones."""
        return self._geometries[image_id]

    def read(self, image_id: str) -> UInt16[np.ndarray, "row col"]:
        """The levels of an image."""
        return self._levels[image_id]

    def read_many(self, image_ids: Sequence[str]) -> UInt16[np.ndarray, "image row col"]:
        """The levels of several images of one size."""
        return np.stack([self._levels[image_id] for image_id in image_ids])

    def patch(
        self, image_id: str, y0: int, x0: int, size: int | Size
    ) -> UInt16[np.ndarray, "row col"]:
        """The levels of a rectangle; what lies beyond the image is 0."""
        wanted = (size, size) if isinstance(size, int) else size
        return patch_reader(self._levels[image_id])(y0, x0, wanted)

    def chunks(
        self, image_id: str, places: Iterable[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], UInt16[np.ndarray, "row col"]]]:
        """Some of an image's tiles, filled up with 0 beyond the image."""
        rows, cols = self.chunk
        for row, col in places:
            yield (row, col), self.patch(image_id, row * rows, col * cols, self.chunk)


def _left_out(image: Image, error: DicomError | PixelError) -> LeftOut:
    return LeftOut(
        path=image.path,
        reason=reason_of(error),
        detail=str(error),
        image_id=image.image_id,
    )


class CachedPixels:
    """Reads images with fixed rows and columns; all in memory where they fit.

    Args:
        pixels: Where they are.
        images: Ids that will be asked for.
        cache_bytes: Read all of them at once if they take no more than this (2 bytes per pixel).
    """

    def __init__(self, pixels: Pixels, images: Sequence[str], *, cache_bytes: int = 0) -> None:
        self.pixels = pixels
        self._cached: dict[str, np.ndarray] = {}
        size = 2 * len(images) * (pixels.spec.rows or 0) * (pixels.spec.cols or 0)
        if images and size <= cache_bytes:
            self._cached = dict(zip(images, pixels.read_many(list(images)), strict=True))

    def read(self, images: Sequence[str]) -> UInt16[np.ndarray, "image row col"]:
        """Their levels, in this order; an image may be named twice."""
        if self._cached:
            return np.stack([self._cached[image] for image in images])
        once = list(dict.fromkeys(images))
        levels = self.pixels.read_many(once)
        return levels if len(once) == len(images) else levels[[once.index(i) for i in images]]
