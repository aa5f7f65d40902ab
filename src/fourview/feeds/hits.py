"""Which regions of an image hit a finding whose nature is known, by Cls-Det-RS's own rule."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float, Num

from fourview.entities import Manifest
from fourview.geometry import Box
from fourview.manifest.image_labels import LABELS
from fourview.store.store import Store

AT_LEAST = 0.5  # intersection over the smaller area
NATURE = {"cancer": 1, "benign": 0}  # of a finding, as its column ``malignant`` has it
BOX = ("x0", "y0", "x1", "y1")
Findings = Sequence[tuple[Box, int | None]]  # box, and ``malignant``


def boxed_findings(manifest: Manifest, store: Store) -> Mapping[str, Findings]:
    """By image, its findings with a box in the stored frame, as boxes in processed pixels."""
    known = manifest.findings.filter(
        pl.all_horizontal(pl.col(c).is_not_null() for c in ("image_id", *BOX))
        & pl.col("frame").eq("stored").fill_null(True)
    )
    findings: dict[str, list[tuple[Box, int | None]]] = {}
    for image_id, malignant, *corners in known.select("image_id", "malignant", *BOX).iter_rows():
        if image_id in store:
            box = store.geometry(image_id).box_to_processed(Box(*corners))
            findings.setdefault(image_id, []).append((box, malignant))
    return findings


def region_hits(
    boxes: Num[np.ndarray, "region 4"], findings: Findings
) -> Float[np.ndarray, "label region"]:
    """For each of LABELS, 1 where a region hits a finding of that nature, else 0.

    NaN where a region hits no finding of the nature, but one whose nature is unknown.

    Args:
        boxes: x0 y0 x1 y1 of the regions, in the frame of the findings.
        findings: Of the image.
    """
    x0, y0, x1, y1 = boxes.T.astype(np.float64)
    area = (x1 - x0) * (y1 - y0)
    hits = np.zeros((len(LABELS), len(boxes)))
    unknown = np.zeros(len(boxes), dtype=bool)
    for box, malignant in findings:
        wide = np.minimum(x1, box.x1) - np.maximum(x0, box.x0)
        high = np.minimum(y1, box.y1) - np.maximum(y0, box.y0)
        shared = wide.clip(min=0) * high.clip(min=0)
        hit = shared / np.minimum(area, box.area) >= AT_LEAST
        if malignant is None:
            unknown |= hit
        for row, label in enumerate(LABELS):
            if malignant == NATURE[label]:
                hits[row, hit] = 1
    hits[(hits == 0) & unknown] = np.nan
    return hits
