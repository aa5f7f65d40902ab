"""Small exams as files, predictions of them, and the objects that they become."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_examples import TWELVE, gradient, mammogram, with_view, write_mammogram
from fourview.dicom.exams import read_exams
from fourview.entities import (
    SIDES,
    BreastPrediction,
    Exam,
    ExamPrediction,
    Finding,
    Heatmap,
    ImagePrediction,
    Region,
)
from fourview.geometry import Box, Geometry
from fourview.report.dicom.options import KINDS, DicomOptions, NotMade
from fourview.report.dicom.write import DicomObject, dicom_objects

CREATED = datetime(2026, 11, 29, 7, 9)
NAMES = ("R-CC", "L-CC", "R-MLO", "L-MLO")
ORIENTATIONS = {
    "R-CC": ["P", "L"],
    "L-CC": ["A", "R"],
    "R-MLO": ["P", "FL"],
    "L-MLO": ["A", "FR"],
}
CODES = {"CC": "399162004", "MLO": "399368009"}
SIZE = (60, 44)
Edit = Callable[[Dataset], None]


def write_exam(
    folder: Path,
    names: tuple[str, ...] = NAMES,
    *,
    edit: Edit | None = None,
    planted: tuple[int, int] | None = None,
    size: tuple[int, int] = SIZE,
) -> dict[str, Path]:
    """Files of 12 bits; ``edit`` changes each header, ``planted`` (row, col) gets the one 4095."""
    paths = {}
    for number, name in enumerate(names, start=1):
        side, position = name.split("-")[:2]
        dataset = mammogram(
            number,
            side=side,
            view=position,
            PatientName="Doe^Jane",
            PatientOrientation=ORIENTATIONS.get(name),
            PatientBirthDate="19600203",
            PatientSex="F",
            StudyID="7",
            StudyTime="101112",
            ContentDate="20200102",
            ContentTime="101314",
            WindowCenter="2048",
            WindowWidth="4096",
            RescaleIntercept="0",
            RescaleSlope="1",
            RescaleType="US",
        )
        if position in CODES:
            with_view(dataset, CODES[position])
        if edit is not None:
            edit(dataset)
        stored = np.minimum(gradient(size, TWELVE, seed=number), 4000)
        if planted is not None:
            stored[planted] = 4095
        paths[name] = write_mammogram(folder / f"{name}.dcm", dataset, stored=stored)
    return paths


def exam_in(folder: Path) -> Exam:
    """The one exam with images below a folder."""
    (exam,) = [e for e in read_exams(folder) if e.images]
    return exam


def region(exam: Exam, name: str, box: Box, polygon=None) -> Region:
    return Region(image_id=image_id(exam, name), box=box, polygon=polygon)


def image_id(exam: Exam, name: str) -> str:
    return next(i.image_id for i in exam.images if i.view.name == name)


def findings_of(exam: Exam) -> tuple[Finding, ...]:
    """A finding with a polygon and two views in R, a calcification in L; of the views there are."""
    there = {image.view.name for image in exam.images}
    rows, cols = exam.images[0].stored_size
    x, y = cols / 4, rows / 4
    polygon = ((x, y), (2 * x, y), (1.5 * x, 2 * y))
    places = {
        "R-CC": region(exam, "R-CC", Box(x, y, 2 * x, 2 * y), polygon) if "R-CC" in there else None,
        "R-MLO": region(exam, "R-MLO", Box(x + 0.25, y, 2 * x, 2 * y + 0.5))
        if "R-MLO" in there
        else None,
        "L-CC": region(exam, "L-CC", Box(x, y, 3 * x, 3 * y)) if "L-CC" in there else None,
    }
    right = tuple(places[n] for n in ("R-CC", "R-MLO") if places[n] is not None)
    findings = []
    if right:
        findings.append(Finding(finding_id="e/R-1", side="R", regions=right, score=0.75))
    if places["L-CC"] is not None:
        findings.append(
            Finding(
                finding_id="e/L-1",
                side="L",
                regions=(places["L-CC"],),
                score=0.25,
                kind="calcification",
            )
        )
    return tuple(findings)


def heatmap_of(image, class_name: str = "cancer") -> Heatmap:
    """A grid of 6 x 4 over the mirrored, cropped and halved image, with a peak."""
    rows, cols = image.stored_size
    geometry = Geometry(image.stored_size).mirrored().cropped(0, 4, cols - 3, rows)
    geometry = geometry.resized(max(rows // 2, 6), max(cols // 2, 4))
    values = np.linspace(0, 0.6, 24, dtype=np.float32).reshape(6, 4)
    values[2, 1] = 1
    return Heatmap(image_id=image.image_id, class_name=class_name, values=values, geometry=geometry)


def prediction_of(exam: Exam, findings=None, *, heatmaps: bool = True) -> ExamPrediction:
    """What a model might say of an exam."""
    chosen = findings_of(exam) if findings is None else tuple(findings)
    sides = {image.view.side for image in exam.images}
    return ExamPrediction(
        patient_id=exam.patient_id,
        exam_id=exam.exam_id,
        breasts=tuple(
            BreastPrediction(
                side=side,
                score={"R": 0.8734567890123456, "L": None}[side],
                findings=tuple(f for f in chosen if f.side == side),
            )
            for side in SIDES
            if side in sides
        ),
        images=tuple(
            ImagePrediction(
                image_id=image.image_id,
                view=image.view,
                score=None,
                heatmaps=(heatmap_of(image),) if heatmaps else (),
            )
            for image in exam.images
        ),
        model="mvccl:small",
        model_digest="ab" * 32,
        pixel_spec="mvccl-192x96 0123456789abcdef",
        left_out=exam.left_out,
    )


def unread(prediction: ExamPrediction, *names: str) -> ExamPrediction:
    """The same, when some images gave the model nothing."""
    return replace(
        prediction,
        images=tuple(i for i in prediction.images if i.view.name not in names),
        breasts=tuple(
            replace(
                b,
                findings=tuple(
                    f
                    for f in b.findings
                    if all(
                        i.view.name not in names
                        for i in prediction.images
                        for r in f.regions
                        if r.image_id == i.image_id
                    )
                ),
            )
            for b in prediction.breasts
        ),
    )


def objects_of(exam: Exam, prediction=None, **options) -> dict[str, DicomObject]:
    """Everything that can be made, by name."""
    used = DicomOptions(**{"kinds": KINDS, "created": CREATED, **options})
    made = dicom_objects(prediction or prediction_of(exam), exam, used)
    return {o.name: o for o in made if isinstance(o, DicomObject)}


def not_made(exam: Exam, prediction=None, **options) -> dict[str, str]:
    used = DicomOptions(**{"kinds": KINDS, "created": CREATED, **options})
    made = dicom_objects(prediction or prediction_of(exam), exam, used)
    return {o.name: o.reason for o in made if isinstance(o, NotMade)}


def parsed(made: DicomObject) -> pydicom.FileDataset:
    """What is in the file, read by pydicom."""
    return pydicom.dcmread(io.BytesIO(made.data))


def all_items(dataset: Dataset) -> Iterator[Dataset]:
    """A content item and all below it."""
    yield dataset
    for child in dataset.get("ContentSequence", Sequence([])):
        yield from all_items(child)


def named(dataset: Dataset, code: str) -> list[Dataset]:
    """Content items with a concept name."""
    return [
        item
        for item in all_items(dataset)
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == code
    ]
