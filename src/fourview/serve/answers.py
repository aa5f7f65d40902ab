"""What a reader sends: the answers that a study asks for, checked against its questions."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from fourview.errors import FourviewError
from fourview.serve.study import Questions
from fourview.serve.wire import Body

Side = Literal["R", "L"]
Percent = Field(ge=0, le=100)
MAX_EVENTS = 5000  # the page keeps 4,000
A_DAY_MS = 86_400_000.0


class MarkAnswer(Body):
    """A region that a reader marked, in stored pixels."""

    image: str = Field(max_length=32)
    box: tuple[float, float, float, float]
    suspicion: float = Percent

    @field_validator("box")
    @classmethod
    def _is_a_box(cls, box: tuple[float, ...]) -> tuple[float, ...]:
        if not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError("a box has x0 < x1 and y0 < y1")
        return box


class Answers(Body):
    """All answers; a question that the study does not ask stays None."""

    recall: dict[Side, bool] | None = None
    birads: dict[Side, int] | None = None
    suspicion: dict[Side, float] | None = None
    density: Literal["A", "B", "C", "D"] | None = None
    confidence: float | None = Field(default=None, ge=0, le=100)
    marks: list[MarkAnswer] | None = None

    @field_validator("suspicion")
    @classmethod
    def _are_percents(cls, values: dict[Side, float] | None) -> dict[Side, float] | None:
        if values is not None and not all(0 <= value <= 100 for value in values.values()):
            raise ValueError("a suspicion lies from 0 to 100")
        return values


class Event(Body):
    """Something that the reader did, ms after all views were drawn."""

    at: float = Field(ge=-A_DAY_MS, le=30 * A_DAY_MS)
    what: str = Field(max_length=40)
    detail: str = Field(default="", max_length=200)


class Sheet(Body):
    """One reading as the page sends it; the same ``submission`` twice is taken once."""

    submission: str = Field(pattern=r"^[A-Za-z0-9-]{8,64}$")
    exam: str = Field(max_length=32)
    answers: Answers
    duration_ms: float | None = Field(default=None, ge=0, le=30 * A_DAY_MS)
    paused_ms: float | None = Field(default=None, ge=0, le=30 * A_DAY_MS)
    screen: dict[str, str | float | None] = Field(default={}, max_length=20)
    events: list[Event] = Field(default=[], max_length=MAX_EVENTS)


class Login(Body):
    """Who reads."""

    code: str = Field(max_length=20)
    pin: str = Field(max_length=64)


def check_answers(answers: Answers, questions: Questions, sides: Sequence[str]) -> None:
    """Check that all that is asked is answered, and nothing else.

    Raises:
        FourviewError: Something is missing, or was not asked for.
    """
    asked = {
        "recall": questions.recall,
        "birads": questions.birads,
        "suspicion": questions.suspicion,
        "density": questions.density,
        "confidence": questions.confidence,
        "marks": questions.marks > 0,
    }
    for name, is_asked in asked.items():
        value: Any = getattr(answers, name)
        if not is_asked and value is not None:
            raise FourviewError(f"{name} is not asked for in this study")
        if is_asked and value is None:
            raise FourviewError(f"{name} is not answered")
        if is_asked and isinstance(value, dict):
            missing = [side for side in sides if side not in value]
            if missing:
                raise FourviewError(f"{name} of breast {' and '.join(missing)} is not answered")
            if set(value) - set(sides):
                raise FourviewError(f"{name} of a breast that has no image")
    least = 0 if questions.birads_zero else 1
    if answers.birads and not all(least <= v <= 5 for v in answers.birads.values()):
        raise FourviewError(f"a BI-RADS category lies from {least} to 5")
    if answers.marks and len(answers.marks) > questions.marks:
        raise FourviewError(f"at most {questions.marks} regions can be marked")


def stored_answers(answers: Answers, image_ids: Mapping[str, str]) -> dict[str, Any]:
    """Answers as the journal keeps them: marks by the image's own id.

    Raises:
        FourviewError: A mark is on an image of another exam.
    """
    given = answers.model_dump(exclude_none=True)
    for mark in given.get("marks", ()):
        key = mark.pop("image")
        if key not in image_ids:
            raise FourviewError("a mark is on an image of another exam")
        mark["image_id"] = image_ids[key]
    return given
