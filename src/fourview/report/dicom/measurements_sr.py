"""TID 1500 in a Comprehensive 3D SR: findings as measurement groups, for research viewers.

Every item is given by value. Breasts' scores have no place in the template; they are in the CAD
report.

References:
    DICOM PS3.3 A.35.13 (the object), PS3.16 TID 1500, 1001, 1002, 1204, 1410, 1600, 4019.
"""

from pydicom.dataset import Dataset

from fourview.report.dicom import codes, tree
from fourview.report.dicom.document import add_document, algorithm_items
from fourview.report.dicom.identity import MANUFACTURER, MODEL_NAME, make_uid
from fourview.report.dicom.subject import Marked, Place, Subject
from fourview.report.dicom.tree import Node

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"


def measurement_report(subject: Subject) -> Dataset:
    """The report of a whole exam: a measurement group for every region of a finding."""
    dataset = subject.new("sr1500", SOP_CLASS)
    add_document(dataset, subject, "sr1500")
    root = tree.container(codes.MEASUREMENT_REPORT, template="1500")
    root.add("HAS CONCEPT MOD", tree.code(codes.LANGUAGE, codes.ENGLISH))
    root.add("HAS OBS CONTEXT", *_observer(subject))
    root.add("HAS CONCEPT MOD", tree.code(codes.PROCEDURE_REPORTED, codes.IMAGING_PROCEDURE))
    library = tree.container(codes.LIBRARY_GROUP)
    library.add("CONTAINS", *(tree.image(source.ref) for source in subject.sources))
    root.add("CONTAINS", tree.container(codes.IMAGE_LIBRARY).add("CONTAINS", library))
    measurements = tree.container(codes.MEASUREMENTS)
    for marked in subject.findings:
        measurements.add("CONTAINS", *(_group(subject, marked, p) for p in marked.places))
    root.add("CONTAINS", measurements)
    dataset.update(tree.to_dataset(root))
    return dataset


def _observer(subject: Subject) -> tuple[Node, ...]:
    """The model as the device that observed (TID 1002, 1004)."""
    return (
        tree.code(codes.OBSERVER_TYPE, codes.DEVICE),
        tree.uid(codes.DEVICE_UID, make_uid("device", subject.algorithm.digest)),
        tree.text(codes.DEVICE_NAME, subject.algorithm.name),
        tree.text(codes.DEVICE_MANUFACTURER, MANUFACTURER),
        tree.text(codes.DEVICE_MODEL, MODEL_NAME),
    )


def _group(subject: Subject, marked: Marked, place: Place) -> Node:
    """A planar region of interest (TID 1410)."""
    group = tree.container(codes.MEASUREMENT_GROUP, template="1410")
    group.add("HAS OBS CONTEXT", tree.text(codes.TRACKING_ID, marked.tracking_id))
    group.add("HAS OBS CONTEXT", tree.uid(codes.TRACKING_UID, marked.tracking_uid))
    group.add("CONTAINS", tree.code(codes.FINDING, marked.kind))
    site = tree.code(codes.FINDING_SITE, codes.BREAST)
    side = tree.code(codes.LATERALITY, codes.LATERALITIES[marked.finding.side])
    group.add("HAS CONCEPT MOD", site.add("HAS CONCEPT MOD", side))
    region = tree.points(codes.IMAGE_REGION, "POLYLINE", place.outline)
    group.add("CONTAINS", region.add("SELECTED FROM", tree.image(place.source.ref)))
    if marked.score is not None:
        certainty = tree.number(codes.CERTAINTY, 100 * marked.score, codes.PERCENT)
        model = algorithm_items(subject.algorithm, parameters=True)
        group.add("CONTAINS", certainty.add("HAS CONCEPT MOD", *model))
    return group
