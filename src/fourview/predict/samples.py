"""Score the samples of a store with a network: what training validates with and predict writes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from fourview.contract import ExamBatch, ModelOutput
from fourview.entities import PREDICTIONS_SCHEMA, SIDES, SLOTS
from fourview.feeds.feed import Feed
from fourview.feeds.samples import Sample

Progress = Callable[[int, int], None]


def batches(
    feed: Feed, batch_size: int, *, workers: int = 0
) -> Iterator[tuple[list[Sample], ExamBatch]]:
    """The samples in their order, each batch with the samples that it holds."""
    loader: DataLoader[ExamBatch] = DataLoader(
        _Items(feed),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=feed.collate,
    )
    for number, batch in enumerate(loader):
        start = number * batch_size
        yield list(feed.samples[start : start + batch_size]), batch


class _Items(Dataset[Any]):
    """A feed as PyTorch wants it, with nothing random."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def __len__(self) -> int:
        return len(self.feed)

    def __getitem__(self, index: int) -> Any:
        return self.feed.read(index)


def score_samples(
    model: nn.Module,
    feed: Feed,
    classes: Sequence[str],
    *,
    batch_size: int = 8,
    device: torch.device | str = "cpu",
    workers: int = 0,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Predictions of images and breasts, with the columns of PREDICTIONS_SCHEMA.

    Args:
        model: In evaluation mode.
        feed: What to score.
        classes: Names of the model's scores.
        batch_size: Samples at a time.
        device: Where the model is.
        workers: Processes that read the store.
        progress: Called with samples done and samples in all.
    """
    rows: list[dict[str, Any]] = []
    done = 0
    device = torch.device(device)
    for samples, batch in batches(feed, batch_size, workers=workers):
        with torch.inference_mode():
            output = model(batch.to(device))
        rows += prediction_rows(samples, output, classes)
        rows += region_rows(feed, samples, batch, output, classes)
        done += len(samples)
        if progress is not None:
            progress(done, len(feed))
    return pl.DataFrame(rows, schema=PREDICTIONS_SCHEMA)


def prediction_rows(
    samples: Sequence[Sample], output: ModelOutput, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The rows that a batch's output makes; a breast without images makes none."""
    if output.image_scores is not None:
        scores = iter(output.image_scores.float().tolist())
        for sample in samples:
            for image, slot in zip(sample.images, sample.slots, strict=True):
                known = {"unit": "image", "image_id": image, "side": SLOTS[slot][0]}
                yield from _class_rows(sample, known, next(scores), classes)
    if output.breast_scores is not None:
        for sample, sides in zip(samples, output.breast_scores.float().tolist(), strict=True):
            present = {SLOTS[slot][0] for slot in sample.slots}
            for side, values in zip(SIDES, sides, strict=True):
                if side in present:
                    yield from _class_rows(
                        sample, {"unit": "breast", "side": side}, values, classes
                    )
    if output.finding_scores is not None:
        yield from _finding_rows(samples, output.finding_scores.float().tolist(), classes)


def _finding_rows(
    samples: Sequence[Sample], scores: Sequence[Sequence[float]], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row a finding and image; a finding without a score makes none."""
    of_findings = ((sample, finding) for sample in samples for finding in sample.findings)
    for (sample, finding), values in zip(of_findings, scores, strict=True):
        known = {
            "unit": "finding",
            "finding_id": finding,
            "image_id": sample.images[0],
            "side": SLOTS[sample.slots[0]][0],
        }
        if not any(math.isnan(value) for value in values):
            yield from _class_rows(sample, known, values, classes)


def region_rows(
    feed: Feed,
    samples: Sequence[Sample],
    batch: ExamBatch,
    output: ModelOutput,
    classes: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """A row for each mark and class, where the feed's patches are marks; boxes as stored."""
    if output.patch_scores is None or batch.patches is None:
        return
    scores, whose = output.patch_scores.float().cpu(), batch.patches.image.cpu()
    images = [(s, i, slot) for s in samples for i, slot in zip(s.images, s.slots, strict=True)]
    for number, (sample, image_id, slot) in enumerate(images):
        own = whose == number
        boxes = feed.stored_boxes(image_id, batch.patches.box[own].cpu().double().numpy())
        if boxes is None:
            return
        for box, values in zip(boxes.tolist(), scores[own].tolist(), strict=True):
            known = {"unit": "region", "image_id": image_id, "side": SLOTS[slot][0]}
            corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            yield from _class_rows(sample, known | corners, values, classes)


def _class_rows(
    sample: Sample, known: Mapping[str, Any], scores: Sequence[float], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for name, score in zip(classes, scores, strict=True):
        yield {
            "patient_id": sample.patient_id,
            "exam_id": sample.exam_id,
            "class": name,
            "score": score,
            **known,
        }
