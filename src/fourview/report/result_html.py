"""Result -> one self-contained page: numbers with intervals, curves, groups, published numbers."""

from typing import Any

from markupsafe import Markup

import fourview
from fourview.entities import Metric, Result
from fourview.evaluate.labels import RULES, counted
from fourview.evaluate.metrics import MetricRecord, label_of, metric_record
from fourview.evaluate.protocols import known_protocol
from fourview.report.page import render
from fourview.report.result_charts import (
    calibration_chart,
    decision_chart,
    forest,
    froc_chart,
    histogram_chart,
    miss_chart,
    pr_chart,
    roc_chart,
)

DIGITS = 3  # of a metric that nothing is known of
_FACTS = {
    "recipe": "Model",
    "data": "Data set",
    "split": "Split",
    "data_terms": "Terms of the data",
    "model_digest": "Weights (SHA-256)",
    "pixel_spec": "Pixels",
    "terms": "Terms of the weights",
    "manifest_hash": "Manifest",
    "scores_digest": "Scores",
    "protocol": "Protocol fingerprint",
}


def result_to_html(result: Result) -> str:
    """The page; nothing on it comes from the network."""
    protocol = known_protocol(result.protocol)
    values: dict[str, Any] = {
        "title": protocol.title if protocol else result.protocol,
        "result": result,
        "protocol": protocol,
        "label_words": RULES[protocol.label].words if protocol else "",
        "main": [_shown(m) for m in result.metrics[:2]],
        "metrics": [_shown(m) for m in result.metrics],
        "units": counted(result.num_units, result.unit),
        "charts": charts(result),
        "groups": _groups(result),
        "published": _published(result),
        "facts": [(_FACTS[k], result.provenance[k]) for k in _FACTS if result.provenance.get(k)],
        "model": result.provenance.get("recipe", ""),
        "caution": result.provenance.get("caution", ""),
        "worst": _worst(result),
        "software": f"fourview {fourview.__version__}",
    }
    return render("result", values)


def metric_text(metric: Metric) -> tuple[str, str]:
    """Value and interval in words; a dash where undefined."""
    if metric.value is None:
        return "–", ""  # noqa: RUF001 - a dash for people
    record = _record(metric)
    digits = DIGITS if record is None else record.digits
    interval = ""
    if metric.low is not None and metric.high is not None:
        interval = f"{metric.low:.{digits}f} to {metric.high:.{digits}f}"
    return f"{metric.value:.{digits}f}", interval


def charts(result: Result) -> list[tuple[str, Markup]]:
    """Title and picture of every curve that the result has."""
    by_name = {curve.name: curve for curve in result.curves}
    rocs = [curve for curve in result.curves if curve.name.startswith("roc")]
    out = []
    if rocs:
        out.append(("ROC", roc_chart(rocs)))
    if "pr" in by_name:
        prevalence = result.num_positive / max(result.num_units, 1)
        out.append(("Precision and recall", pr_chart(by_name["pr"], prevalence)))
    if "calibration" in by_name:
        out.append(("Calibration", calibration_chart(by_name["calibration"])))
    if "decision" in by_name:
        everyone = by_name["decision_all"]
        out.append(("Decision curve", decision_chart(by_name["decision"], everyone)))
    if "misses" in by_name:
        out.append(("Biopsies avoided, by cancers missed", miss_chart(by_name["misses"])))
    if "scores_positive" in by_name:
        picture = histogram_chart(by_name["scores_negative"], by_name["scores_positive"])
        out.append(("Scores", picture))
    if "froc" in by_name:
        out.append(("FROC", froc_chart(by_name["froc"])))
    return [(title, Markup(picture)) for title, picture in out]


def _shown(metric: Metric) -> dict[str, Any]:
    value, interval = metric_text(metric)
    record = _record(metric)
    has_bar = record is None or record.bar
    return {
        "name": label_of(metric.name),
        "value": value,
        "interval": interval,
        "note": metric.note,
        "forest": Markup(forest(metric.low, metric.value, metric.high) if has_bar else ""),
    }


def _record(metric: Metric) -> MetricRecord | None:
    return metric_record(metric.name.partition(" (")[0])


def _groups(result: Result) -> list[dict[str, Any]]:
    columns: dict[str, list[dict[str, Any]]] = {}
    for group in result.groups:
        row = _shown(group.metrics[0]) | {
            "group": group.value,
            "num_units": group.num_units,
            "num_positive": group.num_positive,
            "warning": group.note,
        }
        columns.setdefault(group.column, []).append(row)
    return [
        {"column": column.replace("_", " "), "metric": rows[0]["name"], "rows": rows}
        for column, rows in columns.items()
    ]


def _worst(result: Result) -> list[dict[str, Any]]:
    """Blocks of rows, a kind each; without the columns that no row has."""
    if result.worst is None:
        return []
    blocks = []
    for (kind,), rows in result.worst.group_by("kind", maintain_order=True):
        shown = [c for c in rows.columns if c not in ("kind", "label", "said", "score")]
        blocks.append({"kind": kind, "ids": shown, "rows": rows.to_dicts()})
    return blocks


def _published(result: Result) -> list[dict[str, Any]]:
    """Published numbers by metric, ours first where we have the same one."""
    ours = {m.name: m for m in result.metrics}
    rows = []
    for number in result.published:
        metric = Metric(name=number.metric, value=number.value, low=number.low, high=number.high)
        value, interval = metric_text(metric)
        here = metric_text(ours[number.metric])[0] if number.metric in ours else ""
        rows.append(
            {
                "metric": label_of(number.metric),
                "dataset": number.dataset,
                "method": number.method,
                "setting": number.setting,
                "source": number.source,
                "value": value,
                "interval": interval,
                "ours": here,
            }
        )
    return rows
