"""ExamPrediction and its images -> result.json, report.html and pictures with overlays.

The page is one file. Where a score is None it says "not scored", never 0.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fourview
from fourview.disk import write_bytes, write_text
from fourview.entities import SIDES, SLOTS, ExamPrediction, Finding, Image, Side
from fourview.report.biopsies import PROPOSED, avoided_biopsies, thumbnails, verdict
from fourview.report.display import Shown, data_uri, encode, hanging_wall, show
from fourview.report.exam_json import exam_to_json
from fourview.report.hang import Panel, Wall, hang
from fourview.report.overlay import (
    BOX_RGB,
    Mark,
    composite,
    heat_layer,
    marks_on,
    ramp,
    short_names,
)
from fourview.report.page import render

SIDE_NAMES: dict[Side, str] = {"R": "Right", "L": "Left"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """What was written."""

    html: Path
    json: Path
    overlays: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a report says beside the prediction. The defaults make the same bytes every time.

    Attributes:
        title: Heading of the page.
        created: Date and time as they are to be printed; empty prints none.
        software: Name and version of the program.
        operating_points: Thresholds on a breast's score by name, chosen on validation data, such
            as {"90 % sensitivity": 0.31}; drawn as ticks on the bars.
        miss_rates: Thresholds on a finding's score by the part of cancers below them on validation
            data; for the biopsies that would be avoided.
        miss_rate: The one of them that the findings' table goes by; None for none.
        not_biopsied: Names of findings that are scored, but that no biopsy would be avoided of.
        sources: Paths or series that were read, for the provenance.
    """

    title: str = "Mammography exam"
    created: str = ""
    software: str = f"fourview {fourview.__version__}"
    operating_points: Mapping[str, float] | None = None
    miss_rates: Mapping[float, float] = field(default_factory=dict)
    miss_rate: float | None = None
    not_biopsied: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A panel with what is drawn on it; ``shown`` is None where no pixels were given."""

    panel: Panel
    shown: Shown | None
    marks: tuple[Mark, ...]


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
    displays = _displays(prediction, hang(prediction, images))
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
    displays = _displays(prediction, hang(prediction, images))
    return _page(prediction, displays, options or ReportOptions())


def _displays(prediction: ExamPrediction, wall: Wall) -> dict[str, Display]:
    """By key, in the order of the wall."""
    findings = _findings(prediction)
    displays = {}
    for panel in wall.panels:
        shown = None if panel.image is None else show(panel.image)
        marks = () if shown is None else marks_on(panel.image_id, findings, shown.geometry)
        displays[panel.key] = Display(panel=panel, shown=shown, marks=marks)
    return displays


def _findings(prediction: ExamPrediction) -> tuple[Finding, ...]:
    return tuple(f for breast in prediction.breasts for f in breast.findings)


def _report_block(options: ReportOptions) -> dict[str, Any]:
    return {
        "created": options.created or None,
        "software": options.software,
        "operating_points": dict(options.operating_points or {}),
        "sources": list(options.sources),
    }


def _page(
    prediction: ExamPrediction, displays: Mapping[str, Display], options: ReportOptions
) -> str:
    views = [_view(d) for d in displays.values()]
    hung = {v["slot"]: v for v in reversed(views)}  # of several, the first of a slot hangs
    classes = dict.fromkeys(heat["class_name"] for v in views for heat in v["heats"])
    findings = _findings(prediction)
    return render(
        "exam",
        {
            "prediction": prediction,
            "options": options,
            "slots": [{"name": name, "view": hung.get(name)} for name in SLOTS],
            "others": [v for v in views if hung.get(v["slot"]) is not v],
            "views": views,
            "classes": tuple(classes),
            "biopsies": _biopsies(findings, options),
            "not_biopsied": sum(f.finding_id in options.not_biopsied for f in findings),
            "breasts": [_breast(prediction, side, displays, options) for side in SIDES],
            "ramp": _ramp_css(),
            "box_colour": BOX_RGB,
        },
    )


def _biopsies(findings: Sequence[Finding], options: ReportOptions) -> list[dict[str, Any]]:
    names = short_names(findings)
    return [
        {**row, "names": [names[finding_id] for finding_id in row["avoided"]]}
        for row in avoided_biopsies(findings, options.miss_rates, options.not_biopsied)
    ]


def _view(display: Display) -> dict[str, Any]:
    """What the page needs of one image."""
    panel, shown = display.panel, display.shown
    said, image = panel.prediction, panel.image
    notes = (*(said.notes if said else ()), *(shown.notes if shown else ()))
    view: dict[str, Any] = {
        "key": panel.key,
        "slot": panel.view.name,
        "name": " ".join((panel.key, *panel.view.modifiers)).replace("_", " "),
        "source": panel.view.source,
        "image_id": panel.image_id,
        "wall": "right" if panel.view.side == "R" else "left",
        "score": None if said is None else said.score,
        "notes": tuple(dict.fromkeys((*(image.notes if image else ()), *notes))),
        "size": image.stored_size if image else None,
        "spacing": image.spacing_mm if image else None,
        "picture": None,
        "heats": [],
        "marks": [],
    }
    if shown is None or image is None:
        return view
    rows, cols = shown.pixels.shape
    half = shown.geometry.resized(max(1, rows // 2), max(1, cols // 2))  # smooth: half is enough
    view |= {
        "wall": hanging_wall(image),
        "picture": data_uri(shown.pixels, "jpeg"),
        "rows": rows,
        "cols": cols,
        "marks": [_mark(m, rows, cols) for m in display.marks],
        "heats": [
            {
                "class_name": h.class_name,
                "picture": data_uri(heat_layer(h, half), "webp"),
                "peak": _peak(h.values.tolist()),
            }
            for h in (said.heatmaps if said else ())
        ],
    }
    return view


def _peak(values: list[list[float]]) -> float | None:
    known = [v for row in values for v in row if not math.isnan(v)]
    return max(known, default=None)


def _mark(mark: Mark, rows: int, cols: int) -> dict[str, Any]:
    """A box and its label, in the displayed image's pixels; the label stays inside the image."""
    font = max(rows * 0.026, 8.0)
    text = mark.name if mark.score is None else f"{mark.name}  {mark.score:.2f}"
    above = mark.box.y0 - 0.4 * font
    return {
        "finding_id": mark.finding_id,
        "text": text,
        "box": mark.box,
        "font": font,
        "text_x": max(0.0, min(mark.box.x0, cols - 0.62 * font * len(text))),
        "text_y": above if above > font else mark.box.y1 + 1.1 * font,
    }


def _breast(
    prediction: ExamPrediction,
    side: Side,
    displays: Mapping[str, Display],
    options: ReportOptions,
) -> dict[str, Any]:
    breast = prediction.breast(side)
    points = sorted((options.operating_points or {}).items(), key=lambda item: item[1])
    score = None if breast is None else breast.score
    panels = {d.panel.image_id: d.panel for d in displays.values()}
    names = short_names(_findings(prediction))
    return {
        "side": side,
        "name": SIDE_NAMES[side],
        "score": score,
        "why_not": _why_not(prediction, side),
        "notes": () if breast is None else breast.notes,
        "points": [
            {"name": name, "value": value, "reached": score is not None and score >= value}
            for name, value in points
        ],
        "findings": [
            _finding(f, names[f.finding_id], displays, panels, options)
            for f in (breast.findings if breast else ())
        ],
    }


def _why_not(prediction: ExamPrediction, side: Side) -> str:
    """Why a breast may have no score; read only where it has none."""
    if any(image.view.side == side for image in prediction.images):
        return "the model gives none"
    return "no image of this breast could be read"


def _finding(
    finding: Finding,
    name: str,
    displays: Mapping[str, Display],
    panels: Mapping[str, Panel],
    options: ReportOptions,
) -> dict[str, Any]:
    """A finding with its places in words, and the patches it was scored by."""
    shown = {d.panel.image_id: (d.panel.key, d.shown) for d in displays.values() if d.shown}
    return {
        "name": name,
        "biopsy": verdict(finding, options.miss_rates, options.miss_rate, options.not_biopsied),
        "patches": thumbnails(finding, shown),
        "num_patches": len(finding.patches),
        "finding_id": finding.finding_id,
        "kind": finding.kind,
        "score": finding.score,
        "source": PROPOSED if finding.source == PROPOSED else f"from {finding.source}",
        "malignant": finding.malignant,
        "places": [_place(r.image_id, r.box, panels) for r in finding.regions],
    }


def _place(image_id: str, box: Any, panels: Mapping[str, Panel]) -> dict[str, Any]:
    panel = panels.get(image_id)
    spacing = panel.image.spacing_mm if panel and panel.image else None
    return {
        "key": panel.key if panel else "an image not given",
        "box": box,
        "size_mm": None if spacing is None else (box.width * spacing[1], box.height * spacing[0]),
    }


def _ramp_css() -> str:
    """The colour ramp of the heatmaps as a CSS gradient, from 0 to 1."""
    colours = ramp()[::32]
    stops = (f"rgba({r},{g},{b},{a / 255:.2f})" for b, g, r, a in (*colours, ramp()[-1]))
    return f"linear-gradient(to right, {', '.join(stops)})"
