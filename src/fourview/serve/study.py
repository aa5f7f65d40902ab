"""The design of a reader study: who reads which exam in which arm, in which order. Pure functions.

crossover:   every reader reads every exam in both arms. Half of the exams, drawn by seed within
             strata of the label, are read aided first; the halves are swapped for every second
             reader. Between an exam's two readings lie ``washout_days``.
sequential:  the unaided answer is locked, then what the model says is shown and the answer may be
             changed: two rows.
parallel:    one arm per reader.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fourview.errors import ServeError
from fourview.fingerprint import digest_of_text
from fourview.serve.cohort import ExamId

UNAIDED, AIDED = "unaided", "aided"
Show = Literal["scores", "regions", "heatmaps"]


class _Part(BaseModel):
    """A table of study.toml; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ReaderPlan(_Part):
    """A reader.

    Attributes:
        code: In file names and tables instead of the name.
        arm: Of a parallel study.
    """

    name: str = Field(min_length=1, max_length=100)
    code: str = Field(pattern=r"^[A-Za-z0-9_-]{1,20}$")
    arm: str | None = None


class ArmPlan(_Part):
    """An arm: what is shown beside the images."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,30}$")
    show: tuple[Show, ...] = ()


class Questions(_Part):
    """What is asked of every exam; all that is on must be answered.

    Attributes:
        recall: Yes or no for each breast.
        birads: 1 to 5 for each breast; 0 too where ``birads_zero``.
        suspicion: 0 to 100 for each breast.
        density: A to D of the exam.
        marks: How many regions may be marked, each with a suspicion; 0 for none.
        confidence: 0 to 100 of the exam.
    """

    recall: bool = False
    birads: bool = False
    birads_zero: bool = False
    suspicion: bool = True
    density: bool = False
    marks: int = Field(default=0, ge=0, le=20)
    confidence: bool = False


class Plan(_Part):
    """study.toml.

    Attributes:
        exams: Exam ids; or a column of the manifest's exams whose value is true, or ``split:test``.
        arms: Unaided first where they differ in what is shown.
        steps: Keys of the hanging that a reader may use, 1 to 9; empty for all.
        manifest: Folder, relative to study.toml.
        predictions: Table of what the aided arm shows, relative to study.toml.
        results: Folder of result.json files with regions and heatmaps.
    """

    name: str = Field(min_length=1, max_length=200)
    manifest: str
    exams: tuple[str, ...] | str
    readers: tuple[ReaderPlan, ...] = Field(min_length=1)
    arms: tuple[ArmPlan, ...] = (
        ArmPlan(name=UNAIDED),
        ArmPlan(name=AIDED, show=("scores", "regions", "heatmaps")),
    )
    design: Literal["crossover", "sequential", "parallel"]
    questions: Questions = Questions()
    protocol: str = "screening-breast-v1"
    seed: int = 0
    washout_days: float = Field(default=28, ge=0)
    steps: tuple[int, ...] = ()
    predictions: str | None = None
    results: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "Plan":
        codes = [reader.code for reader in self.readers]
        names = [arm.name for arm in self.arms]
        for what, words in (("reader code", codes), ("arm", names)):
            twice = next((w for i, w in enumerate(words) if w in words[:i]), None)
            if twice is not None:
                raise ValueError(f"{what} '{twice}' is there twice")
        if self.design != "parallel" and len(self.arms) != 2:
            raise ValueError(f"a {self.design} study has two arms, found {len(self.arms)}")
        if self.design == "sequential" and self.arms[0].show:
            raise ValueError(f"arm '{names[0]}' comes first and must show nothing")
        if self.design == "parallel":
            wrong = next((r for r in self.readers if r.arm not in names), None)
            if wrong is not None:
                raise ValueError(f"reader {wrong.code} has arm {wrong.arm!r}, need one of {names}")
        if any(arm.show for arm in self.arms) and self.predictions is None and self.results is None:
            raise ValueError("an arm shows what a model says; name predictions or results")
        return self

    def arm(self, name: str) -> ArmPlan:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def reader(self, code: str) -> ReaderPlan | None:
        """The reader of that code."""
        return next((reader for reader in self.readers if reader.code == code), None)


def read_plan(path: Path) -> Plan:
    """Read study.toml.

    Raises:
        ServeError: It cannot be read, or a value is wrong; the message names it.
    """
    try:
        return Plan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ServeError(f"{path}: not found") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ServeError(f"{path}: is no TOML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "study"
        raise ServeError(f"{path}: {where}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class Task:
    """One reading to be made: an exam in an arm."""

    exam: ExamId
    arm: str


@dataclass(frozen=True, slots=True)
class Done:
    """A reading that was sent."""

    exam: ExamId
    arm: str
    at: datetime


def order_key(seed: int, reader: str, arm: str, exam: ExamId) -> str:
    """What exams are ordered by: the same on any machine, and after any restart."""
    # With a separator, so that ("ab", "c") and ("a", "bc") have other keys.
    text = "\x1f".join((str(seed), reader, arm, *exam))
    return digest_of_text(text)


def aided_first(seed: int, exams: Mapping[ExamId, str], reader_number: int) -> frozenset[ExamId]:
    """The exams that a reader of a crossover study reads aided first.

    Args:
        seed: Of the study.
        exams: The stratum of each: its label, or "unknown".
        reader_number: Counted from 0; every second reader has the other half.
    """
    half: set[ExamId] = set()
    odd = 0  # every second stratum with an odd number gives its odd exam to this half
    for stratum in sorted(set(exams.values())):
        mine = sorted(
            (exam for exam, of in exams.items() if of == stratum),
            key=lambda exam: order_key(seed, "", "aided first", exam),
        )
        number = (len(mine) + odd) // 2
        odd = (odd + len(mine)) % 2
        half.update(mine[:number])
    return frozenset(half) if reader_number % 2 == 0 else frozenset(set(exams) - half)


def tasks(plan: Plan, exams: Mapping[ExamId, str], reader: str) -> list[Task]:
    """Everything that a reader is to read, in order.

    Args:
        plan: The study.
        exams: The stratum of each exam.
        reader: Code.
    """

    def ordered(arm_of: Mapping[ExamId, str]) -> list[Task]:
        rows = [Task(exam, arm) for exam, arm in arm_of.items()]
        return sorted(rows, key=lambda t: order_key(plan.seed, reader, t.arm, t.exam))

    codes = [one.code for one in plan.readers]
    number = codes.index(reader)
    if plan.design == "parallel":
        arm = plan.readers[number].arm
        assert arm is not None
        return ordered(dict.fromkeys(exams, arm))
    first, second = (arm.name for arm in plan.arms)
    if plan.design == "sequential":
        rows = ordered(dict.fromkeys(exams, first))
        return [task for row in rows for task in (row, Task(row.exam, second))]
    swapped = aided_first(plan.seed, exams, number)
    period_1 = {exam: second if exam in swapped else first for exam in exams}
    period_2 = {exam: first if exam in swapped else second for exam in exams}
    return ordered(period_1) + ordered(period_2)


@dataclass(frozen=True, slots=True)
class Next:
    """What a reader does now.

    Attributes:
        task: The next reading; None where there is none now.
        number: Of the task among all, from 1.
        total: Of all tasks.
        done: Readings that were sent.
        waits_until: When the next is offered, where only the washout holds it back.
    """

    task: Task | None
    number: int
    total: int
    done: int
    waits_until: datetime | None = None


def next_task(plan: Plan, todo: Sequence[Task], done: Sequence[Done], now: datetime) -> Next:
    """The first reading that was not sent and may be made now.

    Args:
        plan: The study.
        todo: From ``tasks``.
        done: The reader's readings.
        now: By the server's clock.
    """
    sent = {(one.exam, one.arm): one.at for one in done}
    last = {exam: max(at for (e, _), at in sent.items() if e == exam) for exam, _ in sent}
    waits: list[datetime] = []
    for number, task in enumerate(todo, start=1):
        if (task.exam, task.arm) in sent:
            continue
        if plan.design == "crossover" and task.exam in last:
            offered = last[task.exam] + timedelta(days=plan.washout_days)
            if offered > now:
                waits.append(offered)
                continue
        return Next(task, number, len(todo), len(sent))
    return Next(None, len(todo), len(todo), len(sent), min(waits) if waits else None)


def stratum(labels: Mapping[str, Mapping[str, Any]] | None) -> str:
    """The stratum of an exam: 1 where a breast has cancer, 0 where both are known to have none."""
    known = [breast.get("cancer") for breast in (labels or {}).values()]
    if 1 in known:
        return "1"
    return "0" if known and None not in known else "unknown"
