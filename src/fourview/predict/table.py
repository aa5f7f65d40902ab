"""What a network says -> rows of a predictions table: images, breasts, findings and regions."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from fourview.contract import ModelOutput
from fourview.entities import PREDICTIONS_SCHEMA, SIDES, SLOTS
from fourview.feeds.samples import Sample
from fourview.localise.findings import stored_boxes
from fourview.localise.peaks import ScoredRegion
from fourview.predict.marks import Look, Regions

Row = dict[str, Any]
KEYS = [name for name in PREDICTIONS_SCHEMA if name != "score"]


def table_of(rows: Iterator[Row]) -> pl.DataFrame:
    """Rows with the columns of PREDICTIONS_SCHEMA."""
    return pl.DataFrame(list(rows), schema=PREDICTIONS_SCHEMA)


def prediction_rows(
    samples: Sequence[Sample], output: ModelOutput, classes: Sequence[str]
) -> Iterator[Row]:
    """A row for each image, breast and finding that has scores, and each class."""
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


def region_table(look: Look, regions: Regions) -> pl.DataFrame:
    """A row for each region of a class, image by image; its box in the stored frame."""
    by_image: dict[str, dict[str, list[ScoredRegion]]] = {}
    for name, own in regions.items():
        for region in own:
            by_image.setdefault(region.image_id, {}).setdefault(name, []).append(region)
    owners, counts = [], []
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    for sample, image_id, side in look.images():
        for name, here in by_image.get(image_id, {}).items():
            corners = [(r.box.x0, r.box.y0, r.box.x1, r.box.y1) for r in here]
            stored = stored_boxes(here[0].geometry, np.array(corners, dtype=np.float64))
            inside = (stored[:, :2] < stored[:, 2:]).all(axis=1)  # else all of it is padding
            owners.append(
                {
                    "unit": "region",
                    "patient_id": sample.patient_id,
                    "exam_id": sample.exam_id,
                    "side": side,
                    "image_id": image_id,
                    "class": name,
                }
            )
            counts.append(int(inside.sum()))
            boxes.append(stored[inside])
            scores.append(np.array([r.score for r in here], dtype=np.float64)[inside])
    table = table_of(iter(owners))[np.repeat(np.arange(len(owners)), counts)]
    corners_of = dict(zip(("x0", "y0", "x1", "y1"), np.concatenate(boxes).T, strict=True))
    return table.with_columns(score=np.concatenate(scores), **corners_of)


def mean_of_tables(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of several models to one: of each unit and class the mean over those that score it.

    Joined by the ids, never by the order of rows. Regions of different models are different places
    and have no mean; they are the first model's that has any.
    """
    if len(tables) == 1:
        return tables[0]
    is_region = pl.col("unit") == "region"
    scored = pl.concat([table.filter(~is_region) for table in tables])
    mean = scored.group_by(KEYS, maintain_order=True).agg(pl.col("score").mean())
    regions = [own for table in tables if len(own := table.filter(is_region))]
    return pl.concat([mean.select(list(PREDICTIONS_SCHEMA)), *regions[:1]])


def _finding_rows(
    samples: Sequence[Sample], scores: Sequence[Sequence[float]], classes: Sequence[str]
) -> Iterator[Row]:
    """One row per finding and image; a finding without a score makes none."""
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


def _class_rows(
    sample: Sample, known: Row, scores: Sequence[float], classes: Sequence[str]
) -> Iterator[Row]:
    for name, score in zip(classes, scores, strict=True):
        yield {
            "patient_id": sample.patient_id,
            "exam_id": sample.exam_id,
            "class": name,
            "score": score,
            **known,
        }
