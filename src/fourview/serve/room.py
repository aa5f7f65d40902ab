"""The state of a room in which a person looks around: sources, pixels, keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

import fourview
from fourview.entities import ExamPrediction, Image
from fourview.errors import FourviewError
from fourview.evaluate.protocols import Protocol, find_protocol
from fourview.report.overlay import ramp
from fourview.serve.cohort import Cohort, ExamId, ListedExam
from fourview.serve.keys import Keys
from fourview.serve.pixels import Held, PixelStore
from fourview.serve.predictions import Source, TableSource
from fourview.serve.wire import findings_json, heatmaps_json, images_json, prediction_json
from fourview.serve.worklist import Query, Worklist

BANNER = "Fourview, research use only. Not a diagnostic display."
PROTOCOL = "screening-breast-v1"  # what a label is, where nothing else is asked for
Json = dict[str, Any]


@dataclass(slots=True)
class Room:
    """What all requests share.

    Attributes:
        cohort: The exams.
        sources: Predictions, the main ones first.
        keys: Names of things on the wire.
        pixels: Images in memory.
        worklist: All exams as a list.
        notes: Sentences for the banner.
        voi: What a manifest says of an image's window, once its exam was listed.
        tables: The sources that are predictions tables.
        threshold: Operating point on a breast's score, for the list's outcomes.
    """

    cohort: Cohort
    sources: tuple[Source, ...]
    keys: Keys
    pixels: PixelStore
    worklist: Worklist
    notes: tuple[str, ...] = ()
    voi: dict[str, str | None] = field(default_factory=dict)
    tables: tuple[TableSource, ...] = ()
    threshold: float | None = None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        sources: Sequence[Source] = (),
        *,
        protocol: Protocol | None = None,
        cache_bytes: int,
        notes: Sequence[str] = (),
        secret: bytes | None = None,
    ) -> "Room":
        """A room over a cohort."""
        voi: dict[str, str | None] = {}

        def read(image_id: str) -> tuple[Image, str | None]:
            return cohort.read(image_id), voi.get(image_id)

        pixels = PixelStore(read, cache_bytes)
        rules = protocol or find_protocol(PROTOCOL)
        worklist = Worklist(cohort.exams(), cohort.manifest, sources, rules)
        return cls(cohort, tuple(sources), Keys(secret), pixels, worklist, tuple(notes), voi)

    def listed(self, which: ExamId) -> ListedExam:
        """An exam, whose images may be asked for from now on."""
        exam = self.cohort.exam(which)
        self.voi.update({image.image_id: image.voi for image in exam.images})
        return exam

    def exam_key(self, which: ExamId) -> str:
        """The key of an exam."""
        return self.keys.of("exam", *which)

    def exam_id(self, key: str) -> ExamId:
        """The exam of a key."""
        patient_id, exam_id = self.keys.names(key, "exam")
        return patient_id, exam_id

    def image_keys(self, exam: ListedExam) -> dict[str, str]:
        """Keys of an exam's images, by image_id."""
        return {i.image_id: self.keys.of("image", i.image_id) for i in exam.images}

    def held(self, key: str) -> Held:
        """The image of a key, read if need be."""
        return self.pixels.get(self.keys.names(key, "image")[0])

    def predictions(self, exam: ListedExam) -> list[tuple[str, ExamPrediction]]:
        """What each source says of an exam; a source that fails says so in the notes."""
        predictions = []
        for source in self.sources:
            prediction = source.of(exam)
            if prediction is not None:
                predictions.append((source.name, prediction))
        return predictions

    def worklist_json(self, query: Query) -> Json:
        """A page of the worklist."""
        return self.worklist.answer(query, lambda *which: self.exam_key(which))

    def priors_json(self, exam: ListedExam) -> list[Json]:
        """Earlier exams of the same patient, the latest first."""
        if not exam.date:
            return []
        mine = (pl.col("patient_id") == exam.patient_id) & (pl.col("exam_id") != exam.exam_id)
        earlier = mine & (pl.col("date") != "") & (pl.col("date") < exam.date)
        rows = self.worklist.frame.filter(earlier).sort("date", descending=True)
        priors = []
        for row in rows.iter_rows(named=True):
            prior = self.listed((row["patient_id"], row["exam_id"]))
            priors.append(
                {"date": prior.date, "images": images_json(prior, self.image_keys(prior))}
            )
        return priors

    def exam_json(self, key: str) -> Json:
        """An exam with all that is known of it, but its pixels and heatmaps."""
        exam = self.listed(self.exam_id(key))
        keys = self.image_keys(exam)
        notes = list(exam.notes)
        notes += [f"left out: {out.path}: {out.detail}" for out in exam.left_out]
        try:
            predictions = self.predictions(exam)
        except (FourviewError, json.JSONDecodeError, OSError) as error:
            predictions = []
            notes.append(f"a prediction cannot be shown: {error}")
        return {
            "key": key,
            "exam": exam.exam_id,
            "patient": exam.patient_id,
            "date": exam.date,
            "images": images_json(exam, keys),
            "predictions": [prediction_json(p, name, keys) for name, p in predictions],
            "priors": self.priors_json(exam),
            "labels": self.cohort.labels((exam.patient_id, exam.exam_id)),
            "truth": findings_json(
                self.cohort.known_findings((exam.patient_id, exam.exam_id)), keys
            ),
            "notes": notes,
        }

    def heatmaps_json(self, key: str, place: int) -> list[Json]:
        """The heatmaps of the prediction at a place of the exam's list."""
        exam = self.listed(self.exam_id(key))
        predictions = self.predictions(exam)
        if not 0 <= place < len(predictions):
            return []
        keys = self.image_keys(exam)
        heatmaps = [h for image in predictions[place][1].images for h in image.heatmaps]
        return heatmaps_json([h for h in heatmaps if h.image_id in keys], keys)

    def session_json(self) -> Json:
        """What can be done in this room."""
        return {
            "version": fourview.__version__,
            "mode": "look",
            "cohort": self.cohort.name,
            "banner": BANNER,
            "notes": list(self.notes),
            "sources": [source.name for source in self.sources],
            "features": self.features(),
            "threshold": self.threshold,
            "ramp": ramp()[:, [2, 1, 0, 3]].ravel().tolist(),
        }

    def features(self) -> Mapping[str, bool]:
        """Which of the optional things there are."""
        return {"predictions": bool(self.sources), "truth": self.cohort.manifest is not None}
