"""Why an image or a file is left out: one closed list of words, from the headers to the report.

A word stands in ``left_out`` of a manifest, in ``failed.parquet`` of a store and in the report of
an exam, and means the same in each. Beside it stands a sentence about the file itself.
"""

from enum import StrEnum

from fourview.errors import (
    ColourError,
    ColourPictureError,
    DamagedHeaderError,
    DamagedPixelsError,
    FourviewError,
    HostileFileError,
    NoBreastError,
    NotDicomError,
    PageError,
    PictureError,
)


class Reason(StrEnum):
    """A word for tables; ``sentence`` says the same to people."""

    sentence: str

    def __new__(cls, word: str, sentence: str = "") -> "Reason":
        """The word with its sentence."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member

    # The file
    UNREACHABLE = "unreachable", "The file or its folder cannot be opened."
    SPECIAL = "special", "It is a pipe, a socket or a device, no file."
    NOT_DICOM = "not_dicom", "The file is not DICOM."
    DAMAGED = "damaged", "The file is cut off or garbled, in its header or its pixels."
    HOSTILE = "hostile", "The file claims sizes that no mammogram has."
    UNSUPPORTED = "unsupported", "Its syntax, pixels or window are none that can be used here."
    DUPLICATE = "duplicate", "It is a second file of an image that was listed before."
    # What it is
    DIRECTORY = "directory", "It is a directory of media (DICOMDIR)."
    CAD = "cad", "It holds the marks of a CAD system, no plain image."
    REPORT = "report", "It is a report or a document."
    PRESENTATION = "presentation", "It is a presentation state."
    SEGMENTATION = "segmentation", "It is a segmentation or a registration."
    MAPPING = "mapping", "It is a real world value mapping."
    PROTOCOL = "protocol", "It is a hanging protocol."
    NO_PIXELS = "no_pixels", "It is a DICOM object without pixel data."
    TOMOSYNTHESIS = "tomosynthesis", "It is a tomosynthesis volume or its projections."
    MULTIFRAME = "multiframe", "It has several frames."
    MODALITY = "modality", "It is of another modality than mammography."
    COLOUR = "colour", "Its pixels are in colour, or are of an unknown kind."
    FOR_PROCESSING = "for_processing", "It holds raw detector values, which nobody looks at."
    SUBTRACTED = "subtracted", "It is a subtracted contrast image."
    SYNTHETIC = "synthetic", "It is a synthetic image, and the data set has a full-field one."
    ROI_CAPTURE = "roi_capture", "It is a screen capture of a marked region."
    # What it shows
    SPECIMEN = "specimen", "It shows a tissue specimen."
    SPOT = "spot", "It is a spot compression, which shows a part of the breast."
    MAGNIFICATION = "magnification", "It is a magnified view, which shows a part of the breast."
    SPOT_OR_MAGNIFICATION = (
        "spot_or_magnification",
        "It is a spot compression or a magnified view; the data set does not say which.",
    )
    CLEAVAGE = "cleavage", "It is a cleavage view, which shows two breasts in part."
    BIOPSY = "biopsy", "It was taken for a biopsy."
    LOCALISATION = "localisation", "It was taken to localise a lesion."
    VIEW = "view", "Nothing tells its side or its view."
    NO_BREAST = "no_breast", "Preprocessing found no breast in its pixels."
    # The data set
    NO_FILE = "no_file", "A table of the data set names it, and there is no file."
    NOT_IN_TABLE = "not_in_table", "There is a file, and no table of the data set names it."
    NOT_IN_PROTOCOL = "not_in_protocol", "The data set's own protocol leaves it out."
    # The work
    TOO_LARGE = "too_large", "It is larger than the canvas of its store."
    TIMEOUT = "timeout", "It took longer than it may; another run tries it again."
    KILLED = "killed", "The process that read it died several times; another run tries it again."
    DISK = "disk", "There was no room on the disk for it; another run tries it again."
    DEFECT = "defect", "Reading it met an error that is a defect of this software."


MAY_PASS = frozenset({Reason.TIMEOUT, Reason.KILLED, Reason.DISK})  # another run may not meet them
WORDS = tuple(reason.value for reason in Reason)

_OF_ERRORS: tuple[tuple[type[FourviewError], Reason], ...] = (  # the first that fits
    (ColourError, Reason.COLOUR),
    (ColourPictureError, Reason.COLOUR),
    (PageError, Reason.REPORT),
    (DamagedHeaderError, Reason.DAMAGED),
    (DamagedPixelsError, Reason.DAMAGED),
    (PictureError, Reason.DAMAGED),
    (NotDicomError, Reason.NOT_DICOM),
    (HostileFileError, Reason.HOSTILE),
    (NoBreastError, Reason.NO_BREAST),
)


def reason_of(error: FourviewError | OSError) -> Reason:
    """The word for what was raised by reading or preprocessing one file."""
    if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
        return Reason.UNREACHABLE
    fitting = (reason for kind, reason in _OF_ERRORS if isinstance(error, kind))
    return next(fitting, Reason.UNSUPPORTED)
