"""Subgroups: the protocol's first metric among units that share a value of a manifest column."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl

from fourview.entities import GroupResult, Manifest, Metric
from fourview.errors import EvaluationError
from fourview.evaluate.interval import interval
from fourview.evaluate.metrics import columns_of
from fourview.evaluate.protocols import Protocol
from fourview.evaluate.resample import Resampling
from fourview.evaluate.units import Units
from fourview.suggest import did_you_mean

DEFAULT_GROUPS = ("density", "age", "vendor", "view", "finding_kind", "finding_size")
OF_FINDINGS = ("finding_kind", "finding_size")
FEW = 20  # positives or negatives below which a group is marked
MAX_VALUES = 30  # of a column; more is no grouping
_AGES = (40, 50, 60, 70)
_SIZES_MM = (10, 20, 50)


def group_results(
    units: Units,
    manifest: Manifest,
    protocol: Protocol,
    columns: Sequence[str],
    resampling: Resampling,
) -> tuple[tuple[GroupResult, ...], tuple[str, ...]]:
    """Measure every group of every column that the manifest knows.

    Columns of findings (kind, size) group positive units by their findings; each such group is set
    against *all* negative units, which have no findings to go by.

    Raises:
        EvaluationError: A column that was asked for by name is in no table of the manifest.
    """
    results: list[GroupResult] = []
    notes: list[str] = []
    for column in columns:
        values = _values(units.frame, manifest, column)
        if values is None:
            if column not in DEFAULT_GROUPS:
                raise EvaluationError(
                    f"manifest: no column '{column}' to group by;"
                    f" {did_you_mean(column, _columns(manifest))}images have"
                    f" {', '.join(manifest.images.columns)}; breasts"
                    f" {', '.join(manifest.breasts.columns)}; exams"
                    f" {', '.join(manifest.exams.columns)}"
                )
            continue
        names = values["value"].drop_nulls().unique().to_list()
        # "below 40" stands before "40 to 49"
        ordered = sorted(names, key=lambda name: (not name.startswith("below "), name))
        if len(ordered) > MAX_VALUES:
            notes.append(f"no groups by {column}: it has {len(ordered)} values")
            continue
        whole_table = (
            column in OF_FINDINGS and "finding" not in protocol.unit and protocol.is_binary
        )
        for value in ordered:
            rows = values.filter(pl.col("value") == value)["index"].unique().sort().to_numpy()
            keep = np.zeros(len(units.frame), dtype=bool)
            keep[rows] = True
            if whole_table:
                keep = (keep & units.positive) | ~units.positive
            results.append(_one_group(column, value, units, keep, protocol, resampling))
    return tuple(results), tuple(notes)


def _one_group(
    column: str,
    value: str,
    units: Units,
    keep: np.ndarray,
    protocol: Protocol,
    resampling: Resampling,
) -> GroupResult:
    part = replace(units, frame=units.frame.filter(keep))
    main = protocol.metrics[0]
    _, cluster = np.unique(resampling.cluster[keep], return_inverse=True)
    drawn = replace(  # numbered anew, so that a replicate draws the group's own clusters alone
        resampling,
        cluster=cluster.astype(np.int32),
        num_clusters=int(cluster.max()) + 1,
    )
    values = columns_of(part, replace(protocol, metrics=(main,)), {}, drawn)[main]
    ends = interval(values[1:], "percentile")
    defined = bool(np.isfinite(values[0]))
    metric = Metric(
        name=main,
        value=float(values[0]) if defined else None,
        low=ends.low if defined else None,
        high=ends.high if defined else None,
        note="" if defined else "a class is absent",
    )
    sizes = np.bincount(part.labels, minlength=part.num_classes)
    few = int(sizes.min()) < FEW
    note = f"few: {' / '.join(f'{n:,}' for n in sizes)} units by class" if few else ""
    num_positive = int(part.positive.sum()) if protocol.is_binary else 0
    return GroupResult(
        column=column,
        value=value,
        num_units=len(part.frame),
        num_positive=num_positive,
        metrics=(metric,),
        note=note,
    )


def _values(frame: pl.DataFrame, manifest: Manifest, column: str) -> pl.DataFrame | None:
    """Index of the unit and ``value`` as text, several rows where a unit has several values."""
    ids = frame.select("exam_id", "side", "image_id", "finding_id", "view").with_row_index("index")
    if column in OF_FINDINGS:
        return _of_findings(ids, manifest, column)
    if column == "view":
        return ids.select("index", value="view") if ids["view"].null_count() == 0 else None
    by_image = ids["image_id"].null_count() == 0 and len(ids)
    tables = [
        (manifest.images, ["image_id"] if by_image else ["exam_id", "side"]),
        (manifest.breasts, ["exam_id", "side"]),
        (manifest.exams, ["exam_id"]),
    ]
    joined: pl.DataFrame | None = None
    for table, keys in tables:
        if column not in table.columns or table[column].null_count() == len(table):
            continue
        if ids.select(pl.any_horizontal(pl.col(k).is_null().all() for k in keys)).item():
            continue
        values = table.select(*keys, value=_as_text(column)).unique(maintain_order=True)
        rows = ids.join(values, on=keys, how="inner").select("index", "value").drop_nulls()
        joined = rows if joined is None else joined
    return joined


def _as_text(column: str) -> pl.Expr:
    if column == "age":
        return _binned(pl.col(column), _AGES, "")
    return pl.col(column).cast(pl.String)


def _binned(values: pl.Expr, cuts: Sequence[int], unit: str) -> pl.Expr:
    labels = [f"below {cuts[0]}{unit}"]
    labels += [f"{a} to {b - 1 if not unit else b}{unit}" for a, b in pairwise(cuts)]
    labels += [f"{cuts[-1]}{unit} and more"]
    text = pl.lit(labels[-1])
    for cut, label in zip(reversed(cuts), reversed(labels[:-1]), strict=True):
        text = pl.when(values < cut).then(pl.lit(label)).otherwise(text)
    return pl.when(values.is_not_null()).then(text)


def _of_findings(ids: pl.DataFrame, manifest: Manifest, column: str) -> pl.DataFrame | None:
    findings = manifest.findings
    if column == "finding_kind":
        findings = findings.with_columns(value="kind")
    else:
        longest = pl.max_horizontal(pl.col("x1") - pl.col("x0"), pl.col("y1") - pl.col("y0"))
        spacing = manifest.images.select("image_id", "spacing_mm")
        findings = findings.join(spacing, on="image_id", how="left").with_columns(
            value=_binned(longest * pl.col("spacing_mm"), _SIZES_MM, " mm")
        )
    findings = findings.filter(pl.col("value").is_not_null())
    if len(findings) == 0:
        return None
    for keys in (["finding_id"], ["image_id"], ["exam_id", "side"]):
        if ids.select(pl.all_horizontal(pl.col(k).is_not_null().all() for k in keys)).item():
            rows = findings.select(*keys, "value").unique(maintain_order=True)
            return ids.join(rows, on=keys, how="inner").select("index", "value")
    return None


def _columns(manifest: Manifest) -> list[str]:
    tables = (manifest.images, manifest.breasts, manifest.exams)
    return [name for table in tables for name in table.columns]
