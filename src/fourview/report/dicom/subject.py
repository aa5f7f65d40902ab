"""What the objects of one prediction speak of: images, findings with numbers, the model.

Worked out once, so that a finding has the same number, tracking identifier and outline in all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID

from fourview.dicom.header import read_header
from fourview.entities import Exam, ExamPrediction, Finding, LeftOut, Region
from fourview.errors import DicomError, ReportError
from fourview.geometry import Box, Size
from fourview.report.biopsies import PROPOSED
from fourview.report.dicom import codes
from fourview.report.dicom.codes import Code
from fourview.report.dicom.identity import (
    ENCODER,
    LONG_TEXT,
    RESEARCH,
    SERIES_NUMBERS,
    Algorithm,
    add_equipment,
    algorithm_of,
    content_digest,
    local_time,
    make_uid,
    moment,
    plain,
    stamp,
)
from fourview.report.dicom.options import DicomOptions
from fourview.report.dicom.source import Source, read_source
from fourview.report.hang import Wall, hang
from fourview.report.overlay import short_names

Points = tuple[tuple[float, float], ...]
_TITLES = {
    "cad-sr": "Mammography CAD",
    "gsps": "Marks of findings",
    "sc": "Summary picture",
    "sr1500": "Measurements of findings",
    "seg": "Heatmaps of suspicion",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A region on its image: the part inside of it.

    Attributes:
        box: In stored pixels.
        outline: The polygon, or the box's corners; the first point is repeated at the end.
    """

    source: Source
    box: Box
    outline: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A finding that goes out.

    Attributes:
        number: From 1 on, the same in every object.
        tracking_id: Its name without what could name a person.
        score: In [0, 1]; None where no model gave one.
        intent: What a viewer is asked to do with it (CID 6034).
        kind: What it is (CID 6014).
    """

    number: int
    finding: Finding
    tracking_id: str
    tracking_uid: str
    score: float | None
    intent: Code
    kind: Code
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A prediction with its images, as objects need it.

    Attributes:
        created: In the zone of the study, where it states one.
        content: Hash of what the objects say; see ``identity.content_digest``.
        sources: All mammograms of the exam, in the order of the wall.
        read: Those that the model read.
        failed: Those that it did not.
    """

    prediction: ExamPrediction
    options: DicomOptions
    created: datetime
    algorithm: Algorithm
    content: str
    wall: Wall
    sources: tuple[Source, ...]
    read: tuple[Source, ...]
    failed: tuple[Source, ...]
    findings: tuple[Marked, ...]

    @property
    def home(self) -> Source:
        """The first image: objects of the whole exam belong to its patient and study."""
        return self.sources[0]

    def new(self, kind: str, sop_class: str, *, of: Source | None = None) -> Dataset:
        """A data set with what all objects have: patient, study, series, equipment, identifiers.

        Args:
            kind: One of KINDS.
            sop_class: SOP Class UID.
            of: The image that the object is of; None where it is of the whole exam.
        """
        home = self.home if of is None or of.study == self.home.study else of
        digest = self.algorithm.digest
        side = of.view.side if kind == "gsps" and of is not None and of.view is not None else ""
        dataset = Dataset()
        dataset.update(home.copied)
        dataset.SOPClassUID = UID(sop_class)
        dataset.SOPInstanceUID = UID(
            make_uid(
                *("instance", kind, home.study, digest, self.content, stamp(self.options.created)),
                *("" if of is None else of.image_id, ENCODER),
            )
        )
        dataset.SeriesInstanceUID = UID(make_uid("series", kind, home.study, digest, side))
        dataset.SeriesNumber = SERIES_NUMBERS[kind]
        title = f"{_TITLES[kind]} {side}".strip()
        dataset.SeriesDescription = plain(f"{title} (research use only)", LONG_TEXT)
        dataset.InstanceNumber = 1 if of is None else 1 + self.sources.index(of)
        dataset.InstanceCreationDate, dataset.InstanceCreationTime = moment(self.created)
        dataset.ContentDate, dataset.ContentTime = moment(self.created)
        add_equipment(dataset, self.algorithm, self.prediction.model)
        return dataset

    def places_on(self, source: Source) -> tuple[tuple[Marked, Place], ...]:
        """The findings' regions on one image."""
        return tuple((m, p) for m in self.findings for p in m.places if p.source is source)

    def scores_text(self) -> str:
        """The breasts' scores in words, with the research mark."""
        sentences = []
        for side, name in (("R", "Right"), ("L", "Left")):
            breast = next((b for b in self.prediction.breasts if b.side == side), None)
            score = None if breast is None else known(breast.score)
            sentences.append(f"{name} breast {'not scored' if score is None else f'{score:.3f}'}.")
        sentences.append("Scores of suspicion from 0 to 1, not probabilities.")
        for source in self.sources:
            if source.view is None or source.view.position not in codes.VIEWS:
                sentences.append(f"Image {source.key}: its view has no code and is left out.")
        for source in self.failed:
            sentences.append(f"Image {source.key} was not read by the model.")
        return " ".join((*sentences, f"{RESEARCH[0].upper()}{RESEARCH[1:]}."))


def known(score: float | None) -> float | None:
    """A score, or None where it is NaN."""
    return None if score is None or math.isnan(score) else float(score)


def make_subject(prediction: ExamPrediction, exam: Exam, options: DicomOptions) -> Subject:
    """Put a prediction, its images and their headers together.

    Raises:
        ReportError: An image of the prediction has no file, the files are of two patients or
            studies, or a region lies outside of its image.
    """
    _require_one_exam(exam, prediction)
    wall = hang(prediction, exam.images)
    sources = _sources(prediction, exam, wall)
    by_id = {source.image_id: source for source in sources}
    read = _read_ids(prediction)
    algorithm = algorithm_of(prediction)
    return Subject(
        prediction=prediction,
        options=options,
        created=local_time(options.created, sources[0].word("TimezoneOffsetFromUTC")),
        algorithm=algorithm,
        content=content_digest(
            prediction, [(s.image_id, s.key) for s in sources], options.content()
        ),
        wall=wall,
        sources=sources,
        read=tuple(s for s in sources if s.image_id in read),
        failed=tuple(s for s in sources if s.image_id not in read),
        findings=_findings(prediction, options, algorithm, by_id),
    )


def _sources(prediction: ExamPrediction, exam: Exam, wall: Wall) -> tuple[Source, ...]:
    """Images as they hang, then mammograms that could not be decoded."""
    sources = []
    for panel in wall.panels:
        if panel.image is None:
            raise ReportError(
                f"image {panel.image_id} ({panel.key}) of the prediction is not among the files; "
                "name the study that was read"
            )
        image = panel.image
        sources.append(
            read_source(
                image.path, image_id=panel.image_id, key=panel.key, view=panel.view, image=image
            )
        )
    there = {source.image_id for source in sources}
    for out in exam.left_out:
        if out.image_id is not None and out.image_id not in there and out.file:
            source = _undecoded(out)
            if source is not None:
                sources.append(source)
                there.add(out.image_id)
    if not sources:
        raise ReportError(f"exam {prediction.exam_id} has no mammogram to write anything about")
    return tuple(sources)


def _undecoded(out: LeftOut) -> Source | None:
    """The file of a mammogram whose pixels cannot be read; None for what is no mammogram."""
    try:
        header = read_header(out.file)
    except DicomError:
        return None
    if header.left_out is not None or header.view is None:
        return None
    assert out.image_id is not None
    key = f"{header.view.name} (not decoded)"
    return read_source(out.file, image_id=out.image_id, key=key, view=header.view, image=None)


def _require_one_exam(exam: Exam, prediction: ExamPrediction) -> None:
    """As the reader joins files to exams; films that are named after their view are one patient."""
    ids = prediction.patient_id, prediction.exam_id
    for image in exam.images:
        own = image.patient_id, image.exam_id
        if own != ids:
            raise ReportError(
                f"{image.path} is of patient {own[0]}, study {own[1]}; the prediction is of "
                f"patient {ids[0]}, study {ids[1]}; name the files that were read for it"
            )


def _read_ids(prediction: ExamPrediction) -> set[str]:
    """Images that the model looked at: it reads the four views, or has said something of others."""
    marked = {r.image_id for b in prediction.breasts for f in b.findings for r in f.regions}
    return {
        image.image_id
        for image in prediction.images
        if image.view.slot is not None
        or known(image.score) is not None
        or image.heatmaps
        or image.image_id in marked
    }


def _findings(
    prediction: ExamPrediction,
    options: DicomOptions,
    algorithm: Algorithm,
    sources: Mapping[str, Source],
) -> tuple[Marked, ...]:
    out = [f for b in prediction.breasts for f in b.findings if _goes_out(f, options)]
    names = short_names(out)
    marked = []
    for number, finding in enumerate(out, start=1):
        score = known(finding.score)
        marked.append(
            Marked(
                number=number,
                finding=finding,
                tracking_id=_tracking_id(names[finding.finding_id], number, prediction),
                tracking_uid=_tracking_uid(finding, prediction, algorithm),
                score=score,
                intent=_intent(score, options),
                kind=_kind(finding, options),
                places=tuple(_place(r, sources) for r in finding.regions),
            )
        )
    return tuple(marked)


def _goes_out(finding: Finding, options: DicomOptions) -> bool:
    """A finding that somebody named and no model scored is no finding of a computer."""
    return known(finding.score) is not None or finding.source == PROPOSED or options.named


def _tracking_id(name: str, number: int, prediction: ExamPrediction) -> str:
    """The finding's own name; its number where the name is not ASCII or holds an identifier."""
    ids = [prediction.patient_id, prediction.exam_id]
    is_plain = name.isascii() and name.isprintable() and 0 < len(name) <= LONG_TEXT
    return name if is_plain and not any(t and t in name for t in ids) else f"finding {number}"


def _tracking_uid(finding: Finding, prediction: ExamPrediction, algorithm: Algorithm) -> str:
    """The same for the same finding; what a model proposes is the same where its place is."""
    parts = ["tracking", prediction.exam_id, finding.finding_id]
    if finding.source == PROPOSED:
        parts += [algorithm.digest, *(f"{r.image_id} {r.box}" for r in finding.regions)]
    return make_uid(*parts)


def _intent(score: float | None, options: DicomOptions) -> Code:
    if options.required_at is None:
        return codes.REQUIRED
    reached = score is not None and score >= options.required_at
    return codes.REQUIRED if reached else codes.OPTIONAL


def _kind(finding: Finding, options: DicomOptions) -> Code:
    if finding.kind.startswith("calcification"):
        return codes.CALCIFICATION_CLUSTER
    if options.distortion and finding.kind == "distortion":
        return codes.DISTORTION
    return codes.BREAST_DENSITY  # of all else too: some viewers show only these two kinds


def _place(region: Region, sources: Mapping[str, Source]) -> Place:
    source = sources.get(region.image_id)
    if source is None or source.image is None:
        raise ReportError(
            f"a region lies on image {region.image_id}, whose file is not there; name the study "
            "that was read"
        )
    size = source.image.stored_size
    box = region.box.clipped(size)
    if box is None:
        raise ReportError(
            f"region {region.box} lies outside of image {source.key} of {size[0]} rows and "
            f"{size[1]} columns; its file is another than the one that was read"
        )
    points = () if region.polygon is None else clip_polygon(region.polygon, size)
    if len(points) < 3:
        points = tuple((float(x), float(y)) for x, y in box.corners())
    return Place(source, box, (*points, points[0]))


def clip_polygon(polygon: Points, size: Size) -> Points:
    """The part of a polygon inside of an image, edge by edge of the image.

    References:
        Sutherland and Hodgman 1974, Reentrant polygon clipping, CACM 17(1).
    """
    rows, cols = size
    points = list(polygon)
    for axis, limit, sign in ((0, 0.0, 1), (0, float(cols), -1), (1, 0.0, 1), (1, float(rows), -1)):
        kept: list[tuple[float, float]] = []
        for before, here in zip([*points[-1:], *points[:-1]], points, strict=True):
            depth = [sign * (p[axis] - limit) for p in (before, here)]
            if (depth[0] < 0) != (depth[1] < 0):
                share = depth[0] / (depth[0] - depth[1])
                cut = [before[i] + share * (here[i] - before[i]) for i in (0, 1)]
                cut[axis] = limit
                kept.append((cut[0], cut[1]))
            if depth[1] >= 0:
                kept.append((float(here[0]), float(here[1])))
        points = kept
    return tuple(points)
