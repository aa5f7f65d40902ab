"""What both structured reports have: the document's own modules, and the model's items."""

from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fourview.report.dicom import codes, tree
from fourview.report.dicom.identity import Algorithm
from fourview.report.dicom.source import Source
from fourview.report.dicom.subject import Subject
from fourview.report.dicom.tree import ImageRef, Node, sop_item


def add_document(dataset: Dataset, subject: Subject, kind: str) -> None:
    """SR Document Series and General (PS3.3 C.17.1, C.17.2): complete, verified by nobody."""
    dataset.Modality = "SR"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([])
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.PerformedProcedureCodeSequence = Sequence([])
    dataset.CurrentRequestedProcedureEvidenceSequence = evidence(subject.sources)
    earlier = subject.options.predecessors.get(kind)
    if earlier is not None:
        ref = ImageRef(earlier.sop_class, earlier.sop_instance)
        study = Dataset()
        study.StudyInstanceUID = UID(subject.home.study)
        study.ReferencedSeriesSequence = Sequence([_series(earlier.series, [ref])])
        dataset.PredecessorDocumentsSequence = Sequence([study])


def evidence(sources: Iterable[Source]) -> Sequence:
    """Every image, by study and series (Hierarchical SOP Instance Reference, PS3.3 C.17.2.1)."""
    studies: dict[str, list[Source]] = {}
    for source in sources:
        studies.setdefault(source.study, []).append(source)
    items = []
    for study, images in studies.items():
        item = Dataset()
        item.StudyInstanceUID = UID(study)
        item.ReferencedSeriesSequence = _by_series(images)
        items.append(item)
    return Sequence(items)


def _by_series(sources: Iterable[Source]) -> Sequence:
    """Images of one study by series."""
    series: dict[str, list[ImageRef]] = {}
    for source in sources:
        series.setdefault(source.series, []).append(source.ref)
    return Sequence([_series(uid, refs) for uid, refs in series.items()])


def series_of(source: Source) -> Dataset:
    """One image by its series, as Referenced Series Sequence names instances (PS3.3 C.12.7)."""
    item = Dataset()
    item.SeriesInstanceUID = UID(source.series)
    item.ReferencedInstanceSequence = Sequence([sop_item(source.ref)])
    return item


def _series(uid: str, refs: Iterable[ImageRef]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = UID(uid)
    item.ReferencedSOPSequence = Sequence([sop_item(ref) for ref in refs])
    return item


def algorithm_items(algorithm: Algorithm, *, parameters: bool = False) -> tuple[Node, ...]:
    """Name, version and, where asked, parameters of the model (TID 4019)."""
    named = (
        tree.text(codes.ALGORITHM_NAME, algorithm.name),
        tree.text(codes.ALGORITHM_VERSION, algorithm.version),
    )
    if not parameters:
        return named
    return (*named, *(tree.text(codes.ALGORITHM_PARAMETERS, p) for p in algorithm.parameters))
