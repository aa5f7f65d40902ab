"""What the room's worker process computes: the only part of the room that imports torch."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourview.dicom.image import read_image
from fourview.entities import Exam, ExamPrediction, Image, ImagePrediction, LeftOut, ProcessedImage
from fourview.entities.reasons import reason_of
from fourview.errors import CheckpointError, FourviewError
from fourview.predict.engine import PLAIN
from fourview.predict.language import LanguageModel, load_language_model
from fourview.predict.language_maps import LanguageMaps
from fourview.predict.reader import load_model
from fourview.report.exam_json import exam_to_json
from fourview.serve.cohort import WHOLE
from fourview.serve.maps import Ask, Row
from fourview.store.breast_scale import scales_of_exam
from fourview.store.read_image import process_as_prepared, read_listed_image

EXAMS_KEPT = 4  # in memory


def answer(ask: Ask) -> dict[str, Any]:
    """Do one job.

    Raises:
        FourviewError: The run cannot be loaded, or the exam cannot be read.
    """
    if ask.what == "predict":
        return exam_to_json(_reader(ask.run).predict(_exam(ask.files)))
    model = _language(ask.run)
    if ask.what == "agreement":
        return _agreement(model, _exam(ask.files), ask.side)
    maps = LanguageMaps(model, [ask.sentence])
    if not maps.says:
        raise CheckpointError(f"{model.card.recipe} looks for no sentences; name a run of mama")
    exam = _exam(ask.files)
    return exam_to_json(maps.add(exam, _silent(exam, model)))


@lru_cache(maxsize=2)
def _reader(run: str) -> Any:
    return load_model(run, engine=PLAIN)


@lru_cache(maxsize=2)
def _language(run: str) -> LanguageModel:
    return load_language_model(Path(run))


_EXAMS: dict[tuple[str, ...], Exam] = {}


def _exam(files: Sequence[Row]) -> Exam:
    """The exam of these files; one that cannot be read is left out."""
    key = tuple(path for path, _ in files)
    if key not in _EXAMS:
        images: list[Image] = []
        left_out: list[LeftOut] = []
        for path, row in files:
            try:
                whole = Path(path)
                images.append(
                    read_image(whole) if row is None else read_listed_image(whole, row, WHOLE)
                )
            except FourviewError as error:
                left_out.append(LeftOut(path=path, reason=reason_of(error), detail=str(error)))
        if not images:
            raise FourviewError(f"no image of the exam can be read: {left_out[0].detail}")
        if len(_EXAMS) >= EXAMS_KEPT:
            _EXAMS.pop(next(iter(_EXAMS)))
        first = images[0]
        _EXAMS[key] = Exam(
            patient_id=first.patient_id,
            exam_id=first.exam_id,
            images=tuple(images),
            left_out=tuple(left_out),
        )
    return _EXAMS[key]


def _silent(exam: Exam, model: LanguageModel) -> ExamPrediction:
    """A prediction without a score, to which heatmaps are added."""
    return ExamPrediction(
        patient_id=exam.patient_id,
        exam_id=exam.exam_id,
        breasts=(),
        images=tuple(
            ImagePrediction(image_id=i.image_id, view=i.view, score=None) for i in exam.images
        ),
        model=model.card.recipe,
        model_digest=model.card.digest,
        pixel_spec=f"{model.spec.name} {model.spec.fingerprint}",
        terms=model.card.terms,
    )


def _agreement(model: LanguageModel, exam: Exam, side: str) -> dict[str, Any]:
    """Cosines (row, col, column) and attention (row, col, column, row) of a breast's two views.

    Also each view's image id, the grid, and the geometry from its stored to its processed pixels.
    """
    if not model.model.has_slice_maps:
        raise CheckpointError(f"{model.card.recipe} compares no views; name a run of glam")
    views = {}
    scale = scales_of_exam(exam, model.spec).get(side)
    for position in ("CC", "MLO"):
        name = f"{side}-{position}"
        image = next((i for i in exam.images if i.view.name == name), None)
        if image is None:
            raise FourviewError(f"the exam has no {name}")
        views[position] = process_as_prepared(image, model.spec, scale=scale)
    with torch.inference_mode():
        cc, mlo = (_stack(views[p]) for p in ("CC", "MLO"))
        cosines, rows = model.model.patch_to_slice(cc, mlo)
    return {
        "cosines": cosines[0].float().cpu().numpy().tolist(),
        "attention": rows[0].float().cpu().numpy().tolist(),
        "views": {
            position: {"image_id": p.image_id, "geometry": p.geometry.to_json()}
            for position, p in views.items()
        },
    }


def _stack(processed: ProcessedImage) -> torch.Tensor:
    return torch.from_numpy(processed.pixels.astype(np.float32))[None, None]
