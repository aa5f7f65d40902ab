"""The scheduler with workers of a table: who answers what, who dies, who hangs."""

import pytest

from fourview.errors import FourviewError
from fourview.jobs.schedule import MAX_LOST_STARTS, Answered, Died, Lost, Schedule, guarded


class Scripted:
    """Workers that do what a job says: a number is answered, 'dies' and 'hangs' do that."""

    most_deaths = 2

    def __init__(self, *, starts=True):
        self.starts, self.jobs, self.greeted, self.ended, self.made = starts, {}, set(), [], 0

    def start(self):
        self.made += 1
        return self.made

    def tell(self, handle, job):
        self.jobs[handle] = job

    def ready(self, handles, block):  # noqa: ARG002
        return [h for h in handles if h not in self.greeted or self.jobs.get(h) != "hangs"]

    def hear(self, handle):
        if not self.starts:
            return Died("no memory")
        if handle not in self.greeted:
            self.greeted.add(handle)
            return Answered("ready")
        job = self.jobs.pop(handle)
        return Died("signal 9") if job == "dies" else Answered(job * 10)

    def end(self, handle):
        self.ended.append(handle)

    def late_start(self, waited_s, any_started):  # noqa: ARG002
        return False

    def cannot_start(self, count, last):
        return FourviewError(f"{count} {last.why}")


def results(jobs, *, workers=2, timeout_s=0.0, kind=None):
    kind = kind or Scripted()
    run = Schedule(kind, iter(jobs), timeout_s=timeout_s)
    answers = list(run.results(workers))
    run.stop()
    return answers, kind


def test_every_job_is_answered_once():
    answers, kind = results(range(1, 8), workers=3)
    assert sorted(answers) == [(n, 10 * n) for n in range(1, 8)]
    assert kind.made == 3 and sorted(kind.ended) == [1, 2, 3]
    assert results([])[0] == []


def test_a_job_that_kills_is_tried_once_more_and_then_lost():
    answers, kind = results([1, "dies", 2])
    lost = dict(answers)["dies"]
    assert lost.reason == "killed" and "signal 9" in lost.detail
    assert {job for job, _ in answers} == {1, 2, "dies"} and len(answers) == 3
    assert kind.made == 4  # two, and one more after each death


def test_a_job_that_hangs_is_lost_and_its_worker_replaced():
    answers, kind = results(["hangs", 1], workers=1)
    assert answers[0] == ("hangs", Lost("timeout", "took longer than 0 s; its worker was killed"))
    assert answers[1] == (1, 10) and kind.made == 2


def test_workers_that_never_begin_are_given_up():
    kind = Scripted(starts=False)
    with pytest.raises(FourviewError, match=f"^{MAX_LOST_STARTS + 1} no memory"):
        results([1, 2], kind=kind)


def test_what_a_function_raises_is_one_line():
    def fails(job):
        raise MemoryError if job == "memory" else ValueError("first\nsecond")

    assert guarded(str, 3) == "3"
    assert guarded(fails, 1) == Lost("defect", "ValueError: first")
    assert guarded(fails, "memory") == Lost("defect", "not enough memory")
