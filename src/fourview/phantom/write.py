"""Write phantom exams as DICOM files with their truth tables; parallel and resumable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fourview.phantom.preset import Preset

SYNTAXES = ("1.2.840.10008.1.2.1",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSummary:
    """What a run wrote.

    Attributes:
        out: The folder: ``dicom/`` and ``truth/`` below it.
        num_exams: Exams in the folder now.
        num_written: Exams made by this run; the others were there already.
        num_images: DICOM files in the folder now.
        num_cancers: Breasts with a malignant finding.
    """

    out: Path
    num_exams: int
    num_written: int
    num_images: int
    num_cancers: int


def write_phantom(
    out: Path,
    *,
    num_exams: int,
    seed: int,
    preset: str | Preset = "screening",
    rows: int | None = None,
    vendors: Sequence[str] = ("A", "B", "C"),
    syntaxes: Sequence[str] = SYNTAXES,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> PhantomSummary:
    """Write exams 0 to ``num_exams - 1`` of a seed below ``out``."""
    raise NotImplementedError
