"""Reproduction -> table.json, table.csv and table.html."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

import fourview
from fourview.disk import write_table, write_text
from fourview.report.exam_json import RESEARCH_USE
from fourview.report.table_html import NOT_RUN, reproduction_to_html
from fourview.report.table_published import Reproduction, TableColumn, TableRow, deviation_of

_CSV = {
    "method": pl.String,
    "setting": pl.String,
    "protocol": pl.String,
    "dataset": pl.String,
    "metric": pl.String,
    "task": pl.String,
    "view": pl.String,
    "published": pl.Float64,
    "published_low": pl.Float64,
    "published_high": pl.Float64,
    "published_deviation": pl.Float64,
    "ours": pl.Float64,
    "ours_low": pl.Float64,
    "ours_high": pl.Float64,
    "note": pl.String,
}


def write_reproduction(reproduction: Reproduction, out: Path) -> tuple[Path, ...]:
    """Write a reproduction into ``out``; files of the same names are replaced."""
    document = reproduction_to_json(reproduction)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(out / "table.json", text + "\n")
    write_table(reproduction_to_frame(reproduction), out / "table.csv")
    write_text(out / "table.html", reproduction_to_html(reproduction))
    return tuple(out / name for name in ("table.json", "table.csv", "table.html"))


def reproduction_to_frame(reproduction: Reproduction) -> pl.DataFrame:
    """One row per cell that holds a published number, ours or both; what is absent is null."""
    columns = reproduction.all_columns
    rows = [_cell(reproduction, row, column) for row in reproduction.rows for column in columns]
    has_any = pl.any_horizontal(pl.col("published", "ours").is_not_null()) | (pl.col("note") != "")
    return pl.DataFrame(rows, schema=_CSV).filter(has_any)


def reproduction_to_json(reproduction: Reproduction) -> dict[str, Any]:
    """Plain containers: the table, its rows with their cells, and how ours were measured."""
    table = reproduction.table
    return {
        "software": f"fourview {fourview.__version__}",
        "use": RESEARCH_USE,
        "table": table.name,
        "source": table.source,
        "comparable": reproduction.comparable,
        "on_published_data": reproduction.is_on_published_data,
        "data": reproduction.data,
        "dataset": reproduction.dataset,
        "part": reproduction.part,
        "manifest_hash": reproduction.manifest_hash,
        "columns": [_told(column) for column in reproduction.all_columns],
        "rows": [_row(reproduction, row) for row in reproduction.rows],
        "notes": [*table.remarks, *reproduction.notes],
    }


def _row(reproduction: Reproduction, row: TableRow) -> dict[str, Any]:
    cells = [_cell(reproduction, row, column) for column in reproduction.all_columns]
    results = reproduction.results.get(row.name, {})
    return {
        "name": row.name,
        "method": row.method,
        "setting": row.setting,
        "published": bool(row.published),
        "status": "measured" if results else NOT_RUN,
        "input": reproduction.inputs.get(row.name),
        "measured": {
            protocol: {
                "unit": result.unit,
                "num_units": result.num_units,
                "num_positive": result.num_positive,
                "interval": result.interval,
                "provenance": dict(result.provenance),
            }
            for protocol, result in results.items()
        },
        "cells": [{k: v for k, v in c.items() if k not in ("method", "setting")} for c in cells],
    }


def _told(column: TableColumn) -> dict[str, str]:
    return {**asdict(column), "task": column.task, "view": column.view}


def _cell(reproduction: Reproduction, row: TableRow, column: TableColumn) -> dict[str, Any]:
    number, ours = row.published.get(column), reproduction.ours(row, column)
    deviation = deviation_of(number) if number else ""
    return {
        "method": row.method,
        "setting": row.setting,
        **_told(column),
        "published": number.value if number else None,
        "published_low": number.low if number else None,
        "published_high": number.high if number else None,
        "published_deviation": float(deviation) if deviation else None,
        "ours": ours.value if ours else None,
        "ours_low": ours.low if ours else None,
        "ours_high": ours.high if ours else None,
        "note": ours.note if ours else "",
    }
