"""Every exception that Fourview raises on purpose.

Each message says where, what was found, what was needed and what to do; the command line prints it
as one line and exits with 3. Anything else that escapes is a defect of ours.

    FourviewError
    |-- DicomError                  a file that cannot be read as an image
    |   |-- NotDicomError           it is not DICOM at all
    |   |   `-- DamagedHeaderError  it starts as DICOM, but its header is cut off or garbled
    |   |-- HostileFileError        it claims sizes that no mammogram has; refused before allocation
    |   |-- UnsupportedImageError   DICOM, but its syntax or pixel layout is not read here
    |   |   |-- ColourError         its pixels are in colour
    |   |   `-- PageError           its pixels are letters and lines, no picture
    |   `-- DamagedPixelsError      the header is fine, the pixel data are not
    |-- ExamError                   files that do not make an exam
    |-- PixelError                  preprocessing cannot make a ProcessedImage of an Image
    |   |-- NoBreastError           no part of its pixels is a breast
    |   |-- ColourPictureError      a PNG, JPEG or other picture in colour
    |   `-- PictureError            a PNG, JPEG or PGM file that is cut off or garbled
    |-- ManifestError               a table of a data set breaks its contract
    |-- CaptionError                a caption template, prompts or tokenizer that cannot be used
    |-- PhantomError                a phantom preset, vendor or output folder that cannot be used
    |-- DiskFullError               no space is left for what is being written
    |-- StoreError                  a store cannot be opened, or was made with another pixel spec
    |-- ModuleError                 a module outside of the package that cannot be used
    |-- RecipeError                 an unknown recipe, key or value
    |-- DeviceError                 a device that this machine does not have
    |-- TrainingError               a run that cannot start or go on
    |-- CheckpointError             weights that do not fit the model, or have another pixel spec
    |-- LocaliseError               heatmap values or region scores that are not in [0, 1]
    |-- ReportError                 a prediction that cannot be shown, or JSON that is not one
    |-- ServeError                  something that the reading room cannot show or take
    |-- NodeError                   the node cannot start, or does not know a study or peer
    |   `-- NodeSettingsError       node.toml has an unknown key, or a value that cannot be used
    |-- StudyError                  a study's declaration has an unknown key, or lacks a needed one
    `-- EvaluationError             a predictions table or protocol that cannot give a number
"""

from fourview.text import printable


class FourviewError(Exception):
    """Base of all errors raised on purpose; its text is meant for the person at the keyboard.

    Whatever a message quotes from a file, it is one printable line of bounded length.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class DicomError(FourviewError):
    """A file cannot be read as an image."""


class NotDicomError(DicomError):
    """The file is not DICOM, or is cut off before its header ends."""


class DamagedHeaderError(NotDicomError):
    """The file starts as DICOM, but its header is cut off or makes no sense."""


class HostileFileError(DicomError):
    """The file claims sizes that no mammogram has; it was refused before anything was allocated."""


class UnsupportedImageError(DicomError):
    """The file is DICOM, but its transfer syntax or pixel layout is not read here."""


class ColourError(UnsupportedImageError):
    """The pixels are in colour, or of a kind of colour that is not read here."""


class PageError(UnsupportedImageError):
    """The pixels are a page of letters and lines, which shows no breast."""


class DamagedPixelsError(DicomError):
    """The header can be read, the pixel data cannot."""


class ExamError(FourviewError):
    """Files do not make an exam."""


class PixelError(FourviewError):
    """Preprocessing cannot make a ProcessedImage of an Image."""


class NoBreastError(PixelError):
    """No part of an image's pixels is a breast."""


class ColourPictureError(PixelError):
    """A PNG, JPEG or other picture is in colour."""


class PictureError(PixelError):
    """A PNG, JPEG or PGM file is cut off or garbled."""


class ManifestError(FourviewError):
    """A table of a data set breaks its contract."""


class CaptionError(FourviewError):
    """A caption template, a prompt set or a tokenizer cannot be used."""


class PhantomError(FourviewError):
    """A phantom preset, vendor, transfer syntax or output folder cannot be used."""


class DiskFullError(FourviewError):
    """No space is left for what is being written; nothing half written stays."""


class StoreError(FourviewError):
    """A store cannot be opened, or was made with another pixel spec."""


class ModuleError(FourviewError):
    """A module outside of the package cannot be imported, or what it lists cannot be used."""


class RecipeError(FourviewError):
    """An unknown recipe, key or value."""


class DeviceError(FourviewError):
    """A device is named that this machine does not have."""


class TrainingError(FourviewError):
    """A run cannot start or go on."""


class CheckpointError(FourviewError):
    """Weights do not fit the model, or were trained on another pixel spec."""


class LocaliseError(FourviewError):
    """A heatmap or scored regions hold values that are not scores in [0, 1]."""


class ReportError(FourviewError):
    """A prediction cannot be shown with these images, or a JSON document is not a prediction."""


class ServeError(FourviewError):
    """The reading room cannot show what was asked for, or take what was sent."""


class NodeError(FourviewError):
    """The node cannot start or go on, or what it was asked for is not there."""


class NodeSettingsError(NodeError):
    """The settings of a node hold an unknown key or a value that cannot be used."""


class StudyError(FourviewError):
    """A study's declaration holds an unknown key, name or value, or leaves out what is needed."""


class EvaluationError(FourviewError):
    """A predictions table or a protocol cannot give a number."""
