"""A reader study being read: sessions, blinding, what each reader is shown now.

Blinding is by not sending: labels, scores, file names, dates, patient and exam ids, other readers
and the arm's name never leave the server; keys of exams and images differ by reader and arm.
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

import fourview
from fourview.disk import write_text
from fourview.entities import SIDES, ExamPrediction, Image
from fourview.errors import FourviewError, ServeError
from fourview.evaluate.protocols import find_protocol
from fourview.json_file import read_json_object
from fourview.manifest.manifest import manifest_hash, read_manifest
from fourview.report.overlay import ramp
from fourview.serve.answers import Login, Sheet, check_answers, stored_answers
from fourview.serve.cohort import ExamId, ListedExam, ManifestCohort
from fourview.serve.keys import Keys
from fourview.serve.pixels import Held, PixelStore
from fourview.serve.predictions import ResultSource, Source, TableSource, check_manifest_hash
from fourview.serve.readings import STUDY, Journal, Reading
from fourview.serve.room import BANNER
from fourview.serve.study import Plan, Task, next_task, read_plan, stratum, tasks
from fourview.serve.wire import heatmaps_json, images_json

LEASE_S = 60.0  # a session that is silent for so long is over
TRIES, TRIES_WAIT_S = 5, 30.0  # wrong PINs, then a wait
Json = dict[str, Any]


class RefusedError(ServeError):
    """A reader may not do this now: a wrong PIN, or a second window."""


@dataclass(slots=True)
class Session:
    """A reader at work.

    Attributes:
        task: What is being read; None between readings.
        exam_key: Of the task.
        images: image_id by key, of the task.
    """

    reader: str
    heard: float
    task: Task | None = None
    exam_key: str = ""
    images: dict[str, str] = field(default_factory=dict)


class StudyRoom:
    """The study of a plan, with its journal.

    Args:
        plan_path: study.toml.
        out: Folder of the readings.
        cache_bytes: Of images in memory.
        anyway: Accept predictions that were made from another manifest.

    Raises:
        FourviewError: The plan does not fit the manifest, or the folder holds another study.
    """

    def __init__(
        self, plan_path: Path, out: Path, *, cache_bytes: int, anyway: bool = False
    ) -> None:
        self.plan: Plan = read_plan(plan_path)
        base = plan_path.parent
        self.manifest = read_manifest(base / self.plan.manifest)
        self.cohort = ManifestCohort(self.manifest)
        self.exams = _chosen(self.plan, self.cohort)
        self.hash = manifest_hash(self.manifest)
        self.sources = self._sources(base, anyway=anyway)
        self.journal = Journal(out)
        self._remember(out)
        self.keys = Keys(_secret(out))
        self.sessions: dict[str, Session] = {}
        self.pixels = PixelStore(self._read, cache_bytes)
        self._voi: dict[str, str | None] = {}
        self._tries: dict[str, tuple[int, float]] = {}
        self._lock = threading.RLock()
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def _sources(self, base: Path, *, anyway: bool) -> list[Source]:
        protocol = find_protocol(self.plan.protocol)
        sources: list[Source] = []
        if self.plan.predictions is not None:
            path = base / self.plan.predictions
            table = TableSource(path, protocol.classes[0], self.manifest, protocol)
            check_manifest_hash([table], self.hash, anyway=anyway)
            sources.append(table)
        if self.plan.results is not None:
            sources.insert(0, ResultSource(base / self.plan.results))
        return sources

    def _remember(self, out: Path) -> None:
        """Write what the study is, or check that it is the one that was begun here."""
        settings = {
            "plan": self.plan.model_dump(mode="json"),
            "manifest_hash": self.hash,
            "terms": self.manifest.terms,
            "exams": [list(exam) for exam in self.exams],
        }
        path = out / STUDY
        if not path.exists():
            write_text(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
            return
        try:
            before = read_json_object(path)
        except ValueError as error:
            raise ServeError(
                f"{path}: describes no reader study ({error}); name another --out"
            ) from error
        changed = [name for name, value in settings.items() if before.get(name) != value]
        if changed:
            raise ServeError(
                f"{path}: the study was begun with another {', '.join(changed)}; put that back, or "
                "name another --out"
            )

    def _read(self, image_id: str) -> tuple[Image, str | None]:
        return self.cohort.read(image_id), self._voi.get(image_id)

    def session_json(self) -> Json:
        """What the page may know before anyone has said who they are."""
        return {
            "version": fourview.__version__,
            "mode": "study",
            "banner": BANNER,
            "notes": [],
            "study": self.plan.name,
            "questions": self.plan.questions.model_dump(),
            "steps": list(self.plan.steps),
            "ramp": ramp()[:, [2, 1, 0, 3]].ravel().tolist(),
        }

    def login(self, body: Login) -> Json:
        """Begin a session of a reader.

        Raises:
            RefusedError: The code or PIN is wrong, or the reader is at work in another window.
        """
        with self._lock:
            tries, since = self._tries.get(body.code, (0, 0.0))
            if tries >= TRIES and time.monotonic() - since < TRIES_WAIT_S:
                raise RefusedError(f"too many tries; wait {TRIES_WAIT_S:g} s")
            reader = self.plan.reader(body.code)
            if reader is None or not self.journal.check_pin(body.code, body.pin):
                # After the wait the count begins again.
                self._tries[body.code] = (tries % TRIES + 1, time.monotonic())
                raise RefusedError("the code or the PIN is wrong")
            self._tries.pop(body.code, None)
            self._end_old()
            if any(session.reader == reader.code for session in self.sessions.values()):
                raise RefusedError(
                    "this reader is at work in another window; close it, or wait a minute"
                )
            token = secrets.token_urlsafe(24)
            self.sessions[token] = Session(reader.code, time.monotonic())
            return {"session": token, "name": reader.name}

    def session(self, token: str) -> Session:
        """The session of a token, heard of now.

        Raises:
            RefusedError: There is none, or it has ended.
        """
        with self._lock:
            self._end_old()
            if token not in self.sessions:
                raise RefusedError("this session has ended; begin again")
            self.sessions[token].heard = time.monotonic()
            return self.sessions[token]

    def logout(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self.sessions.pop(token, None)

    def _end_old(self) -> None:
        limit = time.monotonic() - LEASE_S
        for token in [t for t, session in self.sessions.items() if session.heard < limit]:
            del self.sessions[token]

    def next_json(self, token: str) -> Json:
        """What the reader reads now, and how far the reader is."""
        session = self.session(token)
        todo = tasks(self.plan, self.exams, session.reader)
        following = next_task(self.plan, todo, self.journal.done(session.reader), self.now())
        body: Json = {"number": following.number, "total": following.total, "done": following.done}
        with self._lock:
            session.task, session.images = following.task, {}
        if following.task is None:
            waits = following.waits_until
            return {**body, "exam": None, "waits_until": waits.isoformat() if waits else None}
        return {**body, "exam": self._exam_json(session, following.task)}

    def _exam_json(self, session: Session, task: Task) -> Json:
        exam = self.cohort.exam(task.exam)
        scope = (session.reader, task.arm)
        self._voi.update({image.image_id: image.voi for image in exam.images})
        keys = {i.image_id: self.keys.of("image", *scope, i.image_id) for i in exam.images}
        with self._lock:
            session.images = {key: image_id for image_id, key in keys.items()}
            session.exam_key = self.keys.of("exam", *scope, *task.exam)
        show = self.plan.arm(task.arm).show
        body: Json = {
            "key": session.exam_key,
            "images": images_json(exam, keys),
            "sides": sides_of(exam),
            "show": list(show),
            "before": self._before(session.reader, task, keys),
        }
        if show:
            body["shown"] = self._shown(exam, show, keys)
        return body

    def _before(self, reader: str, task: Task, keys: dict[str, str]) -> Json | None:
        """The locked answers of the first look, where this is the second of a sequential study."""
        if self.plan.design != "sequential" or task.arm == self.plan.arms[0].name:
            return None
        first = [
            row
            for row in self.journal.readings()
            if row["reader"] == reader
            and row["arm"] == self.plan.arms[0].name
            and (row["patient_id"], row["exam_id"]) == task.exam
        ]
        if not first:
            return None
        answers = dict(first[-1]["answers"])
        answers["marks"] = [
            {**{k: v for k, v in mark.items() if k != "image_id"}, "image": keys[mark["image_id"]]}
            for mark in answers.get("marks", ())
        ]
        return answers

    def _prediction(self, exam: ListedExam) -> ExamPrediction | None:
        predictions = (source.of(exam) for source in self.sources)
        return next((p for p in predictions if p is not None), None)

    def _shown(self, exam: ListedExam, show: Sequence[str], keys: dict[str, str]) -> Json:
        prediction = self._prediction(exam)
        if prediction is None:
            return {"scores": {}, "regions": [], "heatmaps": []}
        body: Json = {"scores": {}, "regions": [], "heatmaps": []}
        if "scores" in show:
            body["scores"] = {b.side: b.score for b in prediction.breasts}
        if "regions" in show:
            findings = [f for b in prediction.breasts for f in b.findings]
            body["regions"] = [
                {
                    "name": str(number),
                    "side": finding.side,
                    "score": finding.score,
                    "regions": [
                        {
                            "image": keys[r.image_id],
                            "box": [r.box.x0, r.box.y0, r.box.x1, r.box.y1],
                            "polygon": r.polygon,
                        }
                        for r in finding.regions
                        if r.image_id in keys
                    ],
                }
                for number, finding in enumerate(findings, start=1)
            ]
        if "heatmaps" in show:
            heatmaps = [
                h for image in prediction.images for h in image.heatmaps if h.image_id in keys
            ]
            body["heatmaps"] = heatmaps_json(heatmaps, keys)
        return body

    def held(self, key: str) -> Held:
        """An image of an exam that is being read.

        Raises:
            ServeError: It is of no exam that is being read, or cannot be displayed.
        """
        image_id = next((s.images[key] for s in self.sessions.values() if key in s.images), None)
        if image_id is None:
            raise ServeError("no image with that key is being read")
        try:
            return self.pixels.get(image_id)
        except FourviewError:
            raise ServeError("this image cannot be displayed") from None

    @staticmethod
    def facts(held: Held) -> Json:
        """What the page knows of an image: no notes, which may name a file."""
        return {**held.facts(), "notes": []}

    def send(self, token: str, sheet: Sheet) -> Json:
        """Take a reading.

        Raises:
            RefusedError: The session has ended, or another exam is being read.
            FourviewError: An answer is missing.
        """
        session = self.session(token)
        with self._lock:
            if session.task is None or sheet.exam != session.exam_key:
                if self.journal.has(sheet.submission):
                    return {"taken": False}
                raise RefusedError("another exam is being read now; this answer was not taken")
            task, images = session.task, dict(session.images)
        exam = self.cohort.exam(task.exam)
        check_answers(sheet.answers, self.plan.questions, sides_of(exam))
        reading = Reading(
            submission=sheet.submission,
            reader=session.reader,
            arm=task.arm,
            exam=task.exam,
            answers=stored_answers(sheet.answers, images),
            duration_ms=sheet.duration_ms,
            paused_ms=sheet.paused_ms,
            screen=sheet.screen,
            events=tuple((event.at, event.what, event.detail) for event in sheet.events),
        )
        return {"taken": self.journal.add(reading)}


def _secret(out: Path) -> bytes:
    """What keys are made with: kept, so that a page outlives a restart of the server."""
    path = out / "keys"
    if not path.exists():
        write_text(path, secrets.token_hex(32))
        path.chmod(0o600)
    return bytes.fromhex(path.read_text(encoding="utf-8"))


def sides_of(exam: ListedExam) -> list[str]:
    """The breasts that an exam has images of."""
    there = {image.view.side for image in exam.images if image.view is not None}
    return [side for side in SIDES if side in there]


def _chosen(plan: Plan, cohort: ManifestCohort) -> dict[ExamId, str]:
    """The stratum of every exam of the study.

    Raises:
        ServeError: An exam, a column or a part that the manifest does not have.
    """
    assert cohort.manifest is not None
    table = cohort.exams().select("patient_id", "exam_id")
    exams = cohort.manifest.exams
    if not isinstance(plan.exams, str):
        unknown = set(plan.exams) - set(table["exam_id"])
        if unknown:
            raise ServeError(f"exam '{sorted(unknown)[0]}' of the study has no image to read")
        table = table.filter(pl.col("exam_id").is_in(list(plan.exams)))
    elif plan.exams.startswith("split:"):
        part = exams.filter(pl.col("split") == plan.exams.removeprefix("split:"))
        table = table.join(part, on=["patient_id", "exam_id"], how="semi", maintain_order="left")
    elif plan.exams != "all":
        if plan.exams not in exams.columns:
            raise ServeError(
                f"exams = '{plan.exams}': need all, split:NAME, a list of ids or a column; "
                f"the manifest's exams have {', '.join(exams.columns)}"
            )
        part = exams.filter(pl.col(plan.exams).cast(pl.Boolean, strict=False))
        table = table.join(part, on=["patient_id", "exam_id"], how="semi", maintain_order="left")
    chosen = {(p, e): stratum(cohort.labels((p, e))) for p, e in table.iter_rows()}
    if not chosen:
        raise ServeError(f"exams = '{plan.exams}' chooses no exam that has images")
    return chosen
