"""Whole images with the boxes of their findings, for detectors.

As the feed ``exams``, and ``batch.patches`` has a row for every region of a finding on an image:

    box                        in processed pixels, the upright box of the region
    targets["malignant"]       1, 0; NaN where the manifest does not say
    targets["calcification"]   1 where the kind of the finding is calcifications, else 0; or NaN

Pixels of these rows are not cut: ``patches.pixels`` is None.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from fourview.contract import ExamBatch, PatchBatch
from fourview.entities import Manifest
from fourview.feeds.collate import ReadSample
from fourview.feeds.feed import Feed, FeedKind, FeedRequest
from fourview.feeds.kinds.exams import FEED as EXAMS
from fourview.feeds.kinds.exams import of_exam as exam_images
from fourview.feeds.pixels import ExamPixels
from fourview.feeds.window_sources import outline_of
from fourview.geometry import Geometry
from fourview.store.store import Store

CALCIFICATION = "calc"  # in the names that sources give this kind


@dataclass(frozen=True, slots=True)
class Marked:
    """One region: x0 y0 x1 y1, malignant, calcification."""

    box: tuple[float, float, float, float]
    malignant: float
    calcification: float


class BoxFeed(Feed):
    """See the module docstring.

    Args:
        exams: The feed of the same images.
        marked: By image, what is marked on it.
    """

    def __init__(self, exams: Feed, marked: dict[str, tuple[Marked, ...]]) -> None:
        self.samples, self.pixels = exams.samples, exams.pixels
        self.exams, self.marked = exams, marked

    def read(self, index: int, draw: np.random.Generator | None = None) -> ReadSample:
        """The sample with the levels of its images."""
        item: ReadSample = self.exams.read(index, draw)
        return item

    def collate(self, items: Sequence[ReadSample]) -> ExamBatch:
        """Images with their places and targets, and the boxes on them."""
        batch = self.exams.collate(items)
        images = [image for item in items for image in item.sample.images]
        rows = [(i, m) for i, name in enumerate(images) for m in self.marked.get(name, ())]
        boxes = torch.tensor([m.box for _, m in rows], dtype=torch.float32).reshape(-1, 4)
        return replace(
            batch,
            patches=PatchBatch(
                image=torch.tensor([i for i, _ in rows], dtype=torch.long),
                box=boxes,
                targets={
                    "malignant": torch.tensor([m.malignant for _, m in rows]),
                    "calcification": torch.tensor([m.calcification for _, m in rows]),
                },
            ),
        )


def marks_of(manifest: Manifest, store: Store) -> dict[str, tuple[Marked, ...]]:
    """By image of the store, the regions of findings on it."""
    table = store.table.select("image_id", "geometry")
    by_image: dict[str, list[Marked]] = {}
    on_images = manifest.findings.filter(pl.col("image_id").is_not_null())
    rows = on_images.join(table, on="image_id", how="inner", maintain_order="left")
    for row in rows.iter_rows(named=True):
        outline = outline_of(row, Geometry.from_json(json.loads(row["geometry"])))
        if outline is None:
            continue
        points = outline.points
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        malignant = math.nan if row["malignant"] is None else float(row["malignant"])
        kind = row["kind"]
        calcification = math.nan if kind is None else float(CALCIFICATION in kind)
        marked = Marked((x0, y0, x1, y1), malignant, calcification)
        by_image.setdefault(row["image_id"], []).append(marked)
    return {image: tuple(marked) for image, marked in by_image.items()}


def _make(manifest: Manifest, store: Store, request: FeedRequest) -> BoxFeed:
    exams = EXAMS.make(manifest, store, replace(request, settings=None))
    return BoxFeed(exams, marks_of(manifest, store))


def _of_exam(pixels: ExamPixels, request: FeedRequest) -> BoxFeed:
    """The images of one exam; nothing is marked on them."""
    return BoxFeed(exam_images(pixels, request), {})


FEED = FeedKind(make=_make, of_exam=_of_exam)
