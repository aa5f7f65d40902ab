"""What is added to an exam on request: curve, outcomes, axes, networks' heatmaps, annotations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fourview.entities import ExamPrediction
from fourview.errors import FourviewError, ServeError
from fourview.evaluate.protocols import Protocol
from fourview.geometry import Geometry
from fourview.report.exam_json import exam_from_json
from fourview.serve.annotations import AnnotationStore
from fourview.serve.axes import Axis, axis_json, axis_of
from fourview.serve.cohort import ListedExam
from fourview.serve.curve import Curve
from fourview.serve.maps import Networks, Row
from fourview.serve.room import Room
from fourview.serve.wire import (
    Annotations,
    Say,
    floats,
    heatmaps_json,
    prediction_json,
    stored_to_grid,
)

Json = dict[str, Any]


@dataclass(slots=True)
class Extras:
    """Answers beside those of the room.

    Attributes:
        room: Exams and their pixels.
        protocol: Of the curve and of hits.
        networks: Models at work.
        annotations: Where marks are kept.
    """

    room: Room
    protocol: Protocol
    networks: Networks
    annotations: AnnotationStore
    _curves: dict[int, Curve] = field(default_factory=dict)
    _axes: dict[str, Axis | str] = field(default_factory=dict)

    def features(self) -> Mapping[str, bool]:
        """Which of the optional things there are."""
        return {
            **self.room.features(),
            "curve": bool(self.room.tables) and self.room.cohort.manifest is not None,
            "model": self.networks.model is not None,
            "maps": self.networks.maps is not None,
            "annotations": True,
        }

    def session_json(self) -> Json:
        """The room's session, with what is added here."""
        return {**self.room.session_json(), "features": self.features()}

    def exam_json(self, key: str) -> Json:
        """An exam with its annotations, and hits and misses of the tables' marks."""
        body = self.room.exam_json(key)
        exam = self.room.listed(self.room.exam_id(key))
        keys = self.room.image_keys(exam)
        body["annotations"] = self._annotations(exam, keys)
        by_name = {table.name: place for place, table in enumerate(self.room.tables)}
        for prediction in body["predictions"]:
            place = by_name.get(prediction["name"])
            if place is not None and self.room.cohort.manifest is not None:
                prediction["outcomes"] = self._outcomes(place, keys)
        return body

    def curve_json(self, place: int) -> Json:
        """The curve of a predictions table."""
        return self._curve(place).json()

    def axes_json(self, key: str) -> Json:
        """The axis of each CC and MLO of an exam by its image's key, or why it has none."""
        exam = self.room.listed(self.room.exam_id(key))
        axes: Json = {}
        for image_id, image_key in self.room.image_keys(exam).items():
            if image_id not in self._axes:
                self._axes[image_id] = self._axis(image_id)
            axis = self._axes[image_id]
            axes[image_key] = {"reason": axis} if isinstance(axis, str) else axis_json(axis)
        return axes

    def predict_json(self, key: str) -> Json:
        """What the model says of an exam now, with its heatmaps."""
        exam = self.room.listed(self.room.exam_id(key))
        prediction = exam_from_json(self.networks.predict(self._files(exam)))
        return self._spoken(prediction, exam)

    def say_json(self, key: str, body: Say) -> Json:
        """Where a sentence is, in all images of an exam."""
        exam = self.room.listed(self.room.exam_id(key))
        sentence = " ".join(body.sentence.split())
        if not sentence:
            raise FourviewError("the sentence is empty")
        return self._spoken(exam_from_json(self.networks.say(self._files(exam), sentence)), exam)

    def agreement_json(self, key: str, side: str) -> Json:
        """Agreement and attention of one breast, with the grids over its two views."""
        if side not in ("R", "L"):
            raise ServeError(f"side is '{side[:8]}', need R or L")
        exam = self.room.listed(self.room.exam_id(key))
        maps = self.networks.agreement(self._files(exam), side)
        keys = self.room.image_keys(exam)
        cosines = np.array(maps["cosines"])
        rows, cols, columns = cosines.shape
        attention = np.array(maps["attention"])
        grids = {"CC": (rows, cols), "MLO": (attention.shape[3], columns)}
        answer: Json = {"cosines": floats(cosines), "attention": floats(attention)}
        for position, grid in grids.items():
            view = maps["views"][position]
            matrix = stored_to_grid(Geometry.from_json(view["geometry"]), grid)
            answer[position] = {
                "image": keys[view["image_id"]],
                "rows": grid[0],
                "cols": grid[1],
                "matrix": matrix.ravel().tolist(),
            }
        return answer

    def save_annotations(self, key: str, body: Annotations) -> None:
        """Keep what is marked on an exam now."""
        exam = self.room.listed(self.room.exam_id(key))
        keys = self.room.image_keys(exam)
        sides = {i.image_id: i.view.side if i.view is not None else None for i in exam.images}
        by_key = {image_key: image_id for image_id, image_key in keys.items()}
        which = (exam.patient_id, exam.exam_id)
        self.annotations.save(which, body.annotations, by_key, sides)

    def _annotations(self, exam: ListedExam, keys: Mapping[str, str]) -> list[Json]:
        kept = self.annotations.of((exam.patient_id, exam.exam_id))
        names = ("id", "shape", "points", "kind", "malignant", "remark")
        return [
            {"image": keys[row["image_id"]], **{name: row[name] for name in names}}
            for row in kept
            if row["image_id"] in keys
        ]

    def _curve(self, place: int) -> Curve:
        manifest = self.room.cohort.manifest
        if manifest is None or not 0 <= place < len(self.room.tables):
            raise ServeError("no curve: it needs --manifest and --predictions")
        if place not in self._curves:
            self._curves[place] = Curve(self.room.tables[place], manifest, self.protocol)
        return self._curves[place]

    def _outcomes(self, place: int, keys: Mapping[str, str]) -> Json:
        outcomes = self._curve(place).outcomes(list(keys))
        for rows in outcomes.values():
            for row in rows:
                row["image"] = keys[row.pop("image_id")]
        return outcomes

    def _axis(self, image_id: str) -> Axis | str:
        try:
            held = self.room.pixels.get(image_id)
        except FourviewError:
            return "the image cannot be read"
        return axis_of(held.image, held.hung)

    def _spoken(self, prediction: ExamPrediction, exam: ListedExam) -> Json:
        keys = self.room.image_keys(exam)
        heatmaps = [h for image in prediction.images for h in image.heatmaps if h.image_id in keys]
        name = prediction.model
        return {
            "prediction": prediction_json(prediction, name, keys),
            "heatmaps": heatmaps_json(heatmaps, keys),
        }

    def _files(self, exam: ListedExam) -> tuple[Row, ...]:
        files = self.room.cohort.files((exam.patient_id, exam.exam_id))
        return tuple((str(path), row) for path, row in files)
