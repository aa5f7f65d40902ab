"""Who an object is and who made it: identifiers, numbers, equipment, the research mark.

Identifiers: "2.25." and a UUID as a decimal number (PS3.5 B.2), at most 44 characters. The UUID is
             of version 5: a hash of the parts that make the object what it is. So an object that is
             made or sent again has the identifier it had, and another model never overwrites it.
             The parts are chosen in ``subject``, tracking identifiers of findings too.
Text:        what is ours is ASCII, which every character set holds, and is cut at the limit of its
             value representation (PS3.5 6.2).
"""

import io
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

import fourview
from fourview.entities import ExamPrediction
from fourview.fingerprint import digest_of_text
from fourview.report.exam_json import exam_to_json

NAMESPACE = uuid.UUID("60210ec3-2ad0-4f2d-9c06-4177a4f747b3")  # ours, for identifiers
ENCODER = "1"  # raised when the same prediction is written in another way
RESEARCH = "research use only, not for diagnosis"
MANUFACTURER, MODEL_NAME = "Fourview", "fourview"
SERIES_NUMBERS = {"cad-sr": 9001, "seg": 9002, "gsps": 9004, "sr1500": 9005, "sc": 9006}
LONG_TEXT = 64  # characters of LO
DECIMAL = 16  # characters of DS


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The model as objects name it.

    Attributes:
        name: "fourview RECIPE", of several models joined with +.
        version: Of the program, and the first digits of the weights' digest.
        parameters: Pixels that the model reads, and the research mark.
        digest: SHA-256 of the weights; of several models, that of their digests.
    """

    name: str
    version: str
    parameters: tuple[str, ...]
    digest: str

    @property
    def serial(self) -> str:
        """First 16 digits of the digest: what tells two models of one name apart."""
        return self.digest[:16]


def algorithm_of(prediction: ExamPrediction) -> Algorithm:
    """The model that made a prediction."""
    digest = prediction.model_digest
    if "+" in digest:
        digest = digest_of_text(digest)
    return Algorithm(
        name=plain(f"{MODEL_NAME} {prediction.model}"),
        version=f"{fourview.__version__} sha256:{digest[:16]}",
        parameters=(plain(f"pixels {prediction.pixel_spec}"), RESEARCH),
        digest=digest,
    )


def make_uid(*parts: str) -> str:
    """The identifier that belongs to these parts."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(10).join(parts)).int}"


def content_digest(
    prediction: ExamPrediction, images: Sequence[tuple[str, str]], options: dict[str, Any]
) -> str:
    """SHA-256 of all that decides an object's content, beside the images themselves.

    That is the prediction as ``result.json`` has it, without the files that were left out: of them
    objects hold only mammograms that could not be decoded, and those are among ``images``. So
    neither the folder nor other files in it, such as earlier results, make it another.

    Args:
        prediction: What is said.
        images: Of the exam, by id and name on the wall, in the order of the wall; an image that
            came after the prediction changes what a report says, for it was not read.
        options: See ``DicomOptions.content``.
    """
    document = exam_to_json(prediction)
    del document["left_out"]
    text = json.dumps([document, images, options], sort_keys=True, allow_nan=False)
    return digest_of_text(text)


def plain(text: str, limit: int | None = None) -> str:
    """Text of ours as ASCII in one value, cut at a number of characters."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:limit]


def decimal(value: float) -> str:
    """A number as a decimal string of at most 16 characters (VR DS)."""
    for digits in range(10, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= DECIMAL:
            return text
    raise ValueError(f"{value} has no decimal string of {DECIMAL} characters")


def local_time(created: datetime, offset: str | None) -> datetime:
    """A time in the zone that a data set states, as ``+0900`` (Timezone Offset From UTC)."""
    if created.tzinfo is None or not offset or len(offset) != 5 or not offset[1:].isdigit():
        return created
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    if shift >= timedelta(hours=24):
        return created
    return created.astimezone(timezone(-shift if offset[0] == "-" else shift))


def moment(created: datetime) -> tuple[str, str]:
    """Date and time as DICOM writes them."""
    return created.strftime("%Y%m%d"), created.strftime("%H%M%S")


def stamp(created: datetime) -> str:
    """A time as a part of identifiers: one word for one instant, whatever zone it is given in."""
    return (created if created.tzinfo is None else created.astimezone(UTC)).isoformat()


def add_equipment(dataset: Dataset, algorithm: Algorithm, recipe: str) -> None:
    """Enhanced General Equipment (PS3.3 C.7.5.2): the program and the model are the device."""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MODEL_NAME
    dataset.DeviceSerialNumber = algorithm.serial
    dataset.SoftwareVersions = [fourview.__version__, plain(recipe, LONG_TEXT)]


def file_bytes(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The file of a data set (PS3.10 section 7.1); its group 2 is made of constants.

    Elements that were copied from an image's header are written byte for byte, also where their
    character set cannot decode them.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(make_uid("implementation"))
    meta.ImplementationVersionName = "FOURVIEW"
    dataset.file_meta = meta
    dataset.preamble = b"\0" * 128
    keep_raw(dataset)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def keep_raw(dataset: Dataset) -> None:
    """Have pydicom write copied elements as they are, instead of decoding and encoding them."""
    encodings = convert_encodings(dataset.get("SpecificCharacterSet") or "ISO_IR 6")
    for each in (dataset, *dataset.get("DeidentificationMethodCodeSequence", ())):
        each.set_original_encoding(False, True, encodings)
