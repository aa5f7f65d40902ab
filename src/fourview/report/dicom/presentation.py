"""GSPS: one presentation state per image, with its window, the findings' outlines and their scores.

One state for each image, since polarity and modality LUT hold for a whole state; two series, R and
L, since Laterality (0020,0060) holds for a whole series.

References:
    DICOM PS3.3 A.33.1 (the object), C.10.4 (displayed area), C.10.5 (graphics: (0, 0) is the corner
    of the first pixel), C.11.1 (modality LUT), C.11.6 (presentation LUT), C.11.8 (VOI LUT).
"""

import numpy as np
from jaxtyping import UInt16
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fourview.dicom.modality import read_format, read_rescale
from fourview.dicom.part10 import open_dicom
from fourview.entities import Image, Voi
from fourview.errors import ReportError
from fourview.preprocess.window import to_display
from fourview.report.dicom.identity import RESEARCH, decimal, moment
from fourview.report.dicom.source import Source
from fourview.report.dicom.subject import Points, Subject
from fourview.report.dicom.tree import sop_item

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.11.1"
LAYER = "FOURVIEW"
CYAN = [54000, 22000, 26000]  # CIELab, as PCS values of 16 bits (PS3.3 C.10.7.1.1)
TOP = 65535  # of a table's entries


def presentation_state(subject: Subject, source: Source) -> Dataset:
    """The state of one image that was read.

    Raises:
        ReportError: The image was not decoded, or its header says that it is in colours, to which
            no such state applies (PS3.3 A.33.1).
    """
    image = source.image
    if image is None:
        raise ReportError(f"image {source.key} was not decoded: there is nothing to present")
    if not source.is_grey:
        raise ReportError(
            f"its file says that its pixels are {source.word('PhotometricInterpretation')} with "
            f"{source.word('SamplesPerPixel') or 1} samples, and a grayscale presentation state "
            "applies to MONOCHROME images alone"
        )
    dataset = subject.new("gsps", SOP_CLASS, of=source)
    del dataset.ContentDate, dataset.ContentTime  # a state has a creation time instead
    dataset.Modality = "PR"
    dataset.Laterality = image.view.side
    dataset.ContentLabel = LAYER
    dataset.ContentDescription = RESEARCH
    dataset.ContentCreatorName = "Fourview^^^^"
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = moment(subject.created)
    dataset.ReferencedSeriesSequence = _referenced_series(source)
    dataset.DisplayedAreaSelectionSequence = Sequence([_displayed_area(image)])
    _add_modality(dataset, source)
    voi = softcopy_voi(image)
    if voi is not None:
        dataset.SoftcopyVOILUTSequence = Sequence([voi])
    dataset.PresentationLUTShape = "IDENTITY" if image.bright_is_dense else "INVERSE"
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = LAYER, 1
    layer.GraphicLayerRecommendedDisplayCIELabValue = CYAN
    dataset.GraphicLayerSequence = Sequence([layer])
    dataset.GraphicAnnotationSequence = Sequence([_annotation(subject, source)])
    return dataset


def _referenced_series(source: Source) -> Sequence:
    """Referenced Series Sequence of one image, as presentation states write it (C.11.11)."""
    item = Dataset()
    item.SeriesInstanceUID = UID(source.series)
    item.ReferencedImageSequence = Sequence([sop_item(source.ref)])
    return Sequence([item])


def _displayed_area(image: Image) -> Dataset:
    """The whole image; here, and only here, the first pixel is 1, 1 (C.10.4)."""
    rows, cols = image.stored_size
    item = Dataset()
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [cols, rows]
    item.PresentationSizeMode = "SCALE TO FIT"
    if image.spacing_mm is None:
        item.PresentationPixelAspectRatio = [1, 1]
    else:
        item.PresentationPixelSpacing = [decimal(v) for v in image.spacing_mm]
    return item


def _add_modality(dataset: Dataset, source: Source) -> None:
    """The file's own way from stored to modality values."""
    header = source.header
    if "ModalityLUTSequence" in header:
        with open_dicom(source.path) as file:
            rescale = read_rescale(file.elements, read_format(file.elements, []), [])
        assert rescale.table is not None
        table = rescale.table.astype("<u2")
        item = _table(table, rescale.first)
        item.ModalityLUTType = "US"
        dataset.ModalityLUTSequence = Sequence([item])
    elif source.word("RescaleSlope") or source.word("RescaleIntercept"):
        dataset.RescaleIntercept = source.word("RescaleIntercept") or "0"
        dataset.RescaleSlope = source.word("RescaleSlope") or "1"
        dataset.RescaleType = source.word("RescaleType") or "US"


def softcopy_voi(image: Image) -> Dataset | None:
    """The window or table that the report shows the image with; None where the file has none.

    A SIGMOID window becomes a table, since many viewers ignore the function in a state. A table's
    entries are scaled to 16 bits: a state may have 8 or 16 (C.11.8), a mammogram has 10 to 16.
    """
    voi = image.voi
    if voi is None:
        return None
    if voi.function == "TABLE":
        assert voi.table is not None
        scaled = voi.table.astype(np.float64) * (TOP / (2**voi.table_bits - 1))
        return _with_table(np.rint(np.clip(scaled, 0, TOP)).astype("<u2"), voi.first)
    if voi.function == "SIGMOID":
        table = _sigmoid(voi, image.value_range)
        if table is not None:
            return _with_table(table, int(image.value_range[0]))
    item = Dataset()
    item.WindowCenter, item.WindowWidth = decimal(voi.center), decimal(voi.width)
    item.VOILUTFunction = voi.function
    return item


def _sigmoid(voi: Voi, ends: tuple[float, float]) -> UInt16[np.ndarray, " entry"] | None:
    """The curve at every modality value; None where a table cannot hold them all."""
    low, high = ends
    if not (low.is_integer() and high.is_integer() and high - low < 65536):
        return None
    if not (low >= -32768 and (high <= 65535 if low >= 0 else high <= 32767)):
        return None
    shown = to_display(np.arange(int(low), int(high) + 1), voi)
    return np.asarray(np.rint(shown * TOP).astype("<u2"))


def _with_table(entries: UInt16[np.ndarray, " entry"], first: int) -> Dataset:
    item = Dataset()
    item.VOILUTSequence = Sequence([_table(entries, first)])
    return item


def _table(entries: UInt16[np.ndarray, " entry"], first: int) -> Dataset:
    """An item of a LUT sequence with entries of 16 bits; the sign of ``first`` decides the VR."""
    count = len(entries) % 65536  # 65,536 entries are written as 0
    vr = "SS" if first < 0 else "US"
    if vr == "SS" and count > 32767:
        count -= 65536  # the same bits: the count is unsigned whatever the VR (C.11.1.1.1)
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [count, first, 16])
    item.add_new("LUTData", "OW", entries.tobytes())
    return item


def _annotation(subject: Subject, source: Source) -> Dataset:
    """Outlines with number and score, and the research mark at the lower edge."""
    item = Dataset()
    item.ReferencedImageSequence = Sequence([sop_item(source.ref)])
    item.GraphicLayer = LAYER
    graphics, texts = [], []
    for marked, place in subject.places_on(source):
        graphics.append(_polyline(place.outline))
        score = "" if marked.score is None else f": {marked.score:.2f}"
        texts.append(_anchored(f"{marked.number}{score}", (place.box.x1, place.box.y0)))
    texts.append(_at_lower_edge(f"Fourview: {RESEARCH}"))
    item.TextObjectSequence = Sequence(texts)
    if graphics:
        item.GraphicObjectSequence = Sequence(graphics)
    return item


def _polyline(points: Points) -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits = "PIXEL"
    item.GraphicDimensions = 2
    item.NumberOfGraphicPoints = len(points)
    item.GraphicData = [float(v) for point in points for v in point]
    item.GraphicType = "POLYLINE"
    item.GraphicFilled = "N"
    return item


def _anchored(text: str, point: tuple[float, float]) -> Dataset:
    item = Dataset()
    item.AnchorPointAnnotationUnits = "PIXEL"
    item.UnformattedTextValue = text
    item.AnchorPoint = [float(v) for v in point]
    item.AnchorPointVisibility = "N"
    return item


def _at_lower_edge(text: str) -> Dataset:
    """A line over the lower edge of the displayed area, whose corners are (0, 0) and (1, 1)."""
    item = Dataset()
    item.BoundingBoxAnnotationUnits = "DISPLAY"
    item.UnformattedTextValue = text
    item.BoundingBoxTopLeftHandCorner = [0.0, 0.96]
    item.BoundingBoxBottomRightHandCorner = [1.0, 1.0]
    item.BoundingBoxTextHorizontalJustification = "CENTER"
    return item
