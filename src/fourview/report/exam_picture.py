"""One picture of an exam: the four views as they hang, regions, and what is known."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from fourview.entities import SLOTS, Exam, ExamPrediction, Finding
from fourview.report.display import show
from fourview.report.overlay import composite, marks_on, write_on

KNOWN_BGR, TEXT_BGR = (255, 255, 255), (210, 210, 210)
GAP, LINE = 4, 26  # pixels between views, and of a line of text

Picture = UInt8[np.ndarray, "row col 3"]
Canvas = UInt8[np.ndarray, "_ _ 3"]  # views differ in size


def exam_picture(
    prediction: ExamPrediction,
    exam: Exam,
    *,
    known: Sequence[Finding] = (),
    rows: int = 640,
) -> Picture:
    """The four views of an exam with the regions that a model marks, BGR.

    Without heatmaps, which would hide what is marked.

    Args:
        prediction: What the model says; its caution is written below.
        exam: With the pixels.
        known: Findings that are known, drawn as thin white boxes.
        rows: Of a view; a smaller image stays as it is.
    """
    findings = [finding for breast in prediction.breasts for finding in breast.findings]
    scores = {image.image_id: image for image in prediction.images}
    panels: list[Canvas] = []
    for slot in SLOTS:
        image = exam.get(slot)
        if image is None:
            panels.append(np.zeros((LINE + rows, rows // 2, 3), np.uint8))
            continue
        shown = show(image, max_rows=rows)
        predicted = scores.get(image.image_id)
        picture = composite(shown, None, marks_on(image.image_id, findings, shown.geometry))
        for mark in marks_on(image.image_id, known, shown.geometry):
            corners = (mark.box.x0, mark.box.y0), (mark.box.x1, mark.box.y1)
            first, last = ((round(x), round(y)) for x, y in corners)
            cv2.rectangle(picture, first, last, KNOWN_BGR, 1, cv2.LINE_8)
        score = None if predicted is None else predicted.score
        panels.append(_titled(picture, slot, "" if score is None else f"{score:.2f}"))
    r_cc, l_cc, r_mlo, l_mlo = panels
    width = max(r_cc.shape[1] + l_cc.shape[1], r_mlo.shape[1] + l_mlo.shape[1]) + GAP
    wall = np.vstack([_side_by_side(r_cc, l_cc, width), _side_by_side(r_mlo, l_mlo, width)])
    below = np.zeros((2 * LINE, width, 3), np.uint8)
    for number, text in enumerate((prediction.caution, f"Model {prediction.model}.")):
        write_on(below, text, (6, LINE * (number + 1) - 8), TEXT_BGR, size=0.45)
    return np.vstack([wall, below])


def _titled(picture: Canvas, slot: str, score: str) -> Canvas:
    """The view under a line with its name and score."""
    line: Canvas = np.zeros((LINE, picture.shape[1], 3), np.uint8)
    write_on(line, f"{slot}  {score}", (6, LINE - 8), TEXT_BGR)
    return np.vstack([line, picture])


def _side_by_side(right: Canvas, left: Canvas, width: int) -> Canvas:
    """A row of the wall: chest walls meet in the middle."""
    rows = max(right.shape[0], left.shape[0])
    row: Canvas = np.zeros((rows + GAP, width, 3), np.uint8)
    middle = width // 2
    row[: right.shape[0], middle - GAP // 2 - right.shape[1] : middle - GAP // 2] = right
    row[: left.shape[0], middle + GAP // 2 : middle + GAP // 2 + left.shape[1]] = left
    return row
