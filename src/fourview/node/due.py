"""When a study is complete enough to be read: pure functions of what is known and of the time.

A study is due when no association that delivered an image of it is still open, and

- its last image came ``quiet_s`` ago, or
- ``early_s`` ago and the four standard views are there, or
- the server that it was pulled from has named the same number of images twice (``settled``),

and no server that counts (``count_from``) says that images are missing; for those it waits up to
``longest_s``. A late image makes the study due again, so being early costs a second reading only.
"""

from dataclasses import dataclass

from fourview.entities import SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRule:
    """How long to wait, in seconds; ``early_s`` 0 means that only quiet time counts."""

    quiet_s: float
    early_s: float
    longest_s: float

    @property
    def soonest_s(self) -> float:
        """The shortest wait after a last image; only a settled study is due earlier."""
        return min(self.quiet_s, self.early_s) if self.early_s else self.quiet_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a study that waits.

    Attributes:
        quiet_since: When its last image came, or the node started since; monotonic seconds.
        images: How many are here.
        slots: Names of the standard views that are here, such as R-CC.
        is_open: Whether an association that delivered an image of it is open.
        settled: Whether it was pulled whole.
        expected: Images that a server counts; None where nobody counts, or it does not answer.
    """

    quiet_since: float
    images: int
    slots: frozenset[str]
    is_open: bool = False
    settled: bool = False
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a study is to be read now, and what its report should say of that."""

    now: bool
    note: str = ""


NOT_YET = Due(False)


def could_be_due(known: Known, now: float, rule: DueRule) -> bool:
    """Whether a study is due, apart from what a server counts."""
    waited = now - known.quiet_since
    if known.is_open:
        return False
    is_whole = bool(rule.early_s) and slots_missing(known.slots) == () and waited >= rule.early_s
    return known.settled or waited >= rule.quiet_s or is_whole


def due(known: Known, now: float, rule: DueRule) -> Due:
    """Whether a study is to be read now.

    Args:
        known: Of the study.
        now: Monotonic seconds.
        rule: How long to wait.
    """
    if not could_be_due(known, now, rule):
        return NOT_YET
    missing = max(0, (known.expected or 0) - known.images)
    if not missing:
        return Due(True)
    if now - known.quiet_since < rule.longest_s:
        return NOT_YET
    return Due(True, f"{missing} of {known.expected} images had not arrived")


def slots_missing(slots: frozenset[str]) -> tuple[str, ...]:
    """The standard views that are not among these, in the order of the wall."""
    return tuple(slot for slot in SLOTS if slot not in slots)
