"""What is to be written, and how: kinds of object, time, what a viewer is told to show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fourview.errors import ReportError
from fourview.suggest import no_such

KINDS = ("cad-sr", "gsps", "sc", "sr1500", "seg")
DEFAULT_KINDS = ("cad-sr", "gsps", "sc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """An earlier report of the same study and kind, which the new one replaces.

    Attributes:
        sop_class: Its SOP Class UID.
        sop_instance: Its SOP Instance UID.
        series: Its Series Instance UID.
    """

    sop_class: str
    sop_instance: str
    series: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomOptions:
    """What a prediction becomes. The same options give the same bytes.

    Attributes:
        kinds: Of KINDS; ``parse_kinds`` reads them from words.
        created: When the prediction was made. A time with a zone is moved to the study's own
            (Timezone Offset From UTC) where the images state one; else it is written as it is.
        required_at: Findings from this score on, in [0, 1], are to be shown by every viewer
            (Rendering Intent "required"), the others may be; None asks that of all.
        named: Whether findings that somebody named go out though no model scored them.
        distortion: Whether architectural distortions get their own code; some viewers show only
            densities and calcification clusters.
        predecessors: Reports that the new ones replace, by kind (cad-sr, sr1500).
    """

    kinds: tuple[str, ...] = DEFAULT_KINDS
    created: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    required_at: float | None = None
    named: bool = False
    distortion: bool = False
    predecessors: Mapping[str, Predecessor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ReportError(no_such("kind of DICOM object", ", ".join(unknown), KINDS))
        if self.required_at is not None and not 0 <= self.required_at <= 1:
            raise ReportError(f"required_at is {self.required_at}, need a score from 0 to 1")

    def content(self) -> dict[str, Any]:
        """What changes the objects beside kinds and time; a part of their identifiers."""
        earlier = {kind: p.sop_instance for kind, p in sorted(self.predecessors.items())}
        return {
            "required_at": self.required_at,
            "named": self.named,
            "distortion": self.distortion,
            "predecessors": earlier,
        }


def parse_kinds(words: Iterable[str]) -> tuple[str, ...]:
    """Kinds in the order of KINDS from words such as ``cad-sr,gsps``, ``default`` and ``all``.

    Raises:
        ValueError: A word is not one of them; the message lists all.
    """
    groups = {"default": DEFAULT_KINDS, "all": KINDS, **{kind: (kind,) for kind in KINDS}}
    named = [part.strip() for word in words for part in word.split(",") if part.strip()]
    unknown = [name for name in named if name not in groups]
    if unknown or not named:
        known = (*KINDS, "default", "all")
        if unknown:
            raise ValueError(no_such("kind", unknown[0], known))
        raise ValueError(f"no kind is named; there are: {', '.join(known)}")
    wanted = {kind for name in named for kind in groups[name]}
    return tuple(kind for kind in KINDS if kind in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMade:
    """An object that was asked for and cannot be made of one image, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomPaths:
    """What was written, in the order of kinds and of the wall."""

    files: tuple[Path, ...]
    not_made: tuple[NotMade, ...] = ()
