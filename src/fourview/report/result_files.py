"""Result -> result.json, metrics.csv, unmatched.csv, operating_points.json and report.html."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

import fourview
from fourview.disk import write_table, write_text
from fourview.entities import Curve, Metric, Result
from fourview.evaluate.operating import write_thresholds
from fourview.evaluate.protocols import known_protocol
from fourview.report.exam_json import RESEARCH_USE
from fourview.report.result_html import result_to_html
from fourview.run_files import OPERATING_POINTS

_TABLE = {
    "protocol": pl.String,
    "group": pl.String,
    "value_of_group": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "num_units": pl.Int64,
    "num_positive": pl.Int64,
    "note": pl.String,
}


def write_result(result: Result, out: Path | str) -> tuple[Path, ...]:
    """Write everything about a result into ``out``; files of the same names are replaced.

    ``operating_points.json`` holds the thresholds that this table suggests for other tables; it is
    written only where the protocol chooses some.
    """
    out = Path(out)
    text = json.dumps(result_to_json(result), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(out / "result.json", text + "\n")
    write_table(result_to_table(result), out / "metrics.csv")
    written = ["result.json", "metrics.csv", "report.html"]
    write_text(out / "report.html", result_to_html(result))
    if result.unmatched is not None:
        write_table(result.unmatched, out / "unmatched.csv")
        written.append("unmatched.csv")
    if result.chosen:
        about = {"protocol": result.protocol} | {
            k: result.provenance[k]
            for k in ("split", "manifest_hash", "scores_digest", "model_digest")
            if k in result.provenance
        }
        write_thresholds(out / OPERATING_POINTS, result.chosen, about)
        written.append(OPERATING_POINTS)
    return tuple(out / name for name in written)


def result_to_table(result: Result) -> pl.DataFrame:
    """One row per metric, of the whole table first and then of every group."""
    rows = [_row(result, m, "", "", result.num_units, result.num_positive) for m in result.metrics]
    for group in result.groups:
        for m in group.metrics:
            row = _row(result, m, group.column, group.value, group.num_units, group.num_positive)
            row["note"] = "; ".join(n for n in (m.note, group.note) if n)
            rows.append(row)
    return pl.DataFrame(rows, schema=_TABLE)


def result_to_json(result: Result) -> dict[str, Any]:
    """Plain containers; what is undefined or infinite is null. Unmatched rows are counted only."""
    protocol = known_protocol(result.protocol)
    unmatched = 0 if result.unmatched is None else len(result.unmatched)
    return {
        "software": f"fourview {fourview.__version__}",
        "use": RESEARCH_USE,
        "protocol": {"name": result.protocol} if protocol is None else asdict(protocol),
        "unit": result.unit,
        "num_units": result.num_units,
        "num_positive": result.num_positive,
        "num_unmatched": unmatched,
        "interval": result.interval,
        "metrics": [_metric(m) for m in result.metrics],
        "groups": [
            asdict(group) | {"metrics": [_metric(m) for m in group.metrics]}
            for group in result.groups
        ],
        "thresholds": dict(result.thresholds),
        "chosen_for_other_tables": dict(result.chosen),
        "notes": list(result.notes),
        "provenance": dict(result.provenance),
        "published": [asdict(number) for number in result.published],
        "curves": [_curve(curve) for curve in result.curves],
        "worst": [] if result.worst is None else _rows_of(result.worst),
    }


def _rows_of(table: pl.DataFrame) -> list[dict[str, Any]]:
    return [{k: _finite(v) for k, v in row.items()} for row in table.iter_rows(named=True)]


def _row(
    result: Result, metric: Metric, group: str, value: str, num_units: int, num_positive: int
) -> dict[str, Any]:
    return {
        "protocol": result.protocol,
        "group": group,
        "value_of_group": value,
        "metric": metric.name,
        "value": metric.value,
        "low": metric.low,
        "high": metric.high,
        "num_units": num_units,
        "num_positive": num_positive,
        "note": metric.note,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {k: _finite(v) for k, v in asdict(metric).items()}


def _curve(curve: Curve) -> dict[str, Any]:
    plain = {"name": curve.name, "x_label": curve.x_label, "y_label": curve.y_label}
    arrays = {"x": curve.x, "y": curve.y, "low": curve.low, "high": curve.high}
    return plain | {k: _numbers(v) for k, v in arrays.items() if v is not None}


def _numbers(values: Float[np.ndarray, " point"]) -> list[float | None]:
    return [_finite(round(float(v), 6)) for v in values]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
