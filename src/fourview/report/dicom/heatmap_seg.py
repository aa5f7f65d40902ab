"""Heatmaps of a suspicion as fractional segmentations, one object per image, one segment per class.

The grid is laid on the matrix of the file: a projection has no Frame of Reference, and only an
equal matrix says where a value belongs. Values are interpolated between the centres of the grid's
cells; beyond what the model saw, and where it says nothing, they are 0.

References:
    DICOM PS3.3 A.51 (the object), C.8.20 (segmentation), PS3.5 annex G (RLE).
"""

import struct

import imagecodecs
import numpy as np
from jaxtyping import UInt8
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

import fourview
from fourview.entities import Heatmap
from fourview.errors import ReportError
from fourview.geometry import Geometry
from fourview.report.dicom import codes
from fourview.report.dicom.codes import coded
from fourview.report.dicom.document import series_of
from fourview.report.dicom.identity import LONG_TEXT, RESEARCH, decimal, make_uid, plain
from fourview.report.dicom.source import Source
from fourview.report.dicom.subject import Subject
from fourview.report.dicom.tree import sop_item
from fourview.report.overlay import warp

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
SUSPICIONS = frozenset(("cancer", "malignant", "benign"))  # classes of tasks that ask for suspicion
# A projection has no slice and 0 is forbidden, but highdicom opens no object without a thickness.
NOMINAL_THICKNESS = "1"
BAND_ROWS = 256  # at a time, so that no float copy of a whole image is in memory
TOP = 255  # Maximum Fractional Value


def suspicion_heatmaps(subject: Subject, source: Source) -> tuple[Heatmap, ...]:
    """The heatmaps of an image that say how suspicious a place is.

    Heatmaps of sentences and of patches say where something is, not how likely: a segmentation of
    probability would claim more than they do.

    Raises:
        ReportError: There are none; the message has the reason.
    """
    predicted = next(i for i in subject.prediction.images if i.image_id == source.image_id)
    heatmaps = tuple(h for h in predicted.heatmaps if h.class_name in SUSPICIONS)
    if not heatmaps:
        others = ", ".join(h.class_name for h in predicted.heatmaps)
        raise ReportError(
            f"the heatmaps ({plain(others, LONG_TEXT)}) say where, not how likely"
            if others
            else "the model gives no heatmap of it"
        )
    return heatmaps


def heatmap_segmentation(subject: Subject, source: Source) -> Dataset:
    """The heatmaps of one image.

    Raises:
        ReportError: It has no heatmap of a suspicion, or its header no Patient Orientation.
    """
    heatmaps = suspicion_heatmaps(subject, source)
    if source.orientation is None:
        raise ReportError(
            "its file has no Patient Orientation (0020,0020), which a segmentation of it needs"
        )
    assert source.image is not None  # it has heatmaps
    rows, cols = source.image.stored_size
    dataset = subject.new("seg", SOP_CLASS, of=source)
    _add_image(dataset, source, len(heatmaps))
    dataset.Rows, dataset.Columns = rows, cols
    dataset.SegmentSequence = Sequence(
        [_segment(subject, source, h, n) for n, h in enumerate(heatmaps, start=1)]
    )
    _add_dimension(dataset)
    dataset.SharedFunctionalGroupsSequence = Sequence([_shared(source)])
    frames = Sequence([_frame(source, number) for number in range(1, len(heatmaps) + 1)])
    dataset.PerFrameFunctionalGroupsSequence = frames
    coded_frames = [_rle(fractions(h, source.image.stored_size)) for h in heatmaps]
    dataset.add_new("PixelData", "OB", encapsulate(coded_frames))
    dataset["PixelData"].is_undefined_length = True  # as encapsulated pixels must be (PS3.5 A.4)
    return dataset


def fractions(heatmap: Heatmap, size: tuple[int, int]) -> UInt8[np.ndarray, "row col"]:
    """A heatmap's values on the matrix of its file, as rint(255 x); band by band."""
    rows, cols = size
    stored = np.empty(size, np.uint8)
    for top in range(0, rows, BAND_ROWS):
        bottom = min(top + BAND_ROWS, rows)
        values = warp(heatmap, Geometry(size).cropped(0, top, cols, bottom))
        stored[top:bottom] = np.rint(np.nan_to_num(values) * TOP)
    return stored


def _add_image(dataset: Dataset, source: Source, num_frames: int) -> None:
    """General Image, Image Pixel and Segmentation Image modules."""
    dataset.Modality = "SEG"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PatientOrientation = list(source.words("PatientOrientation"))
    dataset.ReferencedSeriesSequence = Sequence([series_of(source)])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = num_frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    dataset.SegmentationType = "FRACTIONAL"
    dataset.SegmentationFractionalType = "PROBABILITY"
    dataset.MaximumFractionalValue = TOP
    dataset.SegmentsOverlap = "YES" if num_frames > 1 else "NO"
    dataset.ContentLabel = "FOURVIEW"
    dataset.ContentDescription = RESEARCH
    dataset.ContentCreatorName = "Fourview^^^^"


def _segment(subject: Subject, source: Source, heatmap: Heatmap, number: int) -> Dataset:
    item = Dataset()
    name = plain(heatmap.class_name, LONG_TEXT)
    item.SegmentNumber = number
    item.SegmentLabel = name
    item.SegmentDescription = RESEARCH
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = subject.algorithm.name[:LONG_TEXT]
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = coded(codes.ARTIFICIAL_INTELLIGENCE)
    algorithm.AlgorithmName = subject.algorithm.name[:LONG_TEXT]
    algorithm.AlgorithmVersion = subject.algorithm.version[:LONG_TEXT]
    algorithm.AlgorithmSource = f"fourview {fourview.__version__}"
    item.SegmentationAlgorithmIdentificationSequence = Sequence([algorithm])
    item.SegmentedPropertyCategoryCodeSequence = coded(codes.ABNORMAL_STRUCTURE)
    item.SegmentedPropertyTypeCodeSequence = coded(codes.BREAST_DENSITY)
    item.AnatomicRegionSequence = coded(codes.BREAST)
    item.TrackingID = f"heatmap {source.key} {name}"[:LONG_TEXT]
    parts = ("tracking", "heatmap", source.image_id, subject.algorithm.digest, heatmap.class_name)
    item.TrackingUID = UID(make_uid(*parts))
    return item


def _add_dimension(dataset: Dataset) -> None:
    """The frames are told apart by their segments (C.7.6.17)."""
    organisation = UID(make_uid("dimension"))
    item, index = Dataset(), Dataset()
    item.DimensionOrganizationUID = organisation
    dataset.DimensionOrganizationSequence = Sequence([item])
    index.DimensionOrganizationUID = organisation
    index.DimensionIndexPointer = Tag("ReferencedSegmentNumber")
    index.FunctionalGroupPointer = Tag("SegmentIdentificationSequence")
    index.DimensionDescriptionLabel = "Segment"
    dataset.DimensionIndexSequence = Sequence([index])


def _shared(source: Source) -> Dataset:
    """Distances at the detector; without them some viewers cannot open the object."""
    groups = Dataset()
    if source.image is not None and source.image.spacing_mm is not None:
        measures = Dataset()
        measures.PixelSpacing = [decimal(v) for v in source.image.spacing_mm]
        measures.SliceThickness = NOMINAL_THICKNESS
        groups.PixelMeasuresSequence = Sequence([measures])
    return groups


def _frame(source: Source, number: int) -> Dataset:
    groups, segment, content, derived = Dataset(), Dataset(), Dataset(), Dataset()
    segment.ReferencedSegmentNumber = number
    groups.SegmentIdentificationSequence = Sequence([segment])
    content.DimensionIndexValues = [number]
    groups.FrameContentSequence = Sequence([content])
    image = sop_item(source.ref)
    image.SpatialLocationsPreserved = "YES"
    image.PurposeOfReferenceCodeSequence = coded(codes.SOURCE_IMAGE)
    derived.SourceImageSequence = Sequence([image])
    derived.DerivationCodeSequence = coded(codes.SEGMENTATION)
    groups.DerivationImageSequence = Sequence([derived])
    return groups


def _rle(pixels: UInt8[np.ndarray, "row col"]) -> bytes:
    """One frame as DICOM RLE: a header, and one segment of PackBits that starts anew at each row.

    References:
        DICOM PS3.5 G.3.1 (the code, which is TIFF's PackBits) and G.5 (the header).
    """
    segment = bytes(imagecodecs.packbits_encode(np.ascontiguousarray(pixels), axis=-1))
    header = struct.pack("<16I", 1, 64, *(14 * [0]))  # one segment, behind these 64 bytes
    return header + segment + b"\0" * (len(segment) % 2)
