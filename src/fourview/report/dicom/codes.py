"""Every coded concept that the objects use, once, with the context group it is of.

References:
    DICOM PS3.16 2024: annex B (context groups CID), annex D (DCM codes), TID 4000 and TID 1500.
"""

from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence


class Code(NamedTuple):
    """A coded concept: value, scheme (DCM, SCT, UCUM, RFC5646) and meaning."""

    value: str
    scheme: str
    meaning: str


def coded(code: Code) -> Sequence:
    """The one item of a code sequence (PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Sequence([item])


def _dcm(value: int, meaning: str) -> Code:
    return Code(str(value), "DCM", meaning)


def _sct(value: int, meaning: str) -> Code:
    return Code(str(value), "SCT", meaning)


# Language (TID 1204)
LANGUAGE = _dcm(121049, "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")

# Containers and what stands in them (TID 4000 and below)
CAD_REPORT = _dcm(111036, "Mammography CAD Report")
IMAGE_LIBRARY = _dcm(111028, "Image Library")
IMAGE_LATERALITY = _dcm(111027, "Image Laterality")
IMAGE_VIEW = _dcm(111031, "Image View")
IMAGE_VIEW_MODIFIER = _dcm(111032, "Image View Modifier")
ORIENTATION_ROW = _dcm(111044, "Patient Orientation Row")
ORIENTATION_COLUMN = _dcm(111043, "Patient Orientation Column")
STUDY_DATE = _dcm(111060, "Study Date")
STUDY_TIME = _dcm(111061, "Study Time")
CONTENT_DATE = _dcm(111018, "Content Date")
CONTENT_TIME = _dcm(111019, "Content Time")
HORIZONTAL_SPACING = _dcm(111026, "Horizontal Pixel Spacing")
VERTICAL_SPACING = _dcm(111066, "Vertical Pixel Spacing")
SUMMARY = _dcm(111017, "CAD Processing and Findings Summary")
IMPRESSION_DESCRIPTION = _dcm(111033, "Impression Description")
ALGORITHM_NAME = _dcm(111001, "Algorithm Name")
ALGORITHM_VERSION = _dcm(111003, "Algorithm Version")
ALGORITHM_PARAMETERS = _dcm(111002, "Algorithm Parameters")
IMPRESSION = _dcm(111034, "Individual Impression/Recommendation")
RENDERING_INTENT = _dcm(111056, "Rendering Intent")
SINGLE_IMAGE_FINDING = _dcm(111059, "Single Image Finding")
TRACKING_ID = _dcm(112039, "Tracking Identifier")
TRACKING_UID = _dcm(112040, "Tracking Unique Identifier")
CERTAINTY = _dcm(111012, "Certainty of Finding")
CENTER = _dcm(111010, "Center")
OUTLINE = _dcm(111041, "Outline")
SUMMARY_OF_DETECTIONS = _dcm(111064, "Summary of Detections")
SUCCESSFUL_DETECTIONS = _dcm(111063, "Successful Detections")
FAILED_DETECTIONS = _dcm(111025, "Failed Detections")
DETECTION_PERFORMED = _dcm(111022, "Detection Performed")
SUMMARY_OF_ANALYSES = _dcm(111065, "Summary of Analyses")

# Units
MICROMETER = Code("um", "UCUM", "micrometer")
PERCENT = Code("%", "UCUM", "Percent")

# Kinds of finding (CID 6014)
CALCIFICATION_CLUSTER = _sct(129769006, "Calcification Cluster")
BREAST_DENSITY = _sct(129793001, "Mammography breast density")  # a mass-like density in one image
DISTORTION = _sct(129792006, "Architectural distortion of breast")

# Rendering intent (CID 6034)
REQUIRED = _dcm(111150, "Presentation Required: Rendering device is expected to present")
OPTIONAL = _dcm(111151, "Presentation Optional: Rendering device may present")

# Processing and findings summary (CID 6047)
ALL_WITHOUT = _dcm(111241, "All algorithms succeeded; without findings")
ALL_WITH = _dcm(111242, "All algorithms succeeded; with findings")
SOME_WITHOUT = _dcm(111243, "Not all algorithms succeeded; without findings")
SOME_WITH = _dcm(111244, "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED = _dcm(111245, "No algorithms succeeded; without findings")

# Status of detections and analyses (CID 6042)
SUCCEEDED = _dcm(111222, "Succeeded")
PARTIALLY_SUCCEEDED = _dcm(111223, "Partially Succeeded")
FAILED = _dcm(111224, "Failed")
NOT_ATTEMPTED = _dcm(111225, "Not Attempted")

# Sides (CID 6022), views (CID 4014) and their modifiers (CID 4015), by our words
SIDES = {"R": _sct(73056007, "Right breast"), "L": _sct(80248007, "Left breast")}
VIEWS = {
    "CC": _sct(399162004, "cranio-caudal"),
    "MLO": _sct(399368009, "medio-lateral oblique"),
    "ML": _sct(399260004, "medio-lateral"),
    "LM": _sct(399352003, "latero-medial"),
    "LMO": _sct(399099002, "latero-medial oblique"),
    "XCCL": _sct(399192008, "cranio-caudal exaggerated laterally"),
    "XCCM": _sct(399101009, "cranio-caudal exaggerated medially"),
    "FB": _sct(399196006, "caudo-cranial"),
    "SIO": _sct(399188001, "superolateral to inferomedial oblique"),
    "ISO": _sct(441555000, "inferomedial to superolateral oblique"),
}
MODIFIERS = {
    "implant_displaced": _sct(399209000, "Implant Displaced"),
    "spot": _sct(399055006, "Spot Compression"),
    "magnification": _sct(399163009, "Magnification"),
    "axillary_tail": _sct(399011000, "Axillary Tail"),
    "cleavage": _sct(399161006, "Cleavage"),
    "rolled_lateral": _sct(399197002, "Rolled Lateral"),
    "rolled_medial": _sct(399226006, "Rolled Medial"),
    "rolled_inferior": _sct(414493004, "Rolled Inferior"),
    "rolled_superior": _sct(415670009, "Rolled Superior"),
    "tangential": _sct(399110001, "tangential"),
    "nipple_in_profile": _sct(442581004, "Nipple in profile"),
    "anterior_compression": _sct(441752004, "Anterior compression"),
    "infra_mammary_fold": _sct(442593008, "Infra-mammary fold"),
    "axillary_tissue": _sct(442580003, "Axillary tissue"),
}

# Measurement report (TID 1500, 1002, 1410)
MEASUREMENT_REPORT = _dcm(126000, "Imaging Measurement Report")
OBSERVER_TYPE = _dcm(121005, "Observer Type")
DEVICE = _dcm(121007, "Device")
DEVICE_UID = _dcm(121012, "Device Observer UID")
DEVICE_NAME = _dcm(121013, "Device Observer Name")
DEVICE_MANUFACTURER = _dcm(121014, "Device Observer Manufacturer")
DEVICE_MODEL = _dcm(121015, "Device Observer Model Name")
PROCEDURE_REPORTED = _dcm(121058, "Procedure reported")
IMAGING_PROCEDURE = _sct(363679005, "Imaging procedure")  # CID 100; no mammography code is in it
LIBRARY_GROUP = _dcm(126200, "Image Library Group")
MEASUREMENTS = _dcm(126010, "Imaging Measurements")
MEASUREMENT_GROUP = _dcm(125007, "Measurement Group")
FINDING = _dcm(121071, "Finding")
FINDING_SITE = _sct(363698007, "Finding Site")
BREAST = _sct(76752008, "Breast")
LATERALITY = _sct(272741003, "Laterality")
LATERALITIES = {"R": _sct(24028007, "Right"), "L": _sct(7771000, "Left")}
IMAGE_REGION = _dcm(111030, "Image Region")

# Segmentation (CID 7150, 7162, 7202, 7203)
ABNORMAL_STRUCTURE = _sct(49755003, "Morphologically Abnormal Structure")
ARTIFICIAL_INTELLIGENCE = _dcm(123110, "Artificial Intelligence")
SEGMENTATION = _dcm(113076, "Segmentation")
SOURCE_IMAGE = _dcm(121322, "Source image for image processing operation")
