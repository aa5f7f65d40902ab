"""The content tree of a structured report: nodes, and the data set that they become.

An item is given by value, or by reference: then it names another node, whose place in the tree is
written as positions counted from 1, the root being 1 (PS3.3 C.17.3.2.5, Referenced Content Item
Identifier). Places are worked out when the tree is written, so a node may be added anywhere before.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any, Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fourview.errors import ReportError
from fourview.report.dicom.codes import Code, coded
from fourview.report.dicom.identity import decimal

Relation = Literal[
    "CONTAINS", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS OBS CONTEXT", "HAS PROPERTIES",
    "INFERRED FROM", "SELECTED FROM",
]  # fmt: skip
Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image or other object: its class and instance UID."""

    sop_class: str
    sop_instance: str


@dataclass(eq=False, slots=True)
class Node:
    """One content item; made with the functions below.

    Attributes:
        value_type: CONTAINER, CODE, TEXT, NUM, SCOORD, IMAGE, UIDREF, DATE or TIME; "" for an item
            by reference.
        concept: Concept name; None where the template has none.
        value: What the value type asks for.
        template: Number of the template that a container follows, of mapping resource DCMR.
        target: The node that an item by reference names.
        children: Relation and node, in order.
    """

    value_type: str
    concept: Code | None = None
    value: Any = None
    template: str = ""
    target: "Node | None" = None
    children: list[tuple[Relation, "Node"]] = field(default_factory=list)

    def add(self, relation: Relation, *nodes: "Node") -> "Node":
        """Append children with one relation; returns this node."""
        self.children += [(relation, node) for node in nodes]
        return self


def container(concept: Code, *, template: str = "") -> Node:
    """A heading whose children stand each for themselves."""
    return Node("CONTAINER", concept, template=template)


def code(concept: Code, value: Code) -> Node:
    """A coded value."""
    return Node("CODE", concept, value)


def text(concept: Code, value: str) -> Node:
    """Free text."""
    return Node("TEXT", concept, value)


def uid(concept: Code, value: str) -> Node:
    """A unique identifier."""
    return Node("UIDREF", concept, value)


def date(concept: Code, value: str) -> Node:
    """A date as DICOM writes it, YYYYMMDD."""
    return Node("DATE", concept, value)


def time(concept: Code, value: str) -> Node:
    """A time as DICOM writes it, HHMMSS with a fraction where there is one."""
    return Node("TIME", concept, value)


def number(concept: Code, value: float, unit: Code) -> Node:
    """A measured value with its unit."""
    return Node("NUM", concept, (value, unit))


def image(ref: ImageRef) -> Node:
    """A reference to an image."""
    return Node("IMAGE", value=ref)


def points(
    concept: Code, kind: Literal["POINT", "POLYLINE"], xy: Many[tuple[float, float]]
) -> Node:
    """Places on an image, (x, y) in its stored pixels; (0, 0) is the corner of the first one."""
    return Node("SCOORD", concept, (kind, tuple(xy)))


def reference(target: Node) -> Node:
    """Another node of the same tree, named by its place."""
    return Node("", target=target)


def to_dataset(root: Node) -> Dataset:
    """The root content item with all that is below it (PS3.3 C.17.3).

    Raises:
        ReportError: An item by reference names a node that is not in the tree.
    """
    places: dict[int, Place] = {}
    _number(root, (1,), places)
    return _item(root, places)


def _number(node: Node, place: Place, places: dict[int, Place]) -> None:
    places[id(node)] = place
    for index, (_, child) in enumerate(node.children, start=1):
        _number(child, (*place, index), places)


def _item(node: Node, places: dict[int, Place]) -> Dataset:
    item = Dataset()
    if node.target is not None:
        if id(node.target) not in places:
            raise ReportError("a content item refers to one that is not in its report")
        item.ReferencedContentItemIdentifier = list(places[id(node.target)])
        return item
    item.ValueType = node.value_type
    if node.concept is not None:
        item.ConceptNameCodeSequence = coded(node.concept)
    _WRITERS[node.value_type](item, node)
    if node.children:
        item.ContentSequence = Sequence([_child(r, n, places) for r, n in node.children])
    return item


def _child(relation: Relation, node: Node, places: dict[int, Place]) -> Dataset:
    item = _item(node, places)
    item.RelationshipType = relation
    return item


def _write_container(item: Dataset, node: Node) -> None:
    item.ContinuityOfContent = "SEPARATE"
    if node.template:
        template = Dataset()
        template.MappingResource, template.TemplateIdentifier = "DCMR", node.template
        item.ContentTemplateSequence = Sequence([template])


def _write_number(item: Dataset, node: Node) -> None:
    value, unit = node.value
    measured = Dataset()
    measured.NumericValue = decimal(value)
    measured.MeasurementUnitsCodeSequence = coded(unit)
    item.MeasuredValueSequence = Sequence([measured])


def _write_points(item: Dataset, node: Node) -> None:
    kind, xy = node.value
    item.GraphicType = kind
    item.GraphicData = [float(v) for point in xy for v in point]


def _write_image(item: Dataset, node: Node) -> None:
    item.ReferencedSOPSequence = Sequence([sop_item(node.value)])


def sop_item(ref: ImageRef) -> Dataset:
    """An item that names an object by class and instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = UID(ref.sop_class)
    item.ReferencedSOPInstanceUID = UID(ref.sop_instance)
    return item


def _setter(keyword: str) -> Any:
    def write(item: Dataset, node: Node) -> None:
        setattr(item, keyword, node.value)

    return write


def _write_code(item: Dataset, node: Node) -> None:
    item.ConceptCodeSequence = coded(node.value)


_WRITERS = {
    "CONTAINER": _write_container,
    "CODE": _write_code,
    "NUM": _write_number,
    "SCOORD": _write_points,
    "IMAGE": _write_image,
    "TEXT": _setter("TextValue"),
    "UIDREF": _setter("UID"),
    "DATE": _setter("Date"),
    "TIME": _setter("Time"),
}
