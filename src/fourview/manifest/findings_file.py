"""Findings that somebody names for an exam: a CSV or Parquet table, or a manifest -> Findings.

Columns: image_id (SOP Instance UID) and a box x0, y0, x1, y1 in pixels of the file, or a polygon
         (x y x y ..., in a CSV separated by blanks). Also finding_id, which joins the rows of one
         finding; side (R, L), which the image's own replaces; kind; malignant (1, 0 or empty).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fourview.entities import Exam, Finding, Region
from fourview.errors import ManifestError
from fourview.geometry import Box
from fourview.manifest.manifest import read_manifest
from fourview.manifest.table_text import read_text_table

BOX = ("x0", "y0", "x1", "y1")
Row = Mapping[str, Any]


def read_findings(path: Path) -> list[dict[str, Any]]:
    """The rows of a findings file, or of a manifest's findings that have an image.

    Raises:
        ManifestError: It cannot be read, a column is missing, or a row has no usable region.
    """
    table = _read(path)
    needed = ("image_id",) if "polygon" in table.columns else ("image_id", *BOX)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise ManifestError(
            f"{path}: no column '{missing[0]}'; need image_id and x0, y0, x1, y1 or polygon"
        )
    return rows_of_findings(table, path)


def rows_of_findings(table: pl.DataFrame, source: Path | str = "findings") -> list[dict[str, Any]]:
    """The rows of a table of findings that have an image, each with its ``region``.

    Args:
        table: With image_id, and x0, y0, x1, y1 or polygon.
        source: Names the table where a row has no usable region.

    Raises:
        ManifestError: A row has no usable region.
    """
    rows = []
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        if row["image_id"] is None:
            continue
        try:
            region = _region(row)
        except (TypeError, ValueError) as error:
            raise ManifestError(f"{source}:{number}: no region ({error}); need a box") from None
        name = row.get("finding_id") or f"finding-{number - 1}"
        rows.append({**row, "finding_id": str(name), "region": region})
    return rows


def findings_of(exam: Exam, rows: Sequence[Row], *, source: str) -> tuple[Finding, ...]:
    """The findings whose images the exam has, in the order of the rows.

    Args:
        exam: Its images say which breast a finding is of.
        rows: From ``read_findings``.
        source: What the findings say of where they are from.

    Raises:
        ManifestError: A finding has regions in both breasts.
    """
    sides = {image.image_id: image.view.side for image in exam.images}
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        if row["image_id"] in sides:
            by_name.setdefault(row["finding_id"], []).append(row)
    findings = []
    for name, own in by_name.items():
        side = {sides[row["image_id"]] for row in own}
        if len(side) > 1:
            raise ManifestError(f"finding '{name}' is in both breasts; give it a name in each")
        known = {row.get("malignant") for row in own} - {None}
        findings.append(
            Finding(
                finding_id=name,
                side=side.pop(),
                regions=tuple(row["region"] for row in own),
                kind=str(own[0].get("kind") or "finding"),
                malignant=bool(known.pop()) if len(known) == 1 else None,
                source=source,
            )
        )
    return tuple(findings)


def _read(path: Path) -> pl.DataFrame:
    if path.is_dir():
        return read_manifest(path).findings.filter(pl.col("image_id").is_not_null())
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        table = read_text_table(path)
        for name in (n for n in (*BOX, "malignant") if n in table.columns):
            point = pl.col(name).str.replace(r"^\s*([-+]?\d*),(\d+)\s*$", "$1.$2")
            table = table.with_columns(point.cast(pl.Float64))
        if "malignant" in table.columns:
            table = table.with_columns(pl.col("malignant").cast(pl.Int64))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(
            f"{path}: cannot be read as findings ({reason}); need CSV, Parquet or a manifest"
        ) from None
    else:
        return table


def _region(row: Row) -> Region:
    polygon = row.get("polygon")
    if isinstance(polygon, str):
        polygon = [float(word) for word in polygon.split()]
    if polygon:
        points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
        corners = tuple((float(x), float(y)) for x, y in points)
        return Region(image_id=row["image_id"], box=Box.around(points), polygon=corners)
    return Region(image_id=row["image_id"], box=Box(*(float(row[name]) for name in BOX)))
