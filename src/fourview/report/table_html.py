"""Reproduction -> one self-contained page: the paper's table, theirs and ours in each cell."""

from itertools import groupby
from typing import Any

import fourview
from fourview.entities import Metric, PublishedNumber
from fourview.evaluate.labels import counted
from fourview.evaluate.metrics import label_of
from fourview.evaluate.protocols import known_protocol
from fourview.report.page import render
from fourview.report.result_html import metric_text
from fourview.report.table_published import Reproduction, TableRow, deviation_of

NOT_RUN = "not run"


def reproduction_to_html(reproduction: Reproduction) -> str:
    """The page; nothing on it comes from the network."""
    table = reproduction.table
    columns = reproduction.all_columns
    groups = groupby(columns, key=lambda c: (c.protocol, c.dataset, c.task, c.view))
    values: dict[str, Any] = {
        "title": table.source,
        "table": table,
        "reproduction": reproduction,
        "groups": [
            {"protocol": p, "dataset": d, "task": task, "view": view, "num_columns": len(list(c))}
            for (p, d, task, view), c in groups
        ],
        "metrics": [label_of(c.metric) for c in columns],
        "rows": [_row(reproduction, row) for row in reproduction.rows],
        "has_settings": any(row.setting for row in reproduction.rows),
        "measured": _measured(reproduction),
        "cautions": _cautions(reproduction),
        "notes": [*table.remarks, *reproduction.notes],
        "not_run": NOT_RUN,
        "software": f"fourview {fourview.__version__}",
    }
    return render("table", values)


def published_text(number: PublishedNumber) -> tuple[str, str]:
    """A paper's value, and its interval or deviation where it prints one."""
    value, interval = metric_text(
        Metric(name=number.metric, value=number.value, low=number.low, high=number.high)
    )
    deviation = deviation_of(number)
    return value, interval or (f"± {deviation}" if deviation else "")


def _row(reproduction: Reproduction, row: TableRow) -> dict[str, Any]:
    cells = []
    for column in reproduction.all_columns:
        number, ours = row.published.get(column), reproduction.ours(row, column)
        cells.append(
            {
                "published": published_text(number) if number else None,
                "ours": metric_text(ours) if ours else None,
                "note": ours.note if ours else "",
            }
        )
    return {
        "method": row.method,
        "setting": row.setting,
        "was_run": row.name in reproduction.results,
        "is_new": not row.published,
        "cells": cells,
    }


def _cautions(reproduction: Reproduction) -> list[str]:
    """What whoever sees our scores must know of the models behind them."""
    results = (r for own in reproduction.results.values() for r in own.values())
    return sorted({c for r in results if (c := r.provenance.get("caution", ""))})


def _measured(reproduction: Reproduction) -> list[dict[str, Any]]:
    """What each of our rows was measured on and by."""
    return [
        {
            "row": name,
            "input": reproduction.inputs[name],
            "protocol": protocol,
            "title": known.title if (known := known_protocol(protocol)) else protocol,
            "units": counted(result.num_units, result.unit),
            "interval": result.interval,
            "model": result.provenance.get("model_digest", ""),
        }
        for name, results in reproduction.results.items()
        for protocol, result in results.items()
    ]
