"""How an image was made: ffdm, film, synthetic, ... from whatever attribute tells.

Order:   the object's class and Image Type before words in free text, where trade names of makers
         stand (C-View, V-Preview, Insight 2D, ...). A Secondary Capture is film only where
         something says that a film was scanned: workstations capture digital images too.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from fourview.dicom.codes import MG_PRESENTATION, MG_PROCESSING, NO_MAMMOGRAM

SUBTRACTED = frozenset(("RECOMBINED", "SUBTRACTION", "SUBTRACTED"))
LOW_ENERGY = frozenset(("LOW_ENERGY", "LOW ENERGY", "LOWENERGY"))
SYNTHETIC = frozenset(
    ("GENERATED_2D", "GENERATED 2D", "TOMO_2D", "SYNTHETIC_2D", "SYNTHETIC", "SYNTHESIZED_2D")
)
TOMOSYNTHESIS = frozenset(("TOMOSYNTHESIS", "TOMO", "TOMO_PROJ", "TOMO_PROJECTION", "TOMO_SLICE"))
# PS3.3 C.8.6.1: Conversion Type of what a scanner made.
SCANNED = frozenset(("DF", "SD", "SI", "DI"))
_TRADE_NAMES = re.compile(
    r"(?<![A-Z])(?:"
    r"[CSG][ _-]?VIEW|V[ _-]?PREVIEW|I[ _-]?2D|S[ _-]?2D|(?:INTELLIGENT|INSIGHT|SMART)[ _-]*2D"
    r"|SYN(?:TH)?[ _-]?2D|SYNTH(?!ESIS)\w*|(?:GENERATED|TOMO)[ _-]2D|2D[ _-]+SYN\w*"
    r")(?![A-Z])",
    re.IGNORECASE,
)
_WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("synthetic", _TRADE_NAMES),
    (
        "tomosynthesis",
        re.compile(
            r"(?<![A-Z])(?:TOMO|TOMOSYNTHESIS|DBT)[ _-]*"
            r"(?:SLICE|SLAB|RECON|PROJ|VOLUME|STACK|PLANE)",
            re.IGNORECASE,
        ),
    ),
    (
        "cesm_subtracted",
        re.compile(r"(?<![A-Z])(?:RECOMB\w*|SUBTRACT\w*)(?![A-Z])", re.IGNORECASE),
    ),
    (
        "cesm_low_energy",
        re.compile(
            r"(?<![A-Z])(?:LOW[ _-]?ENERGY|CE[SD]?M[ _-]+LE|LE[ _-]+CE[SD]?M)(?![A-Z])",
            re.IGNORECASE,
        ),
    ),
)
_DIGITISERS = re.compile(
    rb"(?<![A-Z])(?:FILM|DIGITI[SZ]\w*|SCANNER|LUMISYS|HOWTEK|VIDAR|DBA)(?![A-Z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SourcedKind:
    """A kind, and the attribute that it was read from."""

    kind: str
    source: str
    text: str = ""


@lru_cache(maxsize=4096)  # the files of an archive say the same few things
def find_kind(
    *,
    sop_class: str,
    image_type: tuple[str, ...],
    texts: tuple[tuple[str, str], ...],
    is_scanned: bool,
) -> SourcedKind | None:
    """How an image was made.

    Args:
        sop_class: SOP Class UID.
        image_type: Image Type in capitals.
        texts: Free text with the names of its attributes, most telling first.
        is_scanned: Whether the header says that a scanner made it.

    Returns:
        The kind, in a manifest's words; None where nothing tells.
    """
    by_class = _by_class(sop_class)
    if by_class is not None and by_class.kind == "tomosynthesis":
        return by_class
    words = {word.strip() for word in image_type}
    kinds = (
        ("cesm_subtracted", SUBTRACTED),
        ("cesm_low_energy", LOW_ENERGY),
        ("synthetic", SYNTHETIC),
    )
    decided = next((SourcedKind(kind, "ImageType") for kind, known in kinds if words & known), None)
    decided = decided or _by_words((*texts, ("ImageType", " ".join(image_type))))
    if decided is None and words & TOMOSYNTHESIS:
        decided = SourcedKind("tomosynthesis", "ImageType")
    return decided or (SourcedKind("film", "") if is_scanned else by_class)


def _by_class(sop_class: str) -> SourcedKind | None:
    for start, word, _ in NO_MAMMOGRAM:
        if word == "tomosynthesis" and (sop_class == start or sop_class.startswith(start + ".")):
            return SourcedKind(word, "SOPClassUID")
    is_digital = sop_class in (MG_PRESENTATION, MG_PROCESSING)
    return SourcedKind("ffdm", "SOPClassUID") if is_digital else None


def _by_words(texts: tuple[tuple[str, str], ...]) -> SourcedKind | None:
    for kind, pattern in _WORDS:
        for source, text in texts:
            if pattern.search(text):
                return SourcedKind(kind, source, text)
    return None


@lru_cache(maxsize=1024)
def names_a_digitiser(*words: bytes) -> bool:
    """Whether a maker or model, as the file has it, names a film scanner."""
    return any(_DIGITISERS.search(word) for word in words)
