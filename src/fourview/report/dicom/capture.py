"""Secondary Capture: the wall of the report as one colour picture, which every viewer shows.

Four views as they hang, heatmap and numbered boxes on them, beside them scores, model and the
research mark. No text of a header is drawn.

References:
    DICOM PS3.3 A.8.1 (the object), C.8.6 (its modules).
"""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import UInt8
from pydicom.dataset import Dataset

from fourview.entities import SLOTS
from fourview.report.dicom.identity import LONG_TEXT, RESEARCH, plain
from fourview.report.dicom.subject import Subject, known
from fourview.report.display import Shown, show
from fourview.report.hang import Panel
from fourview.report.overlay import BOX_BGR, Mark, composite, ramp

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7"
HEIGHT = 1800  # of the picture, with a width of 2380 at most: 5 megapixels show it whole
VIEW_SIZE = (870, 800)  # most rows and columns of a view
FOOT = HEIGHT - 2 * VIEW_SIZE[0]
TABLE = 760  # columns beside the views
GAP = 20
NUMBER_ROWS = 28  # of a box's number
WHITE, GREY, AMBER = (235, 235, 235), (160, 160, 160), (80, 190, 255)
Picture = UInt8[np.ndarray, "row col 3"]


def capture(subject: Subject) -> Dataset:
    """The picture as an object of the exam."""
    dataset = subject.new("sc", SOP_CLASS)
    picture = np.ascontiguousarray(draw(subject)[..., ::-1])  # RGB
    dataset.Modality = "OT"  # not MG: rules of archives may read every MG image
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    # Nothing of a header is drawn, but what is burned into an image is shown as it is.
    burned = any(source.word("BurnedInAnnotation") == "YES" for source in subject.sources)
    dataset.BurnedInAnnotation = "YES" if burned else "NO"
    dataset.ImageLaterality = "B"  # of both; without it validators ask for Laterality
    dataset.PatientOrientation = ""
    dataset.DerivationDescription = f"Pictures and scores by fourview; {RESEARCH}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    dataset.add_new("PixelData", "OW", picture.tobytes())
    return dataset


def draw(subject: Subject) -> Picture:
    """The picture, BGR; at most 2 x 800 + GAP + TABLE columns, HEIGHT rows."""
    views = [None if p is None else _view(subject, p) for p in subject.wall.slots]
    width = max((v.shape[1] for v in views if v is not None), default=VIEW_SIZE[1] // 2)
    picture = np.zeros((HEIGHT, 2 * width + GAP + TABLE, 3), np.uint8)
    for slot, view in enumerate(views):
        top = VIEW_SIZE[0] * (slot // 2)
        if view is None:
            place = (GAP + (slot % 2) * width, top + VIEW_SIZE[0] // 2)
            _write(picture, f"no {SLOTS[slot]}", place, GREY)
            continue
        rows, cols = view.shape[:2]
        left = width - cols if slot % 2 == 0 else width  # the chest walls meet
        picture[top : top + rows, left : left + cols] = view
        place = (GAP if slot % 2 == 0 else 2 * width - 120, top + VIEW_SIZE[0] - 20)
        _write(picture, SLOTS[slot], place, WHITE)  # below: markers are burned in above
    row = 60
    for line, colour, scale in _lines(subject):
        if row < HEIGHT - FOOT - 120:  # above the legend
            _write(picture, line, (2 * width + 2 * GAP, row), colour, scale)
        row += round(24 + 26 * scale) if line else 20
    _legend(picture, 2 * width + 2 * GAP, subject)
    mark = f"Fourview: {RESEARCH}"
    _write(picture, mark, (GAP, HEIGHT - FOOT // 3), AMBER, 1.0)
    return picture


def _view(subject: Subject, panel: Panel) -> Picture:
    """One image with its heatmap and numbered boxes, at the size at which it hangs."""
    assert panel.image is not None  # a subject has every image
    shown = show(panel.image, max_rows=VIEW_SIZE[0])
    if shown.pixels.shape[1] > VIEW_SIZE[1]:
        rows = max(1, round(VIEW_SIZE[1] * shown.pixels.shape[0] / shown.pixels.shape[1]))
        small = cv2.resize(shown.pixels, (VIEW_SIZE[1], rows), interpolation=cv2.INTER_AREA)
        shown = Shown(
            pixels=small, geometry=shown.geometry.resized(rows, VIEW_SIZE[1]), notes=shown.notes
        )
    marks = [
        Mark(
            finding_id=str(m.number),
            name="",
            score=None,
            box=shown.geometry.box_to_processed(place.box),
        )
        for m in subject.findings
        for place in m.places
        if place.source.image_id == panel.image_id
    ]
    heatmaps = panel.prediction.heatmaps if panel.prediction else ()
    picture = composite(shown, heatmaps[0] if heatmaps else None, marks)
    for mark in marks:
        above = round(mark.box.y0) - 8
        row = above if above > NUMBER_ROWS else round(mark.box.y1) + NUMBER_ROWS
        _write(picture, mark.finding_id, (max(0, round(mark.box.x0)), row), BOX_BGR, 1.0)
    return picture


def _lines(subject: Subject) -> Iterator[tuple[str, tuple[int, int, int], float]]:
    """What stands beside the views: text, colour, size; of our own words and numbers only."""
    prediction = subject.prediction
    yield "Fourview", WHITE, 1.4
    yield RESEARCH, AMBER, 0.9
    yield "", WHITE, 1.0
    for side, name in (("R", "Right breast"), ("L", "Left breast")):
        breast = next((b for b in prediction.breasts if b.side == side), None)
        yield f"{name}:  {_score(None if breast is None else breast.score)}", WHITE, 1.1
    yield "", WHITE, 1.0
    for marked in subject.findings:
        where = ", ".join(dict.fromkeys(p.source.key for p in marked.places))
        line = f"{marked.number}  {where}: {_score(marked.score)}"
        yield line, BOX_BGR, 0.9
        yield f"    {marked.kind.meaning}", GREY, 0.7
    if not subject.findings:
        yield "no findings", GREY, 0.9
    yield "", WHITE, 1.0
    for source in subject.failed:
        yield f"{source.key}: not read by the model", GREY, 0.7
    for panel in subject.wall.others:
        yield f"{panel.key}: not drawn here", GREY, 0.7
    yield "", WHITE, 1.0
    for line in (
        subject.algorithm.name,
        subject.algorithm.version,
        subject.algorithm.parameters[0],
        f"made {subject.created:%Y-%m-%d %H:%M}",
        "scores of suspicion from 0 to 1, not probabilities",
    ):
        for start in range(0, len(line), 52):
            yield line[start : start + 52], GREY, 0.7


def _score(score: float | None) -> str:
    value = known(score)
    return "not scored" if value is None else f"{value:.3f}"


def _legend(picture: Picture, left: int, subject: Subject) -> None:
    """The heatmap's colours from 0 to 1, where there is one."""
    names = [i.heatmaps[0].class_name for i in subject.prediction.images if i.heatmaps]
    if not names:
        return
    top, width = HEIGHT - FOOT - 70, 400
    bar = np.linspace(0, 255, width).round().astype(np.intp)
    colours = ramp()[bar].astype(np.float32)
    opaque = colours[:, :3] * (colours[:, 3:] / 255)
    picture[top : top + 24, left : left + width] = np.rint(opaque).astype(np.uint8)
    _write(picture, f"heatmap: {plain(names[0], LONG_TEXT)[:40]}", (left, top - 14), GREY, 0.7)
    _write(picture, "0", (left, top + 52), GREY, 0.7)
    _write(picture, "1", (left + width - 14, top + 52), GREY, 0.7)


def _write(
    picture: Picture,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int],
    scale: float = 0.9,
) -> None:
    font, line = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    cv2.putText(picture, text, place, font, scale, colour, 1 if scale < 1 else 2, line)
