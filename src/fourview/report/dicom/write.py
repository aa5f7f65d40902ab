"""A prediction and its images -> DICOM objects, and their files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from fourview.disk import write_bytes
from fourview.entities import Exam, ExamPrediction
from fourview.errors import ReportError
from fourview.report.dicom.cad_sr import cad_report
from fourview.report.dicom.capture import capture
from fourview.report.dicom.heatmap_seg import heatmap_segmentation
from fourview.report.dicom.identity import file_bytes
from fourview.report.dicom.measurements_sr import measurement_report
from fourview.report.dicom.options import DicomOptions, DicomPaths, NotMade
from fourview.report.dicom.presentation import presentation_state
from fourview.report.dicom.source import Source
from fourview.report.dicom.subject import Subject, make_subject


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomObject:
    """One object, ready to be sent or written.

    Attributes:
        kind: One of ``options.KINDS``.
        name: For its file: cad-sr, gsps-R-CC, ...; of letters, digits and hyphens.
        image_id: The image that it is of; None where it is of the whole exam.
        dataset: With its File Meta Information.
        data: The whole file.
    """

    kind: str
    name: str
    image_id: str | None
    dataset: Dataset
    data: bytes

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""
        return str(self.dataset.SOPClassUID)

    @property
    def sop_instance(self) -> str:
        """SOP Instance UID."""
        return str(self.dataset.SOPInstanceUID)


def dicom_objects(
    prediction: ExamPrediction, exam: Exam, options: DicomOptions | None = None
) -> list[DicomObject | NotMade]:
    """The standard objects that say what a prediction says.

    The same arguments give the same bytes and so the same identifiers: what is sent again is the
    same instance, and another model's or another day's prediction never replaces it.

    Args:
        prediction: Of this exam, from a model or from ``result.json``.
        exam: Read from its files, which must still be there: names and identifiers are copied.
        options: Kinds, time of creation, and what viewers are asked to show.

    Returns:
        Objects by kind and then as the images hang; ``NotMade`` in the place of those that an
        image gives nothing for.

    Raises:
        ReportError: An image has no file, the files are of two patients or studies, or a region
            lies outside of its image. Then nothing is made.
    """
    return list(_made(make_subject(prediction, exam, options or DicomOptions())))


def write_dicom(
    prediction: ExamPrediction, exam: Exam, out: Path | str, *, options: DicomOptions | None = None
) -> DicomPaths:
    """Write the objects to OUT/cad-sr.dcm, OUT/gsps-R-CC.dcm and so on; see ``dicom_objects``.

    Every file appears whole or not at all; files of the same names are replaced.
    """
    subject = make_subject(prediction, exam, options or DicomOptions())
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files, missing = [], []
    for each in _made(subject):  # one at a time is in memory
        if isinstance(each, NotMade):
            missing.append(each)
            continue
        files.append(folder / f"{each.name}.dcm")
        write_bytes(files[-1], each.data)
    return DicomPaths(files=tuple(files), not_made=tuple(missing))


def _made(subject: Subject) -> Iterator[DicomObject | NotMade]:
    for kind in subject.options.kinds:
        yield from _MAKERS[kind](subject)


def _cad_sr(subject: Subject) -> Iterator[DicomObject]:
    yield _object("cad-sr", cad_report(subject))


def _gsps(subject: Subject) -> Iterator[DicomObject | NotMade]:
    for source in subject.read:
        try:
            dataset = presentation_state(subject, source)
        except ReportError as error:
            yield NotMade(name=f"gsps-{source.key}", reason=str(error))
        else:
            yield _object("gsps", dataset, source)


def _sc(subject: Subject) -> Iterator[DicomObject]:
    yield _object("sc", capture(subject))


def _sr1500(subject: Subject) -> Iterator[DicomObject]:
    yield _object("sr1500", measurement_report(subject))


def _seg(subject: Subject) -> Iterator[DicomObject | NotMade]:
    for source in subject.read:
        try:
            dataset = heatmap_segmentation(subject, source)
        except ReportError as error:
            yield NotMade(name=f"seg-{source.key}", reason=str(error))
        else:
            # Two heatmaps take 0.3 MB instead of 17; JPEG-LS is smaller, but fewer peers take it.
            yield _object("seg", dataset, source, syntax=RLELossless)


_MAKERS = {"cad-sr": _cad_sr, "gsps": _gsps, "sc": _sc, "sr1500": _sr1500, "seg": _seg}


def _object(
    kind: str, dataset: Dataset, source: Source | None = None, *, syntax: str = ""
) -> DicomObject:
    return DicomObject(
        kind=kind,
        name=kind if source is None else f"{kind}-{source.key}",
        image_id=None if source is None else source.image_id,
        dataset=dataset,
        data=file_bytes(dataset, syntax or ExplicitVRLittleEndian),
    )
