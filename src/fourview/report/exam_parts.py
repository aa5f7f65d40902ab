"""What the page of an exam needs of each view, breast and finding: values, words, pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fourview
from fourview.entities import Asked, BreastPrediction, ExamPrediction, Finding, Image, Region, Side
from fourview.report.biopsies import PROPOSED, thumbnails, verdict
from fourview.report.display import Shown, data_uri, hanging_wall, show
from fourview.report.hang import Panel
from fourview.report.overlay import Mark, heat_layer, short_names
from fourview.report.words import point_words

SIDE_NAMES: dict[Side, str] = {"R": "Right", "L": "Left"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a report says beside the prediction. The defaults make the same bytes every time.

    Attributes:
        title: Heading of the page.
        created: Date and time as they are to be printed; empty prints none.
        software: Name and version of the program.
        operating_points: Thresholds on a breast's score by name, chosen on validation data, such
            as {"sensitivity-0.90": 0.31}; drawn as ticks on the bars and named in words.
        miss_rates: Thresholds on a finding's score by the part of cancers below them on validation
            data; for the biopsies that would be avoided.
        miss_rate: The one of them that the findings' table goes by; None for none.
        not_biopsied: Names of findings that are scored, but that no biopsy would be avoided of.
        full: Put every pixel of the files into the page, for enlarging: about 2 MB per view.
    """

    title: str = "Mammography exam"
    created: str = ""
    software: str = f"fourview {fourview.__version__}"
    operating_points: Mapping[str, float] | None = None
    miss_rates: Mapping[float, float] = field(default_factory=dict)
    miss_rate: float | None = None
    not_biopsied: frozenset[str] = frozenset()
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A panel with what is drawn on it.

    Attributes:
        shown: The picture in the page; None where no pixels were given.
        full: The same with all pixels that were read; None where ``shown`` has them, or not asked.
    """

    panel: Panel
    shown: Shown | None
    full: Shown | None
    marks: tuple[Mark, ...]


def full_picture(image: Image, shown: Shown) -> Shown | None:
    """The image with every pixel that was read; None where ``shown`` has them all."""
    rows, cols = image.pixels.shape
    if rows * cols <= shown.pixels.size:
        return None
    return show(image, max_rows=max(rows, cols))


def view_of(display: Display, asked: Sequence[Asked] = ()) -> dict[str, Any]:
    """What the page needs of one image.

    Args:
        display: What is drawn.
        asked: The tasks of the prediction.
    """
    panel, shown = display.panel, display.shown
    predicted, image = panel.prediction, panel.image
    notes = (*(predicted.notes if predicted else ()), *(shown.notes if shown else ()))
    view: dict[str, Any] = {
        "key": panel.key,
        "slot": panel.view.name,
        "side": panel.view.side,
        "position": panel.view.position,
        "name": " ".join((panel.key, *panel.view.modifiers)).replace("_", " "),
        "source": panel.view.source,
        "image_id": panel.image_id,
        "wall": "right" if panel.view.side == "R" else "left",
        "score": None if predicted is None else predicted.score,
        "classes": () if predicted is None else _best_classes(asked, predicted.scores),
        "notes": tuple(dict.fromkeys((*(image.notes if image else ()), *notes))),
        "size": image.stored_size if image else None,
        "spacing": image.spacing_mm if image else None,
        "picture": None,
        "full": None,
        "full_part": None,
        "full_percent": None,
        "heats": [],
        "marks": [],
    }
    if shown is None or image is None:
        return view
    rows, cols = shown.pixels.shape
    half = shown.geometry.resized(max(1, rows // 2), max(1, cols // 2))  # smooth: half is enough
    part = _part(shown)
    view |= {
        "wall": hanging_wall(image),
        "picture": data_uri(shown.pixels, "jpeg"),
        "rows": rows,
        "cols": cols,
        "part": part,
        "percent": _percent(part),
        "mm": None if image.spacing_mm is None else image.spacing_mm[0] / part,
        "marks": [_mark(m, rows, cols) for m in display.marks],
        "heats": [
            {
                "class_name": h.class_name,
                "picture": data_uri(heat_layer(h, half), "webp"),
                "peak": _peak(h.values.tolist()),
            }
            for h in (predicted.heatmaps if predicted else ())
        ],
    }
    if display.full is not None:
        view |= {
            "full": data_uri(display.full.pixels, "jpeg"),
            "full_percent": _percent(_part(display.full)),
            "full_part": _part(display.full),
        }
    return view


def breast_of(
    prediction: ExamPrediction,
    side: Side,
    displays: Mapping[str, Display],
    options: ReportOptions,
) -> dict[str, Any]:
    """A breast with its scores by task, its findings and its notes."""
    breast = prediction.breast(side)
    points = sorted((options.operating_points or {}).items(), key=lambda item: item[1])
    score = None if breast is None else breast.score
    panels = {d.panel.image_id: d.panel for d in displays.values()}
    names = short_names([f for b in prediction.breasts for f in b.findings])
    tasks = () if breast is None else _tasks(prediction.asked, breast)
    return {
        "side": side,
        "name": SIDE_NAMES[side],
        "score": score,
        "tasks": tasks,
        "has_none": score is None and not tasks,
        "why_not": _why_not(prediction, side),
        "notes": () if breast is None else breast.notes,
        "points": [
            {
                "name": point_words(name),
                "value": value,
                "reached": score is not None and score >= value,
            }
            for name, value in points
        ],
        "findings": [
            _finding(f, names[f.finding_id], displays, panels, options)
            for f in (breast.findings if breast else ())
        ],
    }


def _tasks(asked: Sequence[Asked], breast: BreastPrediction) -> list[dict[str, Any]]:
    """The scores beside the suspicion: a bar of all classes, or one per class."""
    asked = asked or (Asked(name="", classes=tuple(breast.scores), exclusive=False),)
    tasks = []
    for task in asked:
        shown = [
            {"name": name, "score": breast.scores[name]}
            for name in task.classes
            if name in breast.scores and (task.is_choice or breast.scores[name] != breast.score)
        ]
        if shown:
            best = task.best(breast.scores) if task.is_choice else None
            tasks.append({"name": task.name.replace("_", " "), "best": best, "classes": shown})
    return tasks


def _best_classes(asked: Sequence[Asked], scores: Mapping[str, float]) -> tuple[str, ...]:
    """Of each task with several classes the best one, in words: "density C 0.610"."""
    best = ((task, task.best(scores)) for task in asked if task.is_choice)
    return tuple(f"{task.name} {name} {scores[name]:.3f}" for task, name in best if name)


def _part(shown: Shown) -> float:
    """How many pixels of the picture stand for one of the file, along a side."""
    matrix = shown.geometry.matrix()[:, :2]
    return math.sqrt(abs(float(np.linalg.det(matrix))))


def _percent(part: float) -> str:
    """A part as percent, without digits that mean nothing; never 100 for less than all."""
    return f"{min(round(100 * part), 99) if part < 1 else 100}"


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
        "where": _where(finding),
        "places": [_place(r, panels) for r in finding.regions],
    }


def _where(finding: Finding) -> str:
    """Quadrant and distance from the nipple, as readers say them; empty where not known."""
    far = "" if finding.nipple_mm is None else f"{finding.nipple_mm:.0f} mm from the nipple"
    return ", ".join(part for part in (finding.quadrant, far) if part)


def _place(region: Region, panels: Mapping[str, Panel]) -> dict[str, Any]:
    panel, box = panels.get(region.image_id), region.box
    spacing = panel.image.spacing_mm if panel and panel.image else None
    return {
        "key": panel.key if panel else "an image not given",
        "box": box,
        "score": region.score,
        "size_mm": None if spacing is None else (box.width * spacing[1], box.height * spacing[0]),
    }
