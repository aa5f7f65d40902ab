"""Headers without a person: ids by a secret key, dates shifted, nothing else that could tell who.

Ids:      HMAC-SHA256 of the id and of what it is an id of, in hexadecimal; the same key gives the
          same pseudonym, in ``index`` and ``read``, so that exams of one woman stay together.
Dates:    moved back by 1 to 3,650 days, as many for all exams of a patient, so that the time from
          one exam to the next is kept. Times of the day stay.
The rest: facts that are numbers or coded words (kilovolts, thickness, photometric interpretation).
          Free text is dropped, vendor, model, age and sex too; words that a note quotes are left
          out. The paths of files are not changed in a manifest, which needs them.

References:
    RFC 2104 (HMAC). DICOM PS3.15 annex E lists what identifies a person; what is kept here is less
    than its basic profile keeps.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from fourview.dicom.header import Header
from fourview.entities import Image, LeftOut
from fourview.errors import DicomError, FourviewError

LEAST_KEY, MOST_KEY = 16, 4096  # bytes of a key file
DIGITS = 24  # hexadecimal digits of a pseudonym: 96 bits
MOST_DAYS = 3650
_CODED = ("modality", "photometric", "presentation_intent", "implant", "partial_view")
_NUMBERS = ("kvp", "thickness_mm", "force_n", "magnification_factor")
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")  # CS (PS3.5 6.2)
_NUMBER = re.compile(r"[-+.0-9eE]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")
_PATH = re.compile(r"\S*/\S*")
_QUOTED = re.compile(r"'.*'", re.DOTALL)


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """What a key makes of ids and dates.

    Attributes:
        key: Secret; whoever has it can find out which id has which pseudonym.
    """

    key: bytes

    @classmethod
    def read(cls, path: Path) -> "Pseudonyms":
        """Read a key file; any bytes are a key.

        Raises:
            FourviewError: It cannot be read, or is too short or too long to be a key.
        """
        try:
            with path.open("rb") as file:
                key = file.read(MOST_KEY + 1)
        except OSError as error:
            raise FourviewError(
                f"{path}: the key cannot be read ({error.strerror}); make one with: "
                f"head -c 32 /dev/urandom > {path}"
            ) from error
        if not LEAST_KEY <= len(key) <= MOST_KEY:
            raise FourviewError(
                f"{path}: a key has {LEAST_KEY} to {MOST_KEY:,} bytes; make one with: "
                f"head -c 32 /dev/urandom > {path}"
            )
        return cls(key)

    def name(self, kind: str, text: str) -> str:
        """The pseudonym of an id.

        Args:
            kind: patient, exam, series, image or file.
            text: The id.
        """
        return self._digest(kind, text).hex()[:DIGITS]

    def header(self, header: Header) -> Header:
        """The same header without what tells whose it is."""
        days = self._days(header.patient_id)
        study_date = _shifted(header.metadata.get("study_date", ""), days)
        kept = {
            **{k: v for k in _CODED if _CODE.fullmatch(v := header.metadata.get(k, ""))},
            **{k: v for k in _NUMBERS if _NUMBER.fullmatch(v := header.metadata.get(k, ""))},
            **{k: v for k in ("sop_class",) if _UID.fullmatch(v := header.metadata.get(k, ""))},
            **({"study_date": study_date} if study_date else {}),
        }
        return replace(
            header,
            image_id=self.name("image", header.image_id),
            patient_id=self.name("patient", header.patient_id),
            exam_id=self.name("exam", header.exam_id),
            series_id=None if header.series_id is None else self.name("series", header.series_id),
            acquired=_shifted(header.acquired, days),
            transfer_syntax=_unquoted_uid(header.transfer_syntax),
            detail=masked(header.detail),
            metadata=kept,
            notes=tuple(masked(note) for note in header.notes),
        )

    def left_out(self, file: LeftOut) -> LeftOut:
        """The same file without its path, which may hold a name."""
        detail = _PATH.sub("...", masked(file.detail))
        return replace(file, path=f"file-{self.name('file', file.path)}", detail=detail)

    def image(self, image: Image) -> Image:
        """An image that was read with a changed header, without the texts of its VOI and notes."""
        voi = None if image.voi is None else replace(image.voi, explanation="")
        return replace(image, voi=voi, notes=tuple(masked(note) for note in image.notes))

    def error(self, error: DicomError) -> DicomError:
        """The same error without words that it quotes from the file."""
        return type(error)(masked(str(error)))

    def _digest(self, kind: str, text: str) -> bytes:
        message = f"{kind}\0{text}".encode(errors="surrogateescape")
        return hmac.new(self.key, message, hashlib.sha256).digest()

    def _days(self, patient_id: str) -> int:
        return 1 + int.from_bytes(self._digest("days", patient_id)[:8], "big") % MOST_DAYS


def masked(text: str) -> str:
    """The text without what it quotes."""
    return _QUOTED.sub("'...'", text)


def _shifted(moment: str, days: int) -> str:
    """Digits of a date, and of a time behind it, moved back; "" where they are no date."""
    try:
        day = date(int(moment[:4]), int(moment[4:6]), int(moment[6:8]))
        return f"{day - timedelta(days=days):%Y%m%d}".zfill(8) + moment[8:14]
    except (ValueError, OverflowError):
        return ""


def _unquoted_uid(text: str) -> str:
    return text if _UID.fullmatch(text) else ""
