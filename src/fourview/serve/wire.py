"""What goes over the wire: JSON that is built here, and bodies that are checked here."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fourview.entities import ExamPrediction, Finding, Heatmap
from fourview.geometry import Geometry
from fourview.report.overlay import short_names
from fourview.report.words import other_texts
from fourview.serve.cohort import ListedExam, ListedImage

MAX_SENTENCE = 200
MAX_POINTS = 500
Json = dict[str, Any]


def image_json(image: ListedImage, key: str, *, first_of_slot: bool) -> Json:
    """What the page knows of an image before its pixels are read."""
    view = image.view
    return {
        "key": key,
        "view": "unknown" if view is None else view.name,
        "side": None if view is None else view.side,
        "position": None if view is None else view.position,
        "modifiers": [] if view is None else list(view.modifiers),
        "slot": view.slot if view is not None and first_of_slot else None,
        "rows": image.rows,
        "cols": image.cols,
        "spacing": image.spacing_mm,
    }


def images_json(exam: ListedExam, keys: Mapping[str, str]) -> list[Json]:
    """The images of an exam; the first of each slot hangs in it."""
    taken: set[int] = set()
    rows = []
    for image in exam.images:
        slot = None if image.view is None else image.view.slot
        first = slot is not None and slot not in taken
        if slot is not None:
            taken.add(slot)
        rows.append(image_json(image, keys[image.image_id], first_of_slot=first))
    return rows


def findings_json(findings: Sequence[Finding], keys: Mapping[str, str]) -> list[Json]:
    """Findings with their regions in stored pixels, by the keys of their images."""
    names = short_names(findings)
    return [
        {
            "name": names[finding.finding_id],
            "side": finding.side,
            "kind": finding.kind,
            "score": finding.score,
            "malignant": finding.malignant,
            "source": finding.source,
            "regions": [
                {
                    "image": keys[region.image_id],
                    "box": [region.box.x0, region.box.y0, region.box.x1, region.box.y1],
                    "polygon": region.polygon,
                }
                for region in finding.regions
                if region.image_id in keys
            ],
        }
        for finding in findings
    ]


def prediction_json(prediction: ExamPrediction, name: str, keys: Mapping[str, str]) -> Json:
    """A prediction without its heatmaps, and how many of those there are."""
    findings = [finding for breast in prediction.breasts for finding in breast.findings]
    return {
        "name": name,
        "model": prediction.model,
        "breasts": [
            {
                "side": b.side,
                "score": b.score,
                "scores": dict(b.scores),
                "notes": [*other_texts(prediction, b), *b.notes],
            }
            for b in prediction.breasts
        ],
        "findings": findings_json(findings, keys),
        "num_heatmaps": sum(len(image.heatmaps) for image in prediction.images),
        "notes": [*([prediction.caution] if prediction.caution else []), *prediction.notes],
    }


def heatmaps_json(heatmaps: Sequence[Heatmap], keys: Mapping[str, str]) -> list[Json]:
    """Heatmaps as grids with the way from stored pixels to them."""
    return [heatmap_json(heatmap, keys[heatmap.image_id]) for heatmap in heatmaps]


def heatmap_json(heatmap: Heatmap, key: str) -> Json:
    """One heatmap; an unknown value is -1."""
    rows, cols = heatmap.values.shape
    return {
        "image": key,
        "class": heatmap.class_name,
        "rows": rows,
        "cols": cols,
        "matrix": stored_to_grid(heatmap.geometry, (rows, cols)).ravel().tolist(),
        "values": floats(np.where(np.isnan(heatmap.values), -1, heatmap.values)),
    }


def stored_to_grid(geometry: Geometry, grid: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
    """The affine map from stored pixels (x, y) to the cells of a grid over the processed frame."""
    rows, cols = geometry.processed_size
    scale = np.array([grid[1] / cols, grid[0] / rows])
    return np.asarray(geometry.matrix() * scale[:, None])


def floats(values: Float[np.ndarray, "*many"]) -> str:
    """Values as base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


class Body(BaseModel):
    """A body that the page sends; unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Say(Body):
    """A sentence to look for."""

    sentence: str = Field(min_length=1, max_length=MAX_SENTENCE)


Point = tuple[float, float]


class Annotation(Body):
    """Something that a person marked, in stored pixels.

    Attributes:
        id: Made by the page; the same one again replaces it.
        points: Two corners of a box, the corners of a polygon (an ellipse is one of 32), or one.
    """

    id: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")
    image: str = Field(max_length=32)
    shape: Literal["box", "ellipse", "polygon", "point"]
    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    kind: str = Field(default="finding", max_length=40)
    malignant: bool | None = None
    remark: str = Field(default="", max_length=1000)

    @model_validator(mode="after")
    def _has_enough_points(self) -> "Annotation":
        least = {"box": 2, "ellipse": 3, "polygon": 3, "point": 1}[self.shape]
        if len(self.points) < least:
            raise ValueError(f"a {self.shape} needs at least {least} points")
        return self


class Annotations(Body):
    """All that is marked on an exam; what is missing was deleted."""

    annotations: list[Annotation] = Field(max_length=200)
