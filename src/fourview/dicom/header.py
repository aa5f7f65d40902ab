"""All facts of one file that a row of a manifest needs.

Pixels are read of one kind of file alone: a mammogram in colours, which may show nothing but grey.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import digits

from fourview.dicom import tags
from fourview.dicom.codes import MG_PRESENTATION, SECONDARY_CAPTURE
from fourview.dicom.elements import Elements
from fourview.dicom.kinds import SCANNED, find_kind, names_a_digitiser
from fourview.dicom.modality import read_format
from fourview.dicom.numbers import read_decimal
from fourview.dicom.part10 import OpenFile, open_dicom
from fourview.dicom.second import other_texts
from fourview.dicom.stored import read_stored
from fourview.dicom.triage import UNTOLD, Facts, Why, as_if_grey, why_left_out
from fourview.dicom.views import functional_groups, patient_of_film, read_view
from fourview.entities import Side, View
from fourview.entities.reasons import Reason, reason_of
from fourview.errors import DamagedHeaderError, DicomError
from fourview.fingerprint import digest_of_parts
from fourview.text import MOST_VALUE, printable, shown

_METADATA = tuple(
    {
        "modality": tags.MODALITY,
        "manufacturer": tags.MANUFACTURER,
        "model": tags.MODEL,
        "device": tags.DEVICE_SERIAL,
        "software": tags.SOFTWARE,
        "sop_class": tags.SOP_CLASS,
        "photometric": tags.PHOTOMETRIC,
        "presentation_intent": tags.PRESENTATION_INTENT,
        "series_description": tags.SERIES_DESCRIPTION,
        "body_part": tags.BODY_PART,
        "study_date": tags.STUDY_DATE,
        "age": tags.PATIENT_AGE,
        "sex": tags.PATIENT_SEX,
        "kvp": tags.KVP,
        "filter": tags.FILTER,
        "thickness_mm": tags.BODY_THICKNESS,
        "force_n": tags.COMPRESSION_FORCE,
        "paddle": tags.PADDLE,
        "implant": tags.BREAST_IMPLANT,
        "partial_view": tags.PARTIAL_VIEW,
        "magnification_factor": tags.MAGNIFICATION,
        "field_of_view_flip": tags.FIELD_OF_VIEW_FLIP,
        "patient_orientation": tags.PATIENT_ORIENTATION,
        "image_type": tags.IMAGE_TYPE,
    }.items()
)
_NUMBERS = {"kvp", "thickness_mm", "force_n", "magnification_factor"}  # texts that are numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one file says of itself.

    Attributes:
        path: The file as the caller named it.
        file_size: Bytes of the file.
        image_id: SOP Instance UID.
        patient_id: Patient ID; of a film named after its view, the part before the view.
        exam_id: Study Instance UID; of such a film, the patient id.
        series_id: Series Instance UID; None where missing.
        side: R or L; None where the file does not say.
        position: CC, MLO, ...; None where the file does not say.
        modifiers: Words such as spot, implant_displaced; sorted.
        view_source: The attributes that side and position were read from.
        kind: ffdm, film, synthetic, tomosynthesis, cesm_low_energy or cesm_subtracted; None where
            the file does not say.
        rows: Rows of the stored image; None where the file has no pixels.
        cols: Columns of the stored image; None where the file has no pixels.
        frames: Number of Frames; 1 where it is missing.
        bits: Bits Stored; None where missing.
        spacing_mm: Row and column distance at the detector; None where the file has none.
        acquired: Date and time as YYYYMMDDHHMMSS; "" where missing.
        is_for_presentation: Whether the image is meant to be looked at.
        transfer_syntax: UID.
        left_out: One word why it is no mammogram to read; None where it is one.
        detail: The same as a sentence; "" where it is a mammogram to read.
        metadata: Further facts as the file writes them, by name; absent ones are missing.
        notes: What is odd, one sentence each.
    """

    path: str
    file_size: int
    image_id: str
    patient_id: str
    exam_id: str
    series_id: str | None
    side: Side | None
    position: str | None
    modifiers: tuple[str, ...]
    view_source: str
    kind: str | None
    rows: int | None
    cols: int | None
    frames: int
    bits: int | None
    spacing_mm: tuple[float, float] | None
    acquired: str
    is_for_presentation: bool
    transfer_syntax: str
    left_out: Reason | None = None
    detail: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def view(self) -> View | None:
        """Side, position and modifiers; None where side or position is unknown."""
        if self.side is None or self.position is None:
            return None
        return View(
            side=self.side,
            position=self.position,
            modifiers=self.modifiers,
            source=self.view_source,
        )


def read_header(path: Path | str, *, for_processing: bool = False) -> Header:
    """Read one file up to its pixel data.

    A file that is DICOM but no mammogram to read has its reason in ``left_out``.

    Args:
        path: The file.
        for_processing: Whether images For Processing count as mammograms to read.

    Raises:
        DicomError: The file is not DICOM, damaged, or hostile.
    """
    try:
        with open_dicom(path) as file:
            return header_of(file, str(path), for_processing=for_processing)
    except DicomError as error:
        raise type(error)(f"{path}: {error}") from error


def header_of(
    file: OpenFile, path: str, *, for_processing: bool = False, looks: bool = True
) -> Header:
    """The facts of a file that is open.

    Args:
        file: The file.
        path: How the caller names it.
        for_processing: Whether images For Processing count as mammograms to read.
        looks: Whether to see by the pixels of a mammogram in colours if they show grey; else they
            are taken to, for a caller that reads them next.

    Raises:
        DamagedHeaderError: It has no SOP Instance UID.
    """
    elements = file.elements
    notes = list(file.notes)
    facts = _facts(file, notes)
    image_id = _image_id(file, facts, notes)
    patient_id, exam_id = _whose(elements, image_id, facts.sop_class, notes)
    view = read_view(elements)
    grey = as_if_grey(facts)
    facts = grey or facts
    left_out = why_left_out(facts, view, for_processing=for_processing)
    is_guessed = "PatientOrientation" in view.source
    if facts.has_pixels and (is_guessed or (left_out is not None and left_out[0] in UNTOLD)):
        view = read_view(elements, more=other_texts(file.source, file.pos, file.coding))
        left_out = why_left_out(facts, view, for_processing=for_processing)
    if grey is not None and looks and (left_out is None or left_out[0] in UNTOLD):
        left_out = _why_not_grey(file, notes) or left_out
    reason, detail = left_out or (None, "")
    return Header(
        path=path,
        file_size=file.size,
        image_id=image_id,
        patient_id=patient_id,
        exam_id=exam_id,
        series_id=elements.text(tags.SERIES_INSTANCE),
        side=view.side,
        position=view.position,
        modifiers=view.modifiers,
        view_source=view.source,
        kind=facts.kind,
        rows=elements.integer(tags.ROWS),
        cols=elements.integer(tags.COLUMNS),
        frames=facts.frames,
        bits=elements.integer(tags.BITS_STORED),
        spacing_mm=read_spacing(elements, notes),
        acquired=_acquired(elements),
        is_for_presentation=not facts.is_for_processing,
        transfer_syntax=file.transfer_syntax,
        left_out=reason,
        detail=printable(detail, MOST_VALUE),
        metadata=_metadata(elements),
        notes=tuple(
            printable(note, MOST_VALUE) for note in (*notes, *view.notes, *elements.oddities)
        ),
    )


def _why_not_grey(file: OpenFile, notes: list[str]) -> Why | None:
    """Why pixels of colours are no grey mammogram; a note where they are one."""
    said: list[str] = []
    try:
        read_stored(file, read_format(file.elements, []), None, said)
    except MemoryError:
        return Reason.HOSTILE, "reading its pixels needs more memory than there is"
    except DicomError as error:
        return reason_of(error), str(error)
    notes += said
    return None


def read_spacing(elements: Elements, notes: list[str]) -> tuple[float, float] | None:
    """Row and column distance at the detector in mm; adds a note where it is unusable.

    Imager Pixel Spacing is at the detector; Pixel Spacing, taken where that is missing, may have
    been corrected for magnification (PS3.3 10.7.1.3).
    """
    for word, tag in (
        ("ImagerPixelSpacing", tags.IMAGER_SPACING),
        ("PixelSpacing", tags.PIXEL_SPACING),
        ("NominalScannedPixelSpacing", tags.NOMINAL_SPACING),
    ):
        values = elements.numbers(tag)
        if not values:
            for item in functional_groups(elements, tags.PIXEL_MEASURES):
                values = values or item.numbers(tag)
        if len(values) >= 2 and all(math.isfinite(v) and 0 < v < 10 for v in values[:2]):
            return values[0], values[1]
        if values:
            notes.append(f"{word} is {values[:2]}, which is no distance in mm; taken as unknown")
    return None


def _image_id(file: OpenFile, facts: Facts, notes: list[str]) -> str:
    """SOP Instance UID; where it was taken away, that of the meta information, or the content's.

    Raises:
        DamagedHeaderError: There is none, and no image either.
    """
    image_id = file.elements.text(tags.SOP_INSTANCE)
    if image_id is not None:
        if not _is_uid(image_id):
            notes.append(f"SOP Instance UID '{shown(image_id, 70)}' is no valid UID")
        return image_id
    if facts.sop_class == "1.2.840.10008.1.3.10":
        return "DICOMDIR"
    if not facts.has_pixels:
        raise DamagedHeaderError(
            "SOP Instance UID (0008,0018) is missing, so the image has no name; correct the header"
        )
    media_storage_uid = file.start.sop_instance
    if media_storage_uid is not None and _is_uid(media_storage_uid):
        notes.append("SOP Instance UID is missing; that of the meta information was taken")
        return media_storage_uid
    starts = range(0, file.source.size, 1 << 20)
    digest = digest_of_parts(file.source.read(pos, 1 << 20) for pos in starts)
    notes.append("SOP Instance UID is missing; the image is named by a hash of its file")
    return f"no-uid-{digest[:24]}"


def _facts(file: OpenFile, notes: list[str]) -> Facts:
    elements = file.elements
    image_type = tuple(word.upper() for word in elements.texts(tags.IMAGE_TYPE))
    sop_class = elements.text(tags.SOP_CLASS) or file.start.sop_class or ""
    is_capture = sop_class.startswith(SECONDARY_CAPTURE)
    pairs = ((source, elements.text(tag)) for source, tag in tags.FREE_TEXT.items())
    texts = tuple((source, text) for source, text in pairs if text)
    sourced_kind = find_kind(
        sop_class=sop_class,
        image_type=image_type,
        texts=texts,
        is_scanned=_is_scanned(elements, is_capture=is_capture),
    )
    # Imager Pixel Spacing is at a detector: a capture with it is of a digital mammogram.
    if sourced_kind is None and is_capture and (tags.IMAGER_SPACING in elements.values):
        sourced_kind = find_kind(
            sop_class=MG_PRESENTATION, image_type=(), texts=(), is_scanned=False
        )
    if sourced_kind is not None and sourced_kind.text:
        quoted = f"{sourced_kind.source} '{shown(sourced_kind.text)}'"
        notes.append(f"the kind of the image ({sourced_kind.kind}) was concluded from {quoted}")
    words = [text for _, text in texts]
    if is_capture:  # of others nobody asks who made them
        words += [elements.text(tags.MANUFACTURER) or "", elements.text(tags.MODEL) or ""]
    return Facts(
        sop_class=sop_class,
        modality=elements.text(tags.MODALITY),
        image_type=image_type,
        intent=(elements.text(tags.PRESENTATION_INTENT) or "").upper(),
        frames=elements.integer(tags.FRAMES) or 1,
        samples=elements.integer(tags.SAMPLES) or 1,
        photometric=(elements.text(tags.PHOTOMETRIC) or "").upper(),
        has_pixels=elements.pixels is not None,
        words=" ".join(word for word in words if word),
        is_capture=is_capture,
        sourced_kind=sourced_kind,
    )


def _is_scanned(elements: Elements, *, is_capture: bool) -> bool:
    """Whether something says that a film was scanned (PS3.3 C.8.6.1 and practice)."""
    if (elements.text(tags.CONVERSION) or "").upper() in SCANNED:
        return True
    if tags.NOMINAL_SPACING in elements.values and tags.IMAGER_SPACING not in elements.values:
        return True
    nobody = ("", b"")
    makers = (tags.MANUFACTURER, tags.MODEL, tags.CAPTURE_MAKER)
    if names_a_digitiser(*(elements.values.get(tag, nobody)[1] for tag in makers)):
        return True
    return is_capture and patient_of_film(elements.text(tags.PATIENT_ID) or "") is not None


def _whose(elements: Elements, image_id: str, sop_class: str, notes: list[str]) -> tuple[str, str]:
    """Patient and exam; where one is missing what is nearest stands in, and a note tells.

    Without a study, images of one patient and day, or of one accession number, are an exam: two
    visits are never joined.
    """
    patient_id, exam_id = elements.text(tags.PATIENT_ID), elements.text(tags.STUDY_INSTANCE)
    if patient_id and sop_class.startswith(SECONDARY_CAPTURE):
        patient = patient_of_film(patient_id)
        if patient is not None:
            notes.append(
                f"PatientID '{shown(patient_id)}' names one film; patient and exam are "
                f"{shown(patient)}"
            )
            return patient, patient
    if not exam_id:
        exam_id, what = _exam_without_study(elements, patient_id)
        notes.append(f"StudyInstanceUID is missing; {what} stands for the exam")
    if not patient_id:
        notes.append("PatientID is missing; the exam or image stands for the patient")
    return patient_id or exam_id or image_id, exam_id or patient_id or image_id


def _exam_without_study(elements: Elements, patient_id: str | None) -> tuple[str | None, str]:
    """What names an exam that has no Study Instance UID, and what that is in words."""
    accession = elements.text(tags.ACCESSION)
    if accession:
        return accession, "the accession number"
    day = elements.text(tags.STUDY_DATE) or elements.text(tags.ACQUISITION_DATE)
    if patient_id and day:
        return f"{patient_id}@{day}", "the patient on that day"
    return None, "the patient or image"


def _acquired(elements: Elements) -> str:
    """When the image was taken, as digits that sort; the study's date where no more is known."""
    moment = elements.text(tags.ACQUISITION_DATETIME) or ""
    for date, time in (
        (tags.ACQUISITION_DATE, tags.ACQUISITION_TIME),
        (tags.CONTENT_DATE, tags.CONTENT_TIME),
        (tags.STUDY_DATE, tags.ACQUISITION_TIME),
    ):
        day = elements.text(date)
        if not moment and day:
            moment = day + (elements.text(time) or "")
    return "".join(c for c in moment.split(".")[0][:MOST_VALUE] if c in digits)[:14]


def _metadata(elements: Elements) -> dict[str, str]:
    present = ((word, elements.texts(tag)) for word, tag in _METADATA if tag in elements.values)
    metadata = {word: printable("\\".join(parts), MOST_VALUE) for word, parts in present if parts}
    for word in _NUMBERS & metadata.keys():
        if "," in metadata[word] and (values := read_decimal(metadata[word])) is not None:
            metadata[word] = "\\".join(f"{value:g}" for value in values)
    return metadata


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and all(part.isascii() and part.isdigit() for part in text.split("."))
