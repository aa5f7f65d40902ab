"""Which files are no mammograms to read, and why, in one word and in one sentence.

A mammogram to read is one two-dimensional image, grey or in colours that show nothing but grey, For
Presentation (or For Processing, where asked) of one whole breast whose side and view are known.
Implant-displaced views are read, and stand behind the ordinary view of the same slot.
"""

import re
from dataclasses import dataclass, replace

from fourview.dicom.codes import (
    MG_PROCESSING,
    NO_MAMMOGRAM,
    NO_WHOLE_BREAST,
    PLAIN_MODALITIES,
)
from fourview.dicom.colours import COLOURS
from fourview.dicom.kinds import SourcedKind
from fourview.dicom.views import ViewFacts
from fourview.entities.reasons import Reason
from fourview.text import shown

_CAD = re.compile(r"(?<![A-Z])I?CAD(?![A-Z])|IMAGECHECKER|SECOND ?LOOK", re.IGNORECASE)
UNTOLD = frozenset((Reason.VIEW, Reason.MODALITY))  # reasons that more words of the header may lift

GREY = frozenset(("MONOCHROME1", "MONOCHROME2", ""))  # "": one sample per pixel can only be grey
Why = tuple[Reason, str]  # with a sentence about the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What decides whether a file is a mammogram to read, besides its view."""

    sop_class: str
    modality: str | None
    image_type: tuple[str, ...]
    intent: str
    frames: int
    samples: int
    photometric: str
    has_pixels: bool
    words: str
    is_capture: bool
    sourced_kind: SourcedKind | None = None

    @property
    def is_for_processing(self) -> bool:
        """Raw detector values, which nobody looks at."""
        return self.sop_class == MG_PROCESSING or self.intent == "FOR PROCESSING"

    @property
    def kind(self) -> str | None:
        """How the image was made, in a manifest's words; None where the file does not say."""
        return self.sourced_kind.kind if self.sourced_kind is not None else None


def as_if_grey(facts: Facts) -> Facts | None:
    """The facts of a file of colours, were its pixels grey; None where they are, or cannot be.

    Pixels of RGB, YBR or a palette may show nothing but grey: only they themselves tell.
    """
    if facts.samples == 1 and facts.photometric in GREY:
        return None
    if facts.samples not in (1, 3) or facts.photometric not in GREY | COLOURS:
        return None
    return replace(facts, samples=1, photometric="")


def why_left_out(facts: Facts, view: ViewFacts, *, for_processing: bool = False) -> Why | None:
    """The first reason that a file is no mammogram to read; None where it is one."""
    return (
        _wrong_object(facts)
        or _wrong_pixels(facts)
        or _wrong_purpose(facts, for_processing=for_processing)
        or _wrong_view(facts, view)
    )


def _wrong_object(facts: Facts) -> Why | None:
    for start, reason, what in NO_MAMMOGRAM:
        if facts.sop_class == start or facts.sop_class.startswith(start + "."):
            return reason, f"it is {what}"
    if not facts.has_pixels:
        return Reason.NO_PIXELS, "it has no pixel data"
    if facts.modality not in PLAIN_MODALITIES and facts.modality is not None:
        return Reason.MODALITY, f"its Modality is '{shown(facts.modality)}', need MG"
    return None


def _wrong_pixels(facts: Facts) -> Why | None:
    if facts.frames != 1:
        if facts.kind == "tomosynthesis" or "TOMOSYNTHESIS" in facts.image_type:
            return Reason.TOMOSYNTHESIS, f"it is a tomosynthesis volume of {facts.frames} frames"
        return Reason.MULTIFRAME, f"it has {facts.frames} frames, need 1"
    if facts.samples != 1 or facts.photometric not in GREY:
        return Reason.COLOUR, f"its pixels are {shown(facts.photometric)}, need MONOCHROME"
    return None


def _wrong_purpose(facts: Facts, *, for_processing: bool) -> Why | None:
    if facts.is_for_processing and not for_processing:
        return (
            Reason.FOR_PROCESSING,
            "it is For Processing: raw detector values, no image to look at",
        )
    if facts.kind == "cesm_subtracted":
        return Reason.SUBTRACTED, "it is a subtracted contrast image, no ordinary mammogram"
    if facts.kind == "tomosynthesis":
        return Reason.TOMOSYNTHESIS, "it is a slice or a projection of a tomosynthesis"
    if facts.is_capture and (_CAD.search(facts.words) or "CAD" in facts.image_type):
        return Reason.CAD, "it is a capture of CAD marks"
    return None


def _wrong_view(facts: Facts, view: ViewFacts) -> Why | None:
    for word, what in NO_WHOLE_BREAST.items():
        if word in view.modifiers:
            return word, f"it is {what}"
    for word, part in ((Reason.LOCALISATION, "LOCALIZER"), (Reason.BIOPSY, "STEREO")):
        if any(part in value for value in facts.image_type):
            return word, f"it is {NO_WHOLE_BREAST[word]}"
    if view.position == "CV":
        return Reason.CLEAVAGE, f"it is {NO_WHOLE_BREAST[Reason.CLEAVAGE]}"
    return None if view.view is not None else _no_view(facts, view)


def _no_view(facts: Facts, view: ViewFacts) -> Why:
    missing = [
        word for word, value in (("side", view.side), ("view", view.position)) if value is None
    ]
    if facts.modality != "MG":
        modality = (
            f"its Modality is '{shown(facts.modality)}'" if facts.modality else "it has no Modality"
        )
        return Reason.MODALITY, f"{modality} and no {' and no '.join(missing)} is told"
    return Reason.VIEW, f"no attribute tells its {' and '.join(missing)}"
