"""What a manifest holds, on one page: ages, vendors, densities, sizes, labels, by split."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import fourview
from fourview.disk import write_text
from fourview.entities import Manifest
from fourview.manifest.check import Problem, label_counts
from fourview.manifest.manifest import images_with_labels
from fourview.report.page import render

NO_SPLIT = "no split"
MOST_VALUES = 12  # bars of a chart; the rest is put together
UNKNOWN = "unknown"
AGE_STEP = 10.0


def write_manifest_page(manifest: Manifest, problems: list[Problem], out: Path) -> None:
    """Write the page.

    Args:
        manifest: Need not be valid.
        problems: Those that ``check_folder`` reports.
        out: The HTML file.
    """
    images = images_with_labels(manifest).with_columns(split=pl.col("split").fill_null(NO_SPLIT))
    splits = sorted(images["split"].unique().to_list(), key=_split_order)
    breasts = images.unique(["exam_id", "side"], maintain_order=True)
    exams = images.unique("exam_id", maintain_order=True)
    charts = [
        _chart("Age of the patient, by exam", _ages(exams), exams["split"], splits),
        _chart("Density, by breast", _words(breasts, "density"), breasts["split"], splits),
        _chart("Cancer, by breast", _yes_no(breasts, "cancer"), breasts["split"], splits),
        _chart("BI-RADS, by breast", _words(breasts, "birads"), breasts["split"], splits),
        _chart("Vendor, by image", _words(images, "vendor"), images["split"], splits),
        _chart("View, by image", _words(images, "view"), images["split"], splits),
        _chart("Kind of image", _words(images, "kind"), images["split"], splits),
        _chart("Rows and columns of the files", _sizes(images), images["split"], splits),
        _chart("Pixel spacing, mm", _spacings(images), images["split"], splits),
        _chart("Images per exam", _per_exam(images, exams), exams["split"], splits),
    ]
    left_out = manifest.images.filter(pl.col("left_out").is_not_null())
    page = render(
        "manifest",
        {
            "title": f"{manifest.source}: what the manifest holds",
            "manifest": manifest,
            "counts": _counts(manifest),
            "problems": problems,
            "splits": splits,
            "charts": [chart for chart in charts if chart is not None],
            "left_out": left_out.group_by("left_out").len().sort("len", descending=True).rows(),
            "findings": _findings(manifest),
            "software": f"fourview {fourview.__version__}",
        },
    )
    write_text(out, page)


def _counts(manifest: Manifest) -> list[dict[str, Any]]:
    rows = label_counts(manifest).with_columns(split=pl.col("split").fill_null(NO_SPLIT)).to_dicts()
    return sorted(rows, key=lambda row: _split_order(row["split"]))


def _split_order(split: str) -> tuple[int, str]:
    known = ("train", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def _chart(
    title: str, values: pl.Series, of: pl.Series, splits: list[str]
) -> dict[str, Any] | None:
    """Shares of each value within each split; None where nothing is known at all."""
    known = [value for value in values.unique().to_list() if value != UNKNOWN]
    if not known:
        return None
    if len(known) > MOST_VALUES:
        common = values.filter(values != UNKNOWN).value_counts(sort=True)[values.name]
        known = common.head(MOST_VALUES - 1).to_list()
        values = pl.Series(
            values.name, [v if v in {*known, UNKNOWN} else "others" for v in values.to_list()]
        )
        known = [*sorted(known, key=_order), "others"]
    else:
        known = sorted(known, key=_order)
    if (values == UNKNOWN).any():
        known.append(UNKNOWN)
    table = pl.DataFrame({"value": values, "split": of})
    counts = {
        (value, split): number
        for value, split, number in table.group_by("value", "split").len().iter_rows()
    }
    totals = {split: max(1, int((of == split).sum())) for split in splits}
    rows = [
        {
            "value": value,
            "bars": [
                {
                    "split": split,
                    "number": counts.get((value, split), 0),
                    "share": counts.get((value, split), 0) / totals[split],
                }
                for split in splits
            ],
        }
        for value in known
    ]
    top = max(bar["share"] for row in rows for bar in row["bars"])
    return {"title": title, "rows": rows, "top": top or 1.0}


def _order(value: str) -> tuple[float, str]:
    """Numbers by value, at the start of a word too; then words."""
    head = value.replace("-", " ").split(" ")[0]
    try:
        return float(head), value
    except ValueError:
        return float("inf"), value


def _words(frame: pl.DataFrame, column: str) -> pl.Series:
    if column not in frame.columns:
        return pl.Series(column, [UNKNOWN] * len(frame))
    return frame[column].cast(pl.String).fill_null(UNKNOWN)


def _yes_no(frame: pl.DataFrame, column: str) -> pl.Series:
    names = {1: "yes", 0: "no"}
    return pl.Series(column, [names.get(value, UNKNOWN) for value in frame[column].to_list()])


def _ages(exams: pl.DataFrame) -> pl.Series:
    def words(age: float | None) -> str:
        if age is None or not np.isfinite(age):
            return UNKNOWN
        low = int(age // AGE_STEP * AGE_STEP)
        return f"{low} to {low + int(AGE_STEP) - 1}"

    return pl.Series("age", [words(age) for age in exams["age"].to_list()])


def _sizes(images: pl.DataFrame) -> pl.Series:
    pairs = images.select("rows", "cols").iter_rows()
    return pl.Series("size", [UNKNOWN if None in (r, c) else f"{r} x {c}" for r, c in pairs])


def _spacings(images: pl.DataFrame) -> pl.Series:
    values = images["spacing_mm"].to_list()
    return pl.Series("spacing", [UNKNOWN if v is None else f"{v:.3f}" for v in values])


def _per_exam(images: pl.DataFrame, exams: pl.DataFrame) -> pl.Series:
    numbers = dict(images.group_by("exam_id").len().iter_rows())
    return pl.Series("images", [str(numbers[exam]) for exam in exams["exam_id"]])


def _findings(manifest: Manifest) -> list[tuple[str, int, int]]:
    """Kind, findings and regions, most first."""
    rows = manifest.findings.with_columns(kind=pl.col("kind").fill_null(UNKNOWN))
    return (
        rows.group_by("kind")
        .agg(findings=pl.col("finding_id").n_unique(), regions=pl.col("x0").count())
        .sort("findings", "kind", descending=[True, False])
        .rows()
    )
