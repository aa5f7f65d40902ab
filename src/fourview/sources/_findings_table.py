"""findings.csv beside a table or list of images: one row per region, joined to its image.

Columns: image_id, and x0, y0, x1, y1 or polygon, in pixels of the stored image; finding_id, which
         joins the regions of one finding, kind and malignant (1, 0, or blank) where they are known;
         any more, which are kept as texts, but ``birads``, which is a number.
Polygon: its points one after the other, as people write them: "x y x y x y", "(x, y), (x, y), ..."
         or "[[x, y], ...]". Without a box the box is around it.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fourview.errors import ManifestError
from fourview.sources._shapes import region_of
from fourview.sources._tables import read_any_table, read_table, require_values, with_numbers

FINDINGS_FILE = "findings.csv"
BOX = ("x0", "y0", "x1", "y1")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
BETWEEN = re.compile(r"(?:POLYGON)?[\s,;:()\[\]{}]*", re.IGNORECASE)
WHOSE = ("image_id", "patient_id", "exam_id", "side")
LEAST_POINTS = 3


def read_findings_table(path: Path, images: pl.DataFrame) -> pl.DataFrame | None:
    """Regions on images of a data set; None where there is no such file.

    Args:
        path: The table.
        images: image_id, patient_id, exam_id and side of every image.

    Raises:
        ManifestError: A column is missing, an image is not known, or a row has half a region.
    """
    if not path.is_file():
        return None
    names = [" ".join(name.split()) for name in read_any_table(path).columns]
    needed = ("image_id",) if "polygon" in names else ("image_id", *BOX)
    known = (*BOX, "polygon", "finding_id", "kind", "malignant", "birads")
    others = [n for n in names if n not in (*needed, *known, *WHOSE, "frame", "")]
    optional = [name for name in (*known, *others) if name not in needed]
    rows = read_table(path, needed, optional=optional)
    rows = with_numbers(rows, BOX, path)
    rows = with_numbers(rows, ("malignant", "birads"), path, whole=True)
    require_values(rows, "image_id", images["image_id"].to_list(), path)
    rows = _with_polygons(rows, path)
    number = pl.int_range(1, pl.len() + 1).over("image_id")
    joined = rows.join(images.select(WHOSE), on="image_id", how="left", maintain_order="left")
    unsaid = [name for name in ("birads",) if joined[name].is_null().all()]
    return joined.with_columns(
        finding_id=pl.coalesce("finding_id", pl.format("{}-{}", "image_id", number)),
        frame=pl.when(pl.col("x0").is_not_null()).then(pl.lit("stored")),
    ).drop("row", *unsaid)


def _with_polygons(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    """``polygon`` as numbers, and the box around it where none is given."""
    regions: list[dict[str, Any]] = []
    for row in rows.select("row", "polygon", *BOX).iter_rows(named=True):
        number, text, *box = row.values()
        try:
            region = region_of(_points(text)) if text else {"polygon": None}
        except ValueError as error:
            raise ManifestError(
                f"{path}:{number}: polygon '{text[:40]}' {error}; need x y pairs of three points"
            ) from None
        if any(value is not None for value in box) or not text:
            region |= dict(zip(BOX, box, strict=True))
        regions.append(region)
    schema: dict[str, Any] = {**dict.fromkeys(BOX, pl.Float64), "polygon": pl.List(pl.Float64)}
    return rows.with_columns(pl.DataFrame(regions, schema))


def _points(text: str) -> np.ndarray:
    """Points (x, y) that a text lists.

    Raises:
        ValueError: It holds anything but numbers between marks, or no whole points.
    """
    if not all(BETWEEN.fullmatch(part) for part in NUMBER.split(text)):
        raise ValueError("holds more than numbers")
    numbers = [float(word) for word in NUMBER.findall(text)]
    if len(numbers) % 2 or len(numbers) < 2 * LEAST_POINTS:
        raise ValueError(f"has {len(numbers)} numbers")
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)
