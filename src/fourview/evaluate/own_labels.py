"""A predictions table that brings its own labels, measured without a manifest.

The meta-repository's image files do (``malignant_label``), and any table with a column ``label`` of
0 and 1 beside its scores. What a table does not say stays unknown: views, so that no breast is made
of images by view; and patients, where each unit is then taken for another one's, as a note says.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from fourview.entities import (
    BREASTS_SCHEMA,
    EXAMS_SCHEMA,
    FINDINGS_SCHEMA,
    IMAGES_SCHEMA,
    Manifest,
)
from fourview.errors import EvaluationError
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.table import ROWS_OF, check_rows, completed, name_rows

LABELS = ("cancer", "malignant")  # rules that a yes or no answers
SOURCE = "labels of the predictions table"


def manifest_of_labels(
    predictions: pl.DataFrame, protocol: Protocol
) -> tuple[Manifest, tuple[str, ...]]:
    """What a table says of its own units, as a manifest; and notes on what it does not say.

    Raises:
        EvaluationError: It brings no labels, or not those that the protocol asks for.
    """
    table = completed(predictions)
    check_rows(table)
    unit = ROWS_OF.get(protocol.unit, protocol.unit)
    rows = table.filter((pl.col("unit") == unit) & pl.col("class").is_in(protocol.classes))
    _require_labels(table, rows, protocol)
    rows = rows.with_columns(
        exam_id=pl.coalesce("exam_id", "image_id", "finding_id"), cancer=pl.col("label")
    )
    nameless = int(rows["patient_id"].null_count())
    rows = rows.with_columns(patient_id=pl.coalesce("patient_id", "exam_id"))
    tables = {
        "images": rows.filter(unit == "image").unique("image_id", maintain_order=True),
        "breasts": rows.filter(unit == "breast").unique(["exam_id", "side"], maintain_order=True),
        "exams": rows.unique("exam_id", maintain_order=True),
        "findings": rows.filter(unit == "finding").with_columns(malignant="cancer"),
    }
    if unit == "exam":  # an exam's label is made of its breasts'
        tables["breasts"] = rows.with_columns(side=pl.lit("R"))
    manifest = Manifest(
        images=_typed(tables["images"], IMAGES_SCHEMA, ("cancer",)),
        breasts=_typed(tables["breasts"], BREASTS_SCHEMA),
        exams=_typed(tables["exams"], EXAMS_SCHEMA),
        findings=_typed(tables["findings"], FINDINGS_SCHEMA),
        source=SOURCE,
        root="",
        terms="unknown: the table does not say whose its data are",
        label_rules={"cancer": "the table's column label", "malignant": "the table's column label"},
    )
    notes = [f"labels are the table's own; nothing else is known of its {protocol.unit}s"]
    if nameless:
        notes.append(f"{nameless:,} rows name no patient: each is taken for another one's")
    return manifest, tuple(notes)


def _require_labels(table: pl.DataFrame, rows: pl.DataFrame, protocol: Protocol) -> None:
    needs = f"{protocol.name}: needs --manifest"
    if protocol.label not in LABELS or not protocol.is_binary:
        raise EvaluationError(f"{needs}: its labels ({protocol.label}) are no yes or no of a table")
    if "label" not in table.columns or table["label"].is_null().all():
        raise EvaluationError(
            f"{needs}, or a table with a column 'label' (or the meta-repository's malignant_label)"
        )
    if rows.is_empty() or rows["label"].is_null().all():
        there = ", ".join(table["unit"].unique(maintain_order=True).to_list())
        raise EvaluationError(
            f"{needs}: the table has labels of unit {there}, the protocol measures {protocol.unit}s"
        )
    odd = rows.filter(pl.col("label").is_not_null() & ~pl.col("label").is_in([0.0, 1.0]))
    if len(odd):
        raise EvaluationError(
            f"predictions: {len(odd):,} rows have a label that is neither 0 nor 1:"
            f" {name_rows(odd, ['image_id', 'exam_id', 'side', 'label'])}"
        )


def _typed(
    rows: pl.DataFrame, schema: Mapping[str, Any], own: tuple[str, ...] = ()
) -> pl.DataFrame:
    """The schema's columns, null where the table has none, and some of the table's own."""
    columns = {
        name: pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype)
        for name, dtype in schema.items()
    }
    return rows.select(**columns, **{name: pl.col(name).cast(pl.Int8) for name in own})
