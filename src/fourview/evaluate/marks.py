"""Which marks, findings and images of a data set a protocol's FROC rule is about."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from fourview.entities import Curve, Manifest
from fourview.evaluate.froc import (
    FrocTable,
    froc_curve,
    froc_statistic,
    match_marks,
    recall_columns,
)
from fourview.evaluate.measure import Columns, at_threshold
from fourview.evaluate.operating import choose_threshold
from fourview.evaluate.protocols import FrocRule, Protocol
from fourview.evaluate.resample import Resampling, bootstrap
from fourview.evaluate.units import Units
from fourview.manifest.image_labels import NATURES

_PREFIX, _SUFFIX = "froc_sensitivity_at_", "_fp"


def marks_and_columns(
    predictions: pl.DataFrame,
    manifest: Manifest,
    units: Units,
    protocol: Protocol,
    thresholds: Mapping[str, float],
    resampling: Resampling,
) -> tuple[Columns, tuple[Curve, ...], tuple[str, ...]]:
    """FROC metrics, the curve and notes; nothing where the table has no boxes or nothing to find.

    Images that count are those of the measured units; for a rule of true positives those positive
    images whose score reaches the rule's sensitivity on this very table, which a note says.
    """
    matched, notes = matched_marks(predictions, manifest, units, protocol, resampling)
    if matched is None:
        return {}, (), notes
    table = matched.table
    if len(table.targets) == 0:
        return {}, (), (*notes, "nothing to be found has a box: nothing is said of localisation")
    columns = _columns(table, matched.images, protocol, thresholds, resampling)
    return columns, (froc_curve(table),), notes


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedMarks:
    """What a protocol's FROC rule is about in a data set, and which marks met which findings.

    Attributes:
        marks: image_id, box and score of every mark.
        findings: Whose frame is known.
        images: image_id and cluster of the images that count.
        table: Targets and false marks.
    """

    marks: pl.DataFrame
    findings: pl.DataFrame
    images: pl.DataFrame
    table: FrocTable


def matched_marks(
    predictions: pl.DataFrame,
    manifest: Manifest,
    units: Units,
    protocol: Protocol,
    resampling: Resampling,
) -> tuple[MatchedMarks | None, tuple[str, ...]]:
    """Match the marks of a table with the findings of a manifest by a protocol's rule.

    Returns:
        What was matched, None where the protocol has no such rule or the table no boxes; and notes.
    """
    if protocol.froc is None:
        return None, ()
    marks = _marks(predictions, protocol)
    if len(marks) == 0:
        return None, ("no boxes in the predictions: nothing is said of localisation",)
    findings = manifest.findings
    usable = findings.filter(pl.col("frame").eq("stored").fill_null(True))
    notes = []
    nature = manifest.label_rules.get("malignant", "")
    if any(rule in nature for rule in NATURES.values()):
        notes.append(f"nature of findings: {nature}")
    if len(usable) < len(findings):
        notes.append(f"{len(findings) - len(usable):,} findings left out: their frame is unknown")
    images = _images(manifest, units, protocol.froc, resampling)
    if protocol.froc.images == "true_positives":
        notes.append(
            f"marks are counted on {len(images):,} positive images called positive at a"
            f" sensitivity of {protocol.froc.image_sensitivity}, chosen on this table"
        )
    table = match_marks(marks, usable, images, protocol.froc)
    if table.num_ignored:
        notes.append(f"{table.num_ignored:,} marks ignored: on findings of unknown nature")
    matched = MatchedMarks(marks=marks, findings=usable, images=images, table=table)
    return matched, tuple(notes)


def _marks(predictions: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """Scored regions, else boxes of proposed findings; the largest score of a box's classes."""
    rows = predictions.filter(pl.col("class").is_in(protocol.classes) & pl.col("x0").is_not_null())
    regions = rows.filter(pl.col("unit") == "region")
    rows = regions if len(regions) else rows.filter(pl.col("unit") == "finding")
    if len(protocol.classes) == 1:
        return rows
    box = ["image_id", "x0", "y0", "x1", "y1"]
    return rows.group_by(box, maintain_order=True).agg(pl.col("score").max())


def _images(
    manifest: Manifest, units: Units, rule: FrocRule, resampling: Resampling
) -> pl.DataFrame:
    """image_id and cluster of the images that count."""
    frame = units.frame.select(
        "exam_id", "side", "image_id", "score", "label", cluster=resampling.cluster
    )
    on_images = frame["image_id"].null_count() == 0
    if rule.images == "true_positives" and on_images:
        cut = choose_threshold(
            units.scores, units.positive, f"sensitivity-{rule.image_sensitivity}"
        )
        called = pl.col("score") >= (np.inf if cut is None else cut)
        frame = frame.filter((pl.col("label") == 1) & called)
    if on_images:
        return frame.select("image_id", "cluster")
    known = manifest.images.filter(pl.col("left_out").is_null())
    keys = ["exam_id", "side"]
    breasts = frame.unique(keys, maintain_order=True).select(*keys, "cluster")
    return known.join(breasts, on=keys, how="inner", maintain_order="left").select(
        "image_id", "cluster"
    )


def _columns(
    table: FrocTable,
    images: pl.DataFrame,
    protocol: Protocol,
    thresholds: Mapping[str, float],
    resampling: Resampling,
) -> Columns:
    clusters = images.unique("image_id", maintain_order=True)
    names = [m for m in protocol.metrics if m.startswith(_PREFIX)]
    rates = tuple(float(m.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for m in names)
    rows = bootstrap(froc_statistic(table, clusters, rates), resampling)
    out = {name: rows[:, i] for i, name in enumerate(names)}
    if "localisation_recall" in protocol.metrics and thresholds:
        recall = recall_columns(table, clusters, thresholds, resampling)
        out |= {
            at_threshold("localisation_recall", name): values for name, values in recall.items()
        }
    return out
