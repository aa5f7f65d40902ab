"""Mammography CAD SR: the report that mammography workstations show as marks (TID 4000).

The template may not be extended, so nothing stands here that it does not name.

References:
    DICOM PS3.3 A.35.5 (the object), PS3.16 TID 4000 to 4006, 4015, 4017, 4019 to 4021, 4108.
"""

from pydicom.dataset import Dataset

from fourview.report.dicom import codes, tree
from fourview.report.dicom.codes import Code
from fourview.report.dicom.document import add_document, algorithm_items
from fourview.report.dicom.source import Source
from fourview.report.dicom.subject import Marked, Place, Subject
from fourview.report.dicom.tree import Node

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.50"


def cad_report(subject: Subject) -> Dataset:
    """The report of a whole exam, with every finding that goes out."""
    dataset = subject.new("cad-sr", SOP_CLASS)
    add_document(dataset, subject, "cad-sr")
    library = {source.image_id: _library_entry(source) for source in subject.sources}
    root = tree.container(codes.CAD_REPORT, template="4000")
    root.add("HAS CONCEPT MOD", tree.code(codes.LANGUAGE, codes.ENGLISH))
    root.add("CONTAINS", tree.container(codes.IMAGE_LIBRARY).add("CONTAINS", *library.values()))
    root.add("CONTAINS", _summary(subject, library))
    root.add("CONTAINS", _detections(subject, library))
    root.add("CONTAINS", tree.code(codes.SUMMARY_OF_ANALYSES, codes.NOT_ATTEMPTED))
    dataset.update(tree.to_dataset(root))
    return dataset


def _library_entry(source: Source) -> Node:
    """An image with what a viewer may need to place marks, in the order of TID 4020."""
    entry = tree.image(source.ref)
    view = source.view
    if view is not None:
        entry.add("HAS ACQ CONTEXT", tree.code(codes.IMAGE_LATERALITY, codes.SIDES[view.side]))
    if view is not None and view.position in codes.VIEWS:
        item = tree.code(codes.IMAGE_VIEW, codes.VIEWS[view.position])
        for word in view.modifiers:
            if word in codes.MODIFIERS:
                modifier = tree.code(codes.IMAGE_VIEW_MODIFIER, codes.MODIFIERS[word])
                item.add("HAS CONCEPT MOD", modifier)
        entry.add("HAS ACQ CONTEXT", item)
    if source.orientation is not None:
        row, column = source.orientation
        entry.add("HAS ACQ CONTEXT", tree.text(codes.ORIENTATION_ROW, row))
        entry.add("HAS ACQ CONTEXT", tree.text(codes.ORIENTATION_COLUMN, column))
    for make, concept, keyword in (
        (tree.date, codes.STUDY_DATE, "StudyDate"),
        (tree.time, codes.STUDY_TIME, "StudyTime"),
        (tree.date, codes.CONTENT_DATE, "ContentDate"),
        (tree.time, codes.CONTENT_TIME, "ContentTime"),
    ):
        value = source.word(keyword)
        if value:
            entry.add("HAS ACQ CONTEXT", make(concept, value))
    spacing = None if source.image is None else source.image.spacing_mm
    if spacing is not None:
        for concept, millimetres in (
            (codes.HORIZONTAL_SPACING, spacing[1]),
            (codes.VERTICAL_SPACING, spacing[0]),
        ):
            number = tree.number(concept, 1000 * millimetres, codes.MICROMETER)
            entry.add("HAS ACQ CONTEXT", number)
    return entry


def _summary(subject: Subject, library: dict[str, Node]) -> Node:
    """What the computer says, and of which images (TID 4001 to 4006)."""
    root = tree.code(codes.SUMMARY, _summary_code(subject))
    root.add("HAS PROPERTIES", tree.text(codes.IMPRESSION_DESCRIPTION, subject.scores_text()))
    root.add("HAS PROPERTIES", *algorithm_items(subject.algorithm))
    for marked in subject.findings:
        impression = tree.container(codes.IMPRESSION)
        impression.add("HAS CONCEPT MOD", tree.code(codes.RENDERING_INTENT, marked.intent))
        for place in marked.places:
            impression.add("CONTAINS", _finding(subject, marked, place, library))
        root.add("INFERRED FROM", impression)
    return root


def _summary_code(subject: Subject) -> Code:
    if not subject.read:
        return codes.NONE_SUCCEEDED
    if subject.failed:
        return codes.SOME_WITH if subject.findings else codes.SOME_WITHOUT
    return codes.ALL_WITH if subject.findings else codes.ALL_WITHOUT


def _finding(subject: Subject, marked: Marked, place: Place, library: dict[str, Node]) -> Node:
    """A region on one image (TID 4006)."""
    item = tree.code(codes.SINGLE_IMAGE_FINDING, marked.kind)
    item.add("HAS CONCEPT MOD", tree.code(codes.RENDERING_INTENT, marked.intent))
    item.add("HAS OBS CONTEXT", tree.text(codes.TRACKING_ID, marked.tracking_id))
    item.add("HAS OBS CONTEXT", tree.uid(codes.TRACKING_UID, marked.tracking_uid))
    item.add("HAS PROPERTIES", *algorithm_items(subject.algorithm, parameters=True))
    if marked.score is not None:
        # Not Probability of Cancer (111047): scores are not calibrated as probabilities.
        certainty = tree.number(codes.CERTAINTY, 100 * marked.score, codes.PERCENT)
        item.add("HAS PROPERTIES", certainty)
    entry = library[place.source.image_id]
    for node in (
        tree.points(codes.CENTER, "POINT", [place.box.center]),
        tree.points(codes.OUTLINE, "POLYLINE", place.outline),
    ):
        item.add("HAS PROPERTIES", node.add("SELECTED FROM", tree.reference(entry)))
    return item


def _detections(subject: Subject, library: dict[str, Node]) -> Node:
    """What was looked for, in which images (TID 4015, 4017)."""
    if not subject.read:
        status = codes.FAILED
    else:
        status = codes.PARTIALLY_SUCCEEDED if subject.failed else codes.SUCCEEDED
    root = tree.code(codes.SUMMARY_OF_DETECTIONS, status)
    kinds = dict.fromkeys((codes.BREAST_DENSITY, *(m.kind for m in subject.findings)))
    for concept, sources in (
        (codes.SUCCESSFUL_DETECTIONS, subject.read),
        (codes.FAILED_DETECTIONS, subject.failed),
    ):
        if not sources:
            continue
        group = tree.container(concept)
        for kind in kinds:
            performed = tree.code(codes.DETECTION_PERFORMED, kind)
            performed.add("HAS PROPERTIES", *algorithm_items(subject.algorithm))
            entries = (tree.reference(library[source.image_id]) for source in sources)
            performed.add("HAS PROPERTIES", *entries)
            group.add("CONTAINS", performed)
        root.add("INFERRED FROM", group)
    return root
