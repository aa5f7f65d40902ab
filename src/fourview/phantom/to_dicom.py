"""A phantom image as a DICOM object.

SOP class: Digital Mammography X-Ray Image Storage - For Presentation (PS3.3 A.27). All modules that
it requires are there; manufacturers are fictional, and the header says that no patient exists.
"""

import io
from dataclasses import replace

import numpy as np
from jaxtyping import Shaped
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fourview.entities import Voi
from fourview.phantom.encode import Syntax, syntax_of
from fourview.phantom.exam import uid
from fourview.phantom.truth import PhantomExam, PhantomImage
from fourview.phantom.vendor import vendor_of, voi_of

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"
VIEW_CODES = {  # SNOMED CT, context group 4014
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
}
# Directions of a row and of a column, chest wall on the left for L and on the right for R
ORIENTATION = {
    "L-CC": ["A", "R"],
    "L-MLO": ["A", "FR"],
    "R-CC": ["P", "L"],
    "R-MLO": ["P", "FL"],
}
REMARK = "synthetic phantom, no patient, research use only"
STUDY_DATE, STUDY_TIME = "20000101", "120000"  # fictional, the same for all


def dicom_bytes(exam: PhantomExam, image: PhantomImage, syntax: str) -> bytes:
    """The file of one image.

    Args:
        exam: The exam that it is of.
        image: One of the exam's images.
        syntax: Transfer Syntax UID; 8- and 16-bit encoders get the values rescaled to their bits.

    Raises:
        PhantomError: No encoder for that syntax.
    """
    chosen = syntax_of(syntax)
    pixels, voi = at_bits(image, chosen.bits)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(SOP_CLASS)
    meta.MediaStorageSOPInstanceUID = UID(image.image_id)
    meta.TransferSyntaxUID = UID(chosen.uid)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _add_patient(dataset, exam)
    _add_equipment(dataset, image)
    _add_view(dataset, image)
    _add_voi(dataset, voi)
    _add_pixels(dataset, image, pixels, chosen)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def at_bits(image: PhantomImage, bits: int) -> tuple[Shaped[np.ndarray, "row col"], Voi]:
    """Stored values and display of an image, rescaled to another number of bits."""
    if bits == image.bits:
        return image.pixels, image.voi
    old, new = 2**image.bits - 1, 2**bits - 1
    scaled = (image.pixels.astype(np.uint64) * new + old // 2) // old
    if image.film is not None:
        voi = replace(image.voi, center=2 ** (bits - 1), width=2**bits)
        return scaled.astype(np.uint8 if bits == 8 else np.uint16), voi
    vendor = replace(vendor_of(image.vendor), bits=bits)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16), voi_of(vendor, image.voi.function)


def _add_patient(dataset: Dataset, exam: PhantomExam) -> None:
    """Patient, study and series."""
    dataset.PatientName = f"Phantom^{exam.patient_id}"
    dataset.PatientID = exam.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F"
    dataset.PatientAge = f"{exam.age:03d}Y"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Synthetic: there never was a patient"
    dataset.StudyInstanceUID = exam.exam_id
    dataset.StudyID = "1"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = STUDY_TIME
    dataset.ContentDate, dataset.ContentTime = STUDY_DATE, STUDY_TIME
    dataset.StudyDescription = "Phantom mammography"
    dataset.ReferringPhysicianName = ""
    dataset.AccessionNumber = ""
    dataset.Modality = "MG"
    dataset.SeriesInstanceUID = uid(f"{exam.exam_id}/series")
    dataset.SeriesNumber = 1
    dataset.PresentationIntentType = "FOR PRESENTATION"


def _add_equipment(dataset: Dataset, image: PhantomImage) -> None:
    """A fictional vendor and its detector."""
    is_film = image.film is not None
    dataset.Manufacturer = f"Fictional Vendor {image.vendor}"
    dataset.ManufacturerModelName = "Phantom film scanner" if is_film else f"Phantom {image.vendor}"
    dataset.InstitutionName = ""
    dataset.SoftwareVersions = "fourview phantom"
    dataset.DetectorType = "FILM" if is_film else "DIRECT"
    dataset.DetectorConfiguration = "AREA"
    spacing = f"{image.spacing_mm:.10g}"
    dataset.ImagerPixelSpacing = [spacing, spacing]
    dataset.EstimatedRadiographicMagnificationFactor = "1"
    dataset.AcquisitionContextSequence = Sequence([])


def _add_view(dataset: Dataset, image: PhantomImage) -> None:
    """Which breast from which direction."""
    position = image.position
    dataset.SOPClassUID = SOP_CLASS
    dataset.SOPInstanceUID = image.image_id
    dataset.InstanceNumber = 1 + ("R-CC", "L-CC", "R-MLO", "L-MLO").index(image.name)
    side = image.header_side
    dataset.ImageLaterality = side or ""
    dataset.ViewPosition = position
    dataset.PatientOrientation = ORIENTATION[f"{side}-{position}"] if side else ""
    dataset.OrganExposed = "BREAST"
    dataset.BodyPartExamined = "BREAST"
    dataset.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    view = _code(*VIEW_CODES[position])
    view.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view])
    dataset.PositionerType = "MAMMOGRAPHIC"
    turn = image.truth.gantry_deg * (1 if image.side == "R" else -1)
    dataset.PositionerPrimaryAngle = f"{turn:.1f}"
    dataset.BodyPartThickness = f"{image.truth.thickness_mm:.1f}"
    dataset.CompressionForce = "100"
    dataset.BreastImplantPresent = "NO"
    dataset.PartialView = "NO"
    dataset.ImageComments = REMARK


def _code(value: str, meaning: str) -> Dataset:
    """A coded concept of SNOMED CT."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def _add_voi(dataset: Dataset, voi: Voi) -> None:
    """The window, or the table."""
    if voi.function != "TABLE" or voi.table is None:
        dataset.WindowCenter, dataset.WindowWidth = f"{voi.center:.10g}", f"{voi.width:.10g}"
        dataset.VOILUTFunction = voi.function
        dataset.WindowCenterWidthExplanation = voi.explanation
        return
    item = Dataset()
    num_entries = len(voi.table)
    item.add_new("LUTDescriptor", "US", [num_entries % 65536, voi.first, voi.table_bits])
    item.LUTExplanation = voi.explanation
    item.add_new("LUTData", "OW", voi.table.astype("<u2").tobytes())
    dataset.VOILUTSequence = Sequence([item])


def _add_pixels(
    dataset: Dataset, image: PhantomImage, pixels: Shaped[np.ndarray, "row col"], syntax: Syntax
) -> None:
    """Image pixel and DX image modules."""
    lossy = syntax.lossy is not None
    dataset.ImageType = ["DERIVED" if lossy else "ORIGINAL", "PRIMARY", ""]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = image.photometric
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = syntax.bits
    dataset.HighBit = syntax.bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    is_inverse = image.photometric == "MONOCHROME1"
    dataset.PixelIntensityRelationshipSign = 1 if is_inverse else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "INVERSE" if is_inverse else "IDENTITY"
    dataset.BurnedInAnnotation = "YES"
    dataset.LossyImageCompression = "01" if lossy else "00"
    if syntax.encode is None:
        little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
        dataset.add_new("PixelData", "OW", little + b"\0" * (len(little) % 2))
        return
    frame = syntax.encode(pixels)
    dataset.add_new("PixelData", "OB", encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    if lossy:
        dataset.LossyImageCompressionRatio = f"{pixels.nbytes / len(frame):.6g}"
        dataset.LossyImageCompressionMethod = syntax.lossy
        dataset.DerivationDescription = f"{syntax.name} compression"
