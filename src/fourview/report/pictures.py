"""Pictures of images, exams and predictions in memory: for notebooks and for a quick look.

``entities.looks`` calls these; a page of everything is ``exam_html``'s business.
"""

from collections.abc import Iterable
from html import escape

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image as Pillow

from fourview.entities import (
    SIDES,
    SLOTS,
    Exam,
    ExamPrediction,
    Heatmap,
    Image,
    ImagePrediction,
)
from fourview.errors import ReportError
from fourview.geometry import Geometry
from fourview.report.display import Shown, data_uri, show
from fourview.report.exam_json import RESEARCH_USE
from fourview.report.overlay import composite, marks_on, warp
from fourview.report.words import other_texts

SMALL_ROWS = 320  # of a view in a notebook
_CELL = "padding:2px;background:#000;vertical-align:top"


def image_picture(image: Image, *, rows: int) -> Pillow.Image:
    """See ``Image.show``."""
    return Pillow.fromarray(show(image, max_rows=rows).pixels)


def stored_heatmap(
    prediction: ExamPrediction, view: str, class_name: str | None
) -> Float[np.ndarray, "row col"]:
    """See ``ExamPrediction.heatmap``."""
    heatmap = _heatmap(_of_view(prediction, view), class_name)
    if heatmap is None:
        raise ReportError(f"{prediction.model} has no heatmap of {view}")
    return warp(heatmap, Geometry(heatmap.geometry.stored_size))


def overlay_picture(
    prediction: ExamPrediction,
    view: str,
    image: Image | None,
    *,
    class_name: str | None,
    rows: int,
    stored: bool,
) -> Pillow.Image:
    """See ``ExamPrediction.overlay``."""
    predicted = _of_view(prediction, view)
    exam = prediction.exam
    own = image or (None if exam is None else exam.get(predicted.image_id))
    if own is None:
        raise ReportError(
            f"the pixels of {view} are not at hand: the prediction was read from a file; give "
            "image=exam['L-CC']"
        )
    shown = _in_file(own, rows) if stored else show(own, max_rows=rows)
    findings = [f for b in prediction.breasts for f in b.findings]
    marks = marks_on(own.image_id, findings, shown.geometry)
    picture = composite(shown, _heatmap(predicted, class_name), marks)
    return Pillow.fromarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def image_html(image: Image) -> str:
    """A small picture with a line about it."""
    return _figure(image, repr(image).strip("<>"))


def exam_html(exam: Exam) -> str:
    """The four views as they hang, small, and what else there is."""
    cells = [(exam.get(slot), slot) for slot in SLOTS]
    grid = _grid(_figure(image, slot) if image else _none(f"no {slot}") for image, slot in cells)
    others = [i for i in exam.images if i not in [image for image, _ in cells]]
    more = f"<p>Further images: {escape(', '.join(i.view.name for i in others))}</p>"
    out = "".join(f"<li>{escape(x.path)}: {escape(x.detail)}</li>" for x in exam.left_out[:20])
    return (
        f"<p>Exam <code>{escape(exam.exam_id)}</code> of patient "
        f"<code>{escape(exam.patient_id)}</code></p>{grid}{more if others else ''}"
        + (f"<p>Left out:</p><ul>{out}</ul>" if out else "")
    )


def prediction_html(prediction: ExamPrediction) -> str:
    """Scores and findings as a table, the four views with what is drawn on them above."""
    rows = []
    for side in SIDES:
        breast = prediction.breast(side)
        if breast is None:
            continue
        texts = [] if breast.score is None else [f"{breast.score:.3f}"]
        texts += other_texts(prediction, breast)
        findings = "; ".join(
            f"{f.finding_id} {'' if f.score is None else f'{f.score:.3f}'} {f.quadrant}".strip()
            for f in breast.findings
        )
        text = ", ".join(texts) or "not scored"
        rows.append(
            f"<tr><th>{side}</th><td>{escape(text)}</td><td>{escape(findings or 'none')}</td></tr>"
        )
    table = (
        "<table><tr><th>Breast</th><th>Score</th><th>Findings</th></tr>"
        + "".join(rows)
        + "</table>"
    )
    said_of = (prediction.caution, f"Model {prediction.model}.", RESEARCH_USE)
    about = " ".join(escape(text) for text in said_of if text)
    return f"{_drawn(prediction)}{table}<p><small>{about}</small></p>"


def _drawn(prediction: ExamPrediction) -> str:
    """The four views with heatmaps and regions; nothing where the pixels are not at hand."""
    exam = prediction.exam
    if exam is None:
        return ""
    cells = []
    for slot in SLOTS:
        image = exam.get(slot)
        known = image is not None and any(p.image_id == image.image_id for p in prediction.images)
        if image is None or not known:
            cells.append(_none(f"no {slot}"))
            continue
        picture = overlay_picture(
            prediction, image.image_id, image, class_name=None, rows=SMALL_ROWS, stored=False
        )
        cells.append(
            _img(data_uri(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR), "jpeg"), slot)
        )
    return _grid(cells)


def _of_view(prediction: ExamPrediction, view: str) -> ImagePrediction:
    image = next((i for i in prediction.images if view in (i.view.name, i.image_id)), None)
    if image is None:
        there = ", ".join(i.view.name for i in prediction.images) or "no image"
        raise ReportError(f"nothing is said of {view} in this exam; there are {there}")
    return image


def _heatmap(predicted: ImagePrediction, class_name: str | None) -> Heatmap | None:
    if class_name is None:
        return predicted.heatmaps[0] if predicted.heatmaps else None
    heatmap = next((h for h in predicted.heatmaps if h.class_name == class_name), None)
    if heatmap is None:
        there = ", ".join(h.class_name for h in predicted.heatmaps) or "none"
        raise ReportError(
            f"no heatmap of '{class_name}' for {predicted.view.name}; there are: {there}"
        )
    return heatmap


def _in_file(image: Image, rows: int) -> Shown:
    """The picture in the file's own orientation, with at most ``rows`` rows."""
    hung = show(image, max_rows=max(image.pixels.shape))
    height, width = image.stored_size
    small = min(1.0, rows / height)
    size = (max(1, round(height * small)), max(1, round(width * small)))
    geometry = Geometry(image.stored_size).resized(*size)
    hung_from_file = np.vstack([hung.geometry.matrix(), (0.0, 0.0, 1.0)])
    small_to_file = np.diag([width / size[1], height / size[0], 1.0])
    matrix = (hung_from_file @ small_to_file)[:2]
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from a pixel's centre
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_AREA if small < 1 else cv2.INTER_LINEAR)
    pixels = cv2.warpAffine(hung.pixels, matrix, (size[1], size[0]), flags=flags)
    return Shown(pixels=np.asarray(pixels), geometry=geometry, notes=hung.notes)


def _figure(image: Image, text: str) -> str:
    return _img(data_uri(show(image, max_rows=SMALL_ROWS).pixels, "jpeg"), text)


def _img(uri: str, text: str) -> str:
    label = escape(text)
    return (
        f'<div style="color:#ccc;font:12px sans-serif">{label}</div>'
        f'<img src="{uri}" alt="Mammogram {label}" style="height:{SMALL_ROWS}px">'
    )


def _none(text: str) -> str:
    return f'<div style="color:#888;font:12px sans-serif;padding:2em">{escape(text)}</div>'


def _grid(cells: Iterable[str]) -> str:
    r_cc, l_cc, r_mlo, l_mlo = cells
    right, left = f'<td style="{_CELL};text-align:right">', f'<td style="{_CELL};text-align:left">'
    return (
        f"<table><tr>{right}{r_cc}</td>{left}{l_cc}</td></tr>"
        f"<tr>{right}{r_mlo}</td>{left}{l_mlo}</td></tr></table>"
    )
