"""Where windows are drawn on the images of a manifest, by what is known of them; see feeds.patches.

A finding counts where the manifest says whether it is malignant and gives it a region. ``negative``
are the images of breasts in which no finding has a known nature. Images of a breast with such
findings on other images only are not used.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from fourview.entities import SIDES, Finding, Manifest
from fourview.feeds.patches import Outline
from fourview.feeds.pixels import ExamPixels
from fourview.feeds.samples import Sample
from fourview.geometry import Geometry, Size
from fourview.store.store import Store

CLASSES = ("malignant", "benign", "outside", "negative")
MALIGNANT, BENIGN, OUTSIDE, NEGATIVE = range(4)
UNKNOWN = -1  # of a finding that only a reader or a model knows of
NO_TARGET = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSource:
    """Where windows are drawn: on one image, around a finding or anywhere.

    Attributes:
        kind: Index into CLASSES.
        outline: Of the finding's region, in processed pixels; None for outside and negative.
        others: Outlines that a window must not touch.
        size: Rows and columns of the image.
    """

    kind: int
    image_id: str
    finding_id: str = ""
    outline: Outline | None = None
    others: tuple[Outline, ...] = ()
    size: Size = (0, 0)


def target_of(kind: int) -> float:
    """1 malignant, 0 benign, NaN where a window is of no finding."""
    return {MALIGNANT: 1.0, BENIGN: 0.0}.get(kind, NO_TARGET)


def class_target(kind: int) -> float:
    """The index into CLASSES; NaN where it is unknown."""
    return NO_TARGET if kind == UNKNOWN else float(kind)


def outline_of(row: Mapping[str, Any], geometry: Geometry) -> Outline | None:
    """The outline of a finding's region in processed pixels; None where the image shows none."""
    polygon = row.get("polygon")
    if polygon:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    elif row["x0"] is None:
        return None
    else:
        x = np.array([row["x0"], row["x1"], row["x1"], row["x0"]])
        points = np.column_stack([x, np.repeat([row["y0"], row["y1"]], 2)])
    moved = geometry.to_processed(points)
    rows, cols = geometry.processed_size
    inside = np.clip(moved, 0, (cols, rows))
    (x0, y0), (x1, y1) = inside.min(axis=0), inside.max(axis=0)  # a line if it was cropped away
    return Outline(inside) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def find_window_sources(
    manifest: Manifest,
    store: Store,
    breasts: Sequence[Sample],
    label: str,
    *,
    training: bool,
) -> tuple[list[Sample], list[WindowSource]]:
    """Sources of all images; only those of findings where nothing is trained."""
    known = manifest.findings.filter(pl.col("malignant").is_not_null())
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in known.filter(pl.col("image_id").is_not_null()).iter_rows(named=True):
        rows.setdefault(row["image_id"], []).append(row)
    biopsied = set(known.select("exam_id", "side").iter_rows())
    geometries = _geometries(store, set(rows))
    samples: list[Sample] = []
    sources: list[WindowSource] = []
    for breast in breasts:
        side = SIDES[breast.slots[0] % len(SIDES)]
        is_negative = (breast.exam_id, side) not in biopsied
        for place, image_id in enumerate(breast.images):
            size = store.size(image_id)
            here = _sources_of_findings(image_id, rows.get(image_id, ()), geometries, size)
            if training and here:
                outlines = tuple(source.outline for source in here if source.outline is not None)
                here.append(
                    WindowSource(kind=OUTSIDE, image_id=image_id, others=outlines, size=size)
                )
            elif training and is_negative:
                here.append(WindowSource(kind=NEGATIVE, image_id=image_id, size=size))
            sources += here
            samples += [_one_image(breast, place, source, label) for source in here]
    return samples, sources


def window_sources_of_exam(
    pixels: ExamPixels, findings: Sequence[Finding]
) -> tuple[list[Sample], list[WindowSource]]:
    """Sources of the findings named on an exam; none for an image that was not read."""
    samples: list[Sample] = []
    sources: list[WindowSource] = []
    exam = pixels.sample
    for finding in findings:
        for region in finding.regions:
            if region.image_id not in pixels:
                continue
            box, points = region.box, [v for point in region.polygon or () for v in point]
            row = {"polygon": points, "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1}
            outline = outline_of(row, pixels.geometry(region.image_id))
            if outline is None:
                continue
            place, size = exam.images.index(region.image_id), pixels.size(region.image_id)
            sources.append(
                WindowSource(
                    kind=UNKNOWN,
                    image_id=region.image_id,
                    finding_id=finding.finding_id,
                    outline=outline,
                    size=size,
                )
            )
            samples.append(_of_image(exam, place, findings=(finding.finding_id,), targets={}))
    return samples, sources


def _sources_of_findings(
    image_id: str,
    rows: Sequence[Mapping[str, Any]],
    geometries: Mapping[str, Geometry],
    size: Size,
) -> list[WindowSource]:
    outlines = [(row, outline_of(row, geometries[image_id])) for row in rows]
    seen = [(row, outline) for row, outline in outlines if outline is not None]
    return [
        WindowSource(
            kind=MALIGNANT if row["malignant"] == 1 else BENIGN,
            image_id=image_id,
            finding_id=row["finding_id"],
            outline=outline,
            others=tuple(a for r, a in seen if r["malignant"] != row["malignant"]),
            size=size,
        )
        for row, outline in seen
    ]


def _geometries(store: Store, images: set[str]) -> dict[str, Geometry]:
    table = store.table.filter(pl.col("image_id").is_in(list(images)))
    return {
        image_id: Geometry.from_json(json.loads(text))
        for image_id, text in table.select("image_id", "geometry").iter_rows()
    }


def _one_image(breast: Sample, place: int, source: WindowSource, label: str) -> Sample:
    value = target_of(source.kind)
    side = breast.slots[place] % len(SIDES)
    targets = {label: (value, NO_TARGET) if side == 0 else (NO_TARGET, value)}
    findings = (source.finding_id,) if source.outline is not None else ()
    return _of_image(breast, place, findings=findings, targets=targets)


def _of_image(
    sample: Sample,
    place: int,
    *,
    findings: tuple[str, ...],
    targets: Mapping[str, tuple[float, float]],
) -> Sample:
    """One image of a sample, as a sample of its own."""
    return replace(
        sample,
        images=(sample.images[place],),
        slots=(sample.slots[place],),
        ranks=(sample.ranks[place],),
        findings=findings,
        targets=targets,
    )
