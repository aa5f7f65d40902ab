"""Result -> one self-contained page: numbers with intervals, curves, groups, published numbers."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

import fourview
from fourview.entities import Metric, Result
from fourview.evaluate.labels import RULES
from fourview.evaluate.protocols import known_protocol
from fourview.report.page import render
from fourview.report.result_charts import (
    calibration_chart,
    decision_chart,
    forest,
    froc_chart,
    pr_chart,
    roc_chart,
)

NAMES: Mapping[str, str] = {
    "auroc": "AUC-ROC",
    "auprc_trapezoid": "AUC-PR (trapezoid)",
    "average_precision": "Average precision",
    "partial_auc": "Partial AUC, sensitivity 0.8 to 1",
    "macro_auroc": "AUC-ROC, mean over classes",
    "balanced_accuracy": "Balanced accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "f1": "F1",
    "probabilistic_f1": "Probabilistic F1",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "recall_rate_per_1000": "Recalled of 1,000 exams",
    "cancers_found_per_1000": "Cancers found in 1,000 exams",
    "localisation_recall": "Findings marked",
}
_PREFIXES = {
    "specificity_at_sensitivity_": "Specificity at sensitivity ",
    "specificity_near_sensitivity_": "Specificity near sensitivity ",
    "tnr_at_fnr_": "True-negative rate at miss rate ",
}
_FACTS = {
    "data": "Data set",
    "split": "Split",
    "data_terms": "Terms of the data",
    "model_digest": "Model",
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
        "charts": charts(result),
        "groups": _groups(result),
        "published": _published(result),
        "facts": [(_FACTS[k], result.provenance[k]) for k in _FACTS if result.provenance.get(k)],
        "software": f"fourview {fourview.__version__}",
    }
    return render("result", values)


def metric_name(name: str) -> str:
    """A metric's name for people."""
    stem, _, threshold = name.partition(" (")
    words = NAMES.get(stem, stem)
    for prefix, text in _PREFIXES.items():
        if stem.startswith(prefix):
            words = text + stem.removeprefix(prefix)
    if stem.startswith("froc_sensitivity_at_"):
        rate = stem.removeprefix("froc_sensitivity_at_").removesuffix("_fp")
        words = f"Share found at {rate} false marks an image"
    return f"{words} at {threshold.removesuffix(')')}" if threshold else words


def metric_text(metric: Metric) -> tuple[str, str]:
    """Value and interval in words; a dash where undefined."""
    if metric.value is None:
        return "–", ""  # noqa: RUF001 - a dash for people
    digits = 1 if "per_1000" in metric.name else 3
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
    if "froc" in by_name:
        out.append(("FROC", froc_chart(by_name["froc"])))
    return [(title, Markup(picture)) for title, picture in out]


def _shown(metric: Metric) -> dict[str, Any]:
    value, interval = metric_text(metric)
    return {
        "name": metric_name(metric.name),
        "value": value,
        "interval": interval,
        "note": metric.note,
        "forest": Markup(forest(metric.low, metric.value, metric.high)),
    }


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
                "metric": metric_name(number.metric),
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
