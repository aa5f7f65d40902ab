"""ExamPrediction and its images -> result.json, report.html and pictures with overlays.

The page is one file. Where a score is None it says "not scored", never 0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fourview.disk import write_bytes, write_text
from fourview.entities import SIDES, SLOTS, ExamPrediction, Finding, Image
from fourview.report.biopsies import avoided_biopsies
from fourview.report.display import encode, show
from fourview.report.exam_json import exam_to_json
from fourview.report.exam_parts import Display, ReportOptions, breast_of, full_picture, view_of
from fourview.report.hang import Wall, hang
from fourview.report.overlay import BOX_RGB, composite, marks_on, ramp, short_names
from fourview.report.page import render
from fourview.report.words import exam_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """What was written."""

    html: Path
    json: Path
    overlays: tuple[Path, ...]


def write_exam_report(
    prediction: ExamPrediction,
    images: Sequence[Image],
    out: Path,
    *,
    options: ReportOptions | None = None,
) -> ReportPaths:
    """Write OUT/result.json, OUT/report.html and OUT/overlays/VIEW.png.

    Args:
        prediction: Findings in the stored frame, heatmaps with their geometry.
        images: The exam's images, read from their files; those that the prediction does not
            mention are displayed without a score, and those not given leave a labelled frame.
        out: A folder; made where it is missing, files of the same names are replaced.
        options: What the report says beside the prediction.

    Raises:
        ReportError: An image is of another exam, or there twice.
    """
    used = options or ReportOptions()
    displays = _displays(prediction, hang(prediction, images), full=used.full)
    (out / "overlays").mkdir(parents=True, exist_ok=True)
    avoided = avoided_biopsies(_findings(prediction), used.miss_rates, used.not_biopsied)
    report = {**_report_block(used), "biopsies": avoided}
    document = {**exam_to_json(prediction), "report": report}
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    write_text(out / "result.json", text + "\n")
    write_text(out / "report.html", _page(prediction, displays, used))
    overlays = []
    for display in displays.values():
        if display.shown is not None:
            overlays.append(out / "overlays" / f"{display.panel.key}.png")
            heatmaps = display.panel.prediction.heatmaps if display.panel.prediction else ()
            picture = composite(display.shown, heatmaps[0] if heatmaps else None, display.marks)
            write_bytes(overlays[-1], encode(picture, "png"))
    return ReportPaths(html=out / "report.html", json=out / "result.json", overlays=tuple(overlays))


def exam_html(
    prediction: ExamPrediction, images: Sequence[Image], *, options: ReportOptions | None = None
) -> str:
    """The page alone, as ``write_exam_report`` writes it."""
    used = options or ReportOptions()
    displays = _displays(prediction, hang(prediction, images), full=used.full)
    return _page(prediction, displays, used)


def _displays(prediction: ExamPrediction, wall: Wall, *, full: bool) -> dict[str, Display]:
    """By key, in the order of the wall."""
    findings = _findings(prediction)
    displays = {}
    for panel in wall.panels:
        shown = None if panel.image is None else show(panel.image)
        marks = () if shown is None else marks_on(panel.image_id, findings, shown.geometry)
        whole = full_picture(panel.image, shown) if full and panel.image and shown else None
        displays[panel.key] = Display(panel=panel, shown=shown, full=whole, marks=marks)
    return displays


def _findings(prediction: ExamPrediction) -> tuple[Finding, ...]:
    return tuple(f for breast in prediction.breasts for f in breast.findings)


def _report_block(options: ReportOptions) -> dict[str, Any]:
    return {
        "created": options.created or None,
        "software": options.software,
        "operating_points": dict(options.operating_points or {}),
    }


def _page(
    prediction: ExamPrediction, displays: Mapping[str, Display], options: ReportOptions
) -> str:
    views = [view_of(d, prediction.asked) for d in displays.values()]
    hung = {v["slot"]: v for v in reversed(views)}  # of several, the first of a slot hangs
    classes = dict.fromkeys(heat["class_name"] for v in views for heat in v["heats"])
    findings = _findings(prediction)
    return render(
        "exam",
        {
            "prediction": prediction,
            "options": options,
            "facts": exam_facts(
                prediction, [d.panel.image for d in displays.values() if d.panel.image]
            ),
            "asks_suspicion": _asks_suspicion(prediction),
            "slots": [{"name": name, "view": hung.get(name)} for name in SLOTS],
            "others": [v for v in views if hung.get(v["slot"]) is not v],
            "views": views,
            "classes": tuple(classes),
            "biopsies": _biopsies(findings, options),
            "not_biopsied": sum(f.finding_id in options.not_biopsied for f in findings),
            "breasts": [breast_of(prediction, side, displays, options) for side in SIDES],
            "ramp": _ramp_css(),
            "box_colour": BOX_RGB,
        },
    )


def _asks_suspicion(prediction: ExamPrediction) -> bool:
    """Whether any of the tasks is a suspicion; taken so where the result does not say."""
    return not prediction.asked or any(not asked.is_choice for asked in prediction.asked)


def _biopsies(findings: Sequence[Finding], options: ReportOptions) -> list[dict[str, Any]]:
    names = short_names(findings)
    return [
        {**row, "names": [names[finding_id] for finding_id in row["avoided"]]}
        for row in avoided_biopsies(findings, options.miss_rates, options.not_biopsied)
    ]


def _ramp_css() -> str:
    """The colour ramp of the heatmaps as a CSS gradient, from 0 to 1."""
    colours = ramp()[::32]
    stops = (f"rgba({r},{g},{b},{a / 255:.2f})" for b, g, r, a in (*colours, ramp()[-1]))
    return f"linear-gradient(to right, {', '.join(stops)})"
