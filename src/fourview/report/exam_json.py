"""ExamPrediction <-> JSON, without loss.

Floats are written with all their digits and come back bit for bit; unknown is null. Regions are in
the stored frame; a heatmap is a grid over the processed frame and brings the way back with it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fourview.entities import (
    Asked,
    BreastPrediction,
    ExamPrediction,
    Finding,
    Heatmap,
    ImagePrediction,
    LeftOut,
    Patch,
    Region,
    Side,
    View,
)
from fourview.entities.reasons import Reason
from fourview.errors import ReportError
from fourview.geometry import Box, Geometry

SCHEMA = "fourview.exam"
SCHEMA_VERSION = 1  # raised when a field changes its meaning or goes, not when one is added
RESEARCH_USE = "Research use only. Not a medical device."


class _Node(BaseModel):
    """Wrong types are refused; fields that this version does not know are passed over."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Region(_Node):
    image_id: str
    box: list[float]  # x0 y0 x1 y1
    polygon: list[list[float]] | None
    score: float | None = None
    depth_mm: float | None = None
    nipple_mm: float | None = None

    def entity(self) -> Region:
        x0, y0, x1, y1 = self.box
        polygon = None if self.polygon is None else tuple((x, y) for x, y in self.polygon)
        return Region(
            image_id=self.image_id,
            box=Box(x0, y0, x1, y1),
            polygon=polygon,
            score=self.score,
            depth_mm=self.depth_mm,
            nipple_mm=self.nipple_mm,
        )


class _Patch(_Node):
    image_id: str
    box: list[float]  # x0 y0 x1 y1
    score: float

    def entity(self) -> Patch:
        x0, y0, x1, y1 = self.box
        return Patch(image_id=self.image_id, box=Box(x0, y0, x1, y1), score=self.score)


class _Finding(_Node):
    finding_id: str
    side: Side
    kind: str
    score: float | None
    malignant: bool | None
    source: str
    regions: list[_Region]
    patches: list[_Patch] = []
    nipple_mm: float | None = None
    quadrant: str = ""

    def entity(self) -> Finding:
        return Finding(
            finding_id=self.finding_id,
            side=self.side,
            kind=self.kind,
            score=self.score,
            malignant=self.malignant,
            source=self.source,
            regions=tuple(r.entity() for r in self.regions),
            patches=tuple(p.entity() for p in self.patches),
            nipple_mm=self.nipple_mm,
            quadrant=self.quadrant,
        )


class _Breast(_Node):
    side: Side
    score: float | None
    scores: dict[str, float] = {}
    findings: list[_Finding]
    notes: list[str]

    def entity(self) -> BreastPrediction:
        return BreastPrediction(
            side=self.side,
            score=self.score,
            scores=self.scores,
            findings=tuple(f.entity() for f in self.findings),
            notes=tuple(self.notes),
        )


class _Step(_Node):
    name: str
    matrix: list[float]
    size: list[int]


class _Geometry(_Node):
    stored_size: list[int]
    steps: list[_Step]


class _Heatmap(_Node):
    class_name: str
    dtype: Literal["float16", "float32", "float64"]
    values: list[list[float | None]]
    geometry: _Geometry

    def entity(self, image_id: str) -> Heatmap:
        return Heatmap(
            image_id=image_id,
            class_name=self.class_name,
            values=np.array(self.values, dtype=self.dtype),
            geometry=Geometry.from_json(self.geometry.model_dump()),
        )


class _View(_Node):
    side: Side
    position: str
    modifiers: list[str]
    source: str

    def entity(self) -> View:
        return View(
            side=self.side,
            position=self.position,
            modifiers=tuple(self.modifiers),
            source=self.source,
        )


class _Image(_Node):
    image_id: str
    view: _View
    score: float | None
    scores: dict[str, float] = {}
    heatmaps: list[_Heatmap]
    notes: list[str]

    def entity(self) -> ImagePrediction:
        return ImagePrediction(
            image_id=self.image_id,
            view=self.view.entity(),
            score=self.score,
            scores=self.scores,
            heatmaps=tuple(h.entity(self.image_id) for h in self.heatmaps),
            notes=tuple(self.notes),
        )


class _LeftOut(_Node):
    path: str
    reason: Annotated[Reason, Field(strict=False)]  # in JSON it is the word
    detail: str
    image_id: str | None

    def entity(self) -> LeftOut:
        return LeftOut(
            path=self.path, reason=self.reason, detail=self.detail, image_id=self.image_id
        )


class _Asked(_Node):
    name: str
    classes: list[str]
    exclusive: bool

    def entity(self) -> Asked:
        return Asked(name=self.name, classes=tuple(self.classes), exclusive=self.exclusive)


class _Exam(_Node):
    patient_id: str
    exam_id: str
    model: str
    model_digest: str
    pixel_spec: str
    precision: str
    terms: str
    breasts: list[_Breast]
    images: list[_Image]
    left_out: list[_LeftOut]
    notes: list[str]
    asked: list[_Asked] = []
    caution: str = ""

    def entity(self) -> ExamPrediction:
        return ExamPrediction(
            patient_id=self.patient_id,
            exam_id=self.exam_id,
            breasts=tuple(b.entity() for b in self.breasts),
            images=tuple(i.entity() for i in self.images),
            model=self.model,
            model_digest=self.model_digest,
            pixel_spec=self.pixel_spec,
            terms=self.terms,
            precision=self.precision,
            left_out=tuple(x.entity() for x in self.left_out),
            notes=tuple(self.notes),
            asked=tuple(a.entity() for a in self.asked),
            caution=self.caution,
        )


def exam_to_json(prediction: ExamPrediction) -> dict[str, Any]:
    """Everything of a prediction as plain containers that ``json.dumps(allow_nan=False)`` takes."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "use": RESEARCH_USE,
        "frames": {"regions": "stored", "heatmaps": "processed"},
        "patient_id": prediction.patient_id,
        "exam_id": prediction.exam_id,
        "model": prediction.model,
        "model_digest": prediction.model_digest,
        "pixel_spec": prediction.pixel_spec,
        "precision": prediction.precision,
        "terms": prediction.terms,
        "caution": prediction.caution,
        "asked": [
            {"name": a.name, "classes": list(a.classes), "exclusive": a.exclusive}
            for a in prediction.asked
        ],
        "breasts": [_breast(b) for b in prediction.breasts],
        "images": [_image(i) for i in prediction.images],
        "left_out": [
            {"path": x.path, "reason": x.reason.value, "detail": x.detail, "image_id": x.image_id}
            for x in prediction.left_out
        ],
        "notes": list(prediction.notes),
    }


def exam_from_json(data: Mapping[str, Any]) -> ExamPrediction:
    """What ``exam_to_json`` gave.

    Raises:
        ReportError: The schema or its version is another, or a field is missing or wrong; the
            message names the field.
    """
    schema, version = data.get("schema"), data.get("schema_version")
    if schema != SCHEMA or version != SCHEMA_VERSION:
        raise ReportError(
            f"JSON has schema {schema!r} version {version!r}, need {SCHEMA!r} version "
            f"{SCHEMA_VERSION}; give a result.json that this version wrote"
        )
    try:
        return _Exam.model_validate(dict(data)).entity()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"JSON of an exam: {where}: {first['msg']}") from error
    except (ValueError, IndexError) as error:  # an empty box, a ragged grid, a short matrix
        raise ReportError(f"JSON of an exam: {error}") from error


def _breast(breast: BreastPrediction) -> dict[str, Any]:
    return {
        "side": breast.side,
        "score": _number(breast.score),
        "scores": dict(breast.scores),
        "findings": [_finding(f) for f in breast.findings],
        "notes": list(breast.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "side": finding.side,
        "kind": finding.kind,
        "score": _number(finding.score),
        "malignant": finding.malignant,
        "source": finding.source,
        "nipple_mm": _number(finding.nipple_mm),
        "quadrant": finding.quadrant,
        "regions": [
            {
                "image_id": r.image_id,
                "box": [float(v) for v in (r.box.x0, r.box.y0, r.box.x1, r.box.y1)],
                "polygon": None
                if r.polygon is None
                else [[float(x), float(y)] for x, y in r.polygon],
                "score": _number(r.score),
                "depth_mm": _number(r.depth_mm),
                "nipple_mm": _number(r.nipple_mm),
            }
            for r in finding.regions
        ],
        "patches": [
            {
                "image_id": p.image_id,
                "box": [float(v) for v in (p.box.x0, p.box.y0, p.box.x1, p.box.y1)],
                "score": float(p.score),
            }
            for p in finding.patches
        ],
    }


def _image(image: ImagePrediction) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "view": {
            "side": image.view.side,
            "position": image.view.position,
            "modifiers": list(image.view.modifiers),
            "source": image.view.source,
        },
        "score": _number(image.score),
        "scores": dict(image.scores),
        "heatmaps": [
            {
                "class_name": h.class_name,
                "dtype": h.values.dtype.name,
                "values": [[_number(v) for v in row] for row in h.values.tolist()],
                "geometry": h.geometry.to_json(),
            }
            for h in image.heatmaps
        ],
        "notes": list(image.notes),
    }


def _number(value: float | None) -> float | None:
    """NaN is unknown, so it is written as null, as None is."""
    return None if value is None or np.isnan(value) else float(value)
