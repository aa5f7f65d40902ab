"""The image files that a prediction is of: what objects copy from them, and how they name them.

Copied:  patient, study, character set, time zone and the flags of de-identification, byte for byte;
         COPIED lists all of it. No institution, operator, station or private element is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from fourview.dicom.triage import GREY
from fourview.entities import Image, View
from fourview.errors import ReportError
from fourview.report.dicom.tree import ImageRef

_DIRECTIONS = frozenset("APRLHF")
# Elements that every object takes from its images, with VR; True where an absent one is written
# empty (type 2 of the Patient and General Study modules, PS3.3 C.7.1.1 and C.7.2.1).
COPIED: tuple[tuple[int, str, bool], ...] = (
    (0x00080005, "CS", False),  # Specific Character Set
    (0x00080020, "DA", True),  # Study Date
    (0x00080030, "TM", True),  # Study Time
    (0x00080050, "SH", True),  # Accession Number
    (0x00080090, "PN", True),  # Referring Physician's Name
    (0x00080201, "SH", False),  # Timezone Offset From UTC
    (0x00081030, "LO", False),  # Study Description
    (0x00100010, "PN", True),  # Patient's Name
    (0x00100020, "LO", True),  # Patient ID
    (0x00100021, "LO", False),  # Issuer of Patient ID
    (0x00100030, "DA", True),  # Patient's Birth Date
    (0x00100040, "CS", True),  # Patient's Sex
    (0x00101010, "AS", False),  # Patient's Age
    (0x00120062, "CS", False),  # Patient Identity Removed
    (0x00120063, "LO", False),  # De-identification Method
    (0x00280303, "CS", False),  # Longitudinal Temporal Information Modified
    (0x0020000D, "UI", True),  # Study Instance UID
    (0x00200010, "SH", True),  # Study ID
)
DEIDENTIFICATION_CODES = Tag(0x00120064)
_CODE_PARTS = {0x00080100: "SH", 0x00080102: "SH", 0x00080103: "SH", 0x00080104: "LO"}
_READ = (
    *(tag for tag, _, _ in COPIED),
    DEIDENTIFICATION_CODES,
    0x00080016,  # SOP Class UID
    0x00080018,  # SOP Instance UID
    0x00080023,  # Content Date
    0x00080033,  # Content Time
    0x0020000E,  # Series Instance UID
    0x00200020,  # Patient Orientation
    0x00280002,  # Samples per Pixel
    0x00280004,  # Photometric Interpretation
    0x00280301,  # Burned In Annotation
    0x00281052,  # Rescale Intercept
    0x00281053,  # Rescale Slope
    0x00281054,  # Rescale Type
    0x00283000,  # Modality LUT Sequence
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One image file of the exam.

    Attributes:
        image_id: As the prediction names it.
        key: Its name on the wall of the report, such as R-CC or R-CC-2.
        view: Side and view; None where unknown.
        image: As it was read; None where it could not be.
        header: The elements of its header that are used.
        copied: Those that go into objects, as raw bytes.
    """

    image_id: str
    key: str
    view: View | None
    image: Image | None
    path: str
    header: Dataset
    copied: Dataset

    @property
    def ref(self) -> ImageRef:
        """Its SOP class and instance."""
        return ImageRef(str(self.header.SOPClassUID), str(self.header.SOPInstanceUID))

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return str(self.header.StudyInstanceUID)

    @property
    def series(self) -> str:
        """Series Instance UID."""
        return str(self.header.SeriesInstanceUID)

    @property
    def is_grey(self) -> bool:
        """Whether its header tells viewers that its pixels are grey, whatever they show."""
        told = self.word("PhotometricInterpretation").upper()
        return told in GREY and self.word("SamplesPerPixel") in ("", "1")

    @property
    def orientation(self) -> tuple[str, str] | None:
        """Directions of a row and of a column; None where the file does not tell them."""
        words = self.words("PatientOrientation")
        if len(words) != 2 or not all(w and set(w) <= _DIRECTIONS for w in words):
            return None
        return words[0], words[1]

    def words(self, keyword: str) -> tuple[str, ...]:
        """The values of an element as text; () where it is absent or empty."""
        value = self.header.get(keyword)
        if value is None or value == "":
            return ()
        many = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        return tuple(str(part) for part in many)

    def word(self, keyword: str) -> str:
        """The first value of an element as text; "" where there is none."""
        return next(iter(self.words(keyword)), "")


def read_source(
    path: str, *, image_id: str, key: str, view: View | None, image: Image | None
) -> Source:
    """Read the header of an image file.

    Raises:
        ReportError: The file is gone or no DICOM, or it lacks an identifier without which no
            archive could file an object beside it.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_READ))
    except FileNotFoundError as error:
        raise ReportError(
            f"image {image_id}: its file {path} is not there; name the study's files"
        ) from error
    except (InvalidDicomError, OSError, ValueError, EOFError) as error:
        raise ReportError(f"image {image_id}: {path} cannot be read as DICOM: {error}") from error
    copied = _copied(header)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not header.get(keyword):
            raise ReportError(
                f"{path}: {keyword} is missing, so no archive could file an object beside this "
                "image; correct the header"
            )
    return Source(
        image_id=image_id,
        key=key,
        view=view,
        image=image,
        path=str(Path(path)),
        header=header,
        copied=copied,
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """What names a DICOM file to an archive."""

    sop_class: str
    instance: str
    study: str
    series: str
    syntax: str


def read_instance(path: Path) -> Instance:
    """Class, identifiers and transfer syntax of a file.

    Raises:
        ReportError: It is no DICOM, or lacks one of them.
    """
    wanted = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(wanted))
        syntax = header.file_meta.get("TransferSyntaxUID")
        uids = [str(header.get(name) or "") for name in wanted]
    except (InvalidDicomError, OSError, ValueError, EOFError, AttributeError) as error:
        raise ReportError(f"{path}: cannot be read as a DICOM file: {error}") from error
    if not syntax or not all(uids):
        raise ReportError(f"{path}: has no class, identifiers or transfer syntax; cannot be sent")
    sop_class, instance, study, series = uids
    return Instance(sop_class, instance, study, series, str(syntax))


def uncompressed(path: Path) -> Dataset:
    """A file's data set with its pixels decoded, as explicit little endian.

    Raises:
        ReportError: They cannot be decoded.
    """
    try:
        dataset = dcmread(path)
        dataset.decompress(generate_instance_uid=False)
    except (InvalidDicomError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ReportError(f"{path}: its pixels cannot be decoded: {error}") from error
    return dataset


def _copied(header: Dataset) -> Dataset:
    """The elements of COPIED and the codes of de-identification; raw, so nothing is decoded."""
    copied = Dataset()
    for tag, vr, always in COPIED:
        element = _raw(header, tag, vr)
        if element is not None:
            copied[tag] = element
        elif always:
            copied.add_new(tag, vr, "")
    codes = header.get(DEIDENTIFICATION_CODES)
    if codes is not None and codes.VR == "SQ":
        copied.add_new(DEIDENTIFICATION_CODES, "SQ", Sequence([_code_item(c) for c in codes.value]))
    return copied


def _code_item(source: Dataset) -> Dataset:
    item = Dataset()
    for tag, vr in _CODE_PARTS.items():
        element = _raw(source, tag, vr)
        if element is not None:
            item[tag] = element
    return item


def _raw(header: Dataset, tag: int, vr: str) -> RawDataElement | None:
    """An element with its bytes as they are; None where it is absent or empty."""
    if tag not in header:
        return None
    element = header.get_item(tag)
    if not isinstance(element, RawDataElement):  # pydicom reads the character set itself
        text = "\\".join(element.value) if element.VM > 1 else str(element.value or "")
        value = text.encode("ascii", "replace")
    else:
        value = bytes(element.value or b"")
    if not value.strip(b" \0"):
        return None
    # The length of a value is even (PS3.5 6.2).
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
