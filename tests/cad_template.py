"""What DICOM PS3.16 asks of a Mammography CAD SR, written down apart from the package.

``problems`` walks over a content tree and says what breaks TID 4000 (which may not be extended) or
the templates it includes, as far as the report of a detector uses them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

ONE, SOME, OPTIONAL, ANY = "1", "1-n", "0-1", "0-n"

SIDES = {"73056007", "80248007"}
VIEWS = {
    *("399162004", "399368009", "399260004", "399352003", "399099002", "399192008"),
    *("399101009", "399196006", "399188001", "441555000"),
}
MODIFIERS = {
    *("399209000", "399055006", "399163009", "399011000", "399161006", "399197002", "399226006"),
    *("414493004", "415670009", "399110001", "442581004", "441752004", "442593008", "442580003"),
}
KINDS = {"129769006", "129793001", "129792006"}
INTENTS = {"111150", "111151", "111152"}
SUMMARIES = {"111241", "111242", "111243", "111244", "111245"}
STATES = {"111222", "111223", "111224", "111225"}


@dataclass(frozen=True)
class Row:
    """One row of a template.

    ``group`` are code values, units of a number, or the graphic type of a place.
    """

    relation: str
    value_type: str
    concept: str
    times: str
    group: frozenset[str] = frozenset()
    rows: tuple["Row", ...] = ()

    @property
    def name(self) -> str:
        return f"{self.relation} {self.value_type} {self.concept}".strip()


def row(relation, value_type, concept, times, group=(), rows=()) -> Row:
    return Row(relation, value_type, concept, times, frozenset(group), tuple(rows))


ALGORITHM = (  # TID 4019
    row("HAS PROPERTIES", "TEXT", "111001", ONE),
    row("HAS PROPERTIES", "TEXT", "111003", ONE),
)
PARAMETERS = row("HAS PROPERTIES", "TEXT", "111002", ANY)
IMAGE = row("SELECTED FROM", "REF", "", ONE)
INTENT = row("HAS CONCEPT MOD", "CODE", "111056", ONE, INTENTS)

LIBRARY_ENTRY = (  # TID 4020
    row("HAS ACQ CONTEXT", "CODE", "111027", OPTIONAL, SIDES),
    row(
        "HAS ACQ CONTEXT",
        "CODE",
        "111031",
        OPTIONAL,
        VIEWS,
        [row("HAS CONCEPT MOD", "CODE", "111032", ANY, MODIFIERS)],
    ),
    row("HAS ACQ CONTEXT", "TEXT", "111044", OPTIONAL),
    row("HAS ACQ CONTEXT", "TEXT", "111043", OPTIONAL),
    row("HAS ACQ CONTEXT", "DATE", "111060", OPTIONAL),
    row("HAS ACQ CONTEXT", "TIME", "111061", OPTIONAL),
    row("HAS ACQ CONTEXT", "DATE", "111018", OPTIONAL),
    row("HAS ACQ CONTEXT", "TIME", "111019", OPTIONAL),
    row("HAS ACQ CONTEXT", "NUM", "111026", OPTIONAL, {"um"}),
    row("HAS ACQ CONTEXT", "NUM", "111066", OPTIONAL, {"um"}),
)
SINGLE_IMAGE_FINDING = (  # TID 4006, 4108, 4021
    INTENT,
    row("HAS OBS CONTEXT", "TEXT", "112039", OPTIONAL),
    row("HAS OBS CONTEXT", "UIDREF", "112040", OPTIONAL),
    *ALGORITHM,
    PARAMETERS,
    row("HAS PROPERTIES", "NUM", "111012", OPTIONAL, {"%"}),
    row("HAS PROPERTIES", "SCOORD", "111010", ONE, {"POINT"}, [IMAGE]),
    row("HAS PROPERTIES", "SCOORD", "111041", OPTIONAL, {"POLYLINE", "ELLIPSE"}, [IMAGE]),
)
DETECTIONS = row(  # TID 4017
    "CONTAINS",
    "CODE",
    "111022",
    SOME,
    KINDS,
    [*ALGORITHM, row("HAS PROPERTIES", "REF", "", SOME)],
)
LIBRARY = (row("CONTAINS", "IMAGE", "", SOME, (), LIBRARY_ENTRY),)
CAD_REPORT = (  # TID 4000
    row("HAS CONCEPT MOD", "CODE", "121049", ONE, {"en"}),
    row("CONTAINS", "CONTAINER", "111028", ONE, rows=LIBRARY),
    row(
        "CONTAINS",
        "CODE",
        "111017",
        ONE,
        SUMMARIES,
        [  # TID 4001, 4002
            row("HAS PROPERTIES", "TEXT", "111033", OPTIONAL),
            *ALGORITHM,
            row(
                "INFERRED FROM",
                "CONTAINER",
                "111034",
                ANY,
                rows=[  # TID 4003
                    INTENT,
                    row("CONTAINS", "CODE", "111059", SOME, KINDS, SINGLE_IMAGE_FINDING),
                ],
            ),
        ],
    ),
    row(
        "CONTAINS",
        "CODE",
        "111064",
        ONE,
        STATES,
        [  # TID 4015
            row("INFERRED FROM", "CONTAINER", "111063", OPTIONAL, rows=[DETECTIONS]),
            row("INFERRED FROM", "CONTAINER", "111025", OPTIONAL, rows=[DETECTIONS]),
        ],
    ),
    row("CONTAINS", "CODE", "111065", ONE, STATES),
)  # fmt: skip


def problems(root: Dataset) -> list[str]:
    """What breaks the template; empty where nothing does."""
    problems_of_tree = []
    if root.ValueType != "CONTAINER" or concept(root) != "111036":
        problems_of_tree.append("the root is no Mammography CAD Report")
    template = root.get("ContentTemplateSequence", [Dataset()])[0]
    if (template.get("MappingResource"), template.get("TemplateIdentifier")) != ("DCMR", "4000"):
        problems_of_tree.append("the root does not name template DCMR 4000")
    problems_of_tree += _children(root, CAD_REPORT, "report", root)
    problems_of_tree += _conditions(root)
    return problems_of_tree


def _children(item: Dataset, rows: tuple[Row, ...], where: str, root: Dataset) -> Iterator[str]:
    children = list(item.get("ContentSequence", []))
    of_row = {each.name: [c for c in children if _name(c) == each.name] for each in rows}
    for child in children:
        if _name(child) not in of_row:
            yield f"{where}: '{_name(child)}' is not in the template"
    order = [name for c in children if (name := _name(c)) in of_row]
    if order != sorted(order, key=list(of_row).index):
        yield f"{where}: the order is another than the template's"
    for each in rows:
        count = len(of_row[each.name])
        if (count == 0 and each.times in (ONE, SOME)) or (
            count > 1 and each.times in (ONE, OPTIONAL)
        ):
            yield f"{where}: {each.name} is there {count} times, need {each.times}"
        for child in of_row[each.name]:
            here = f"{where} > {each.concept or each.value_type}"
            yield from _value(child, each, here, root)
            yield from _children(child, each.rows, here, root)


def _value(item: Dataset, each: Row, where: str, root: Dataset) -> Iterator[str]:
    if each.value_type == "REF":
        target = resolve(root, item.ReferencedContentItemIdentifier)
        if target is None or target.get("ValueType") != "IMAGE":
            yield f"{where}: the reference leads to no image of the library"
    elif each.value_type == "CODE":
        code = item.ConceptCodeSequence[0]
        if code.CodeValue not in each.group:
            yield f"{where}: code {code.CodeValue} is not of its group"
        if code.CodingSchemeDesignator not in ("DCM", "SCT", "RFC5646"):
            yield f"{where}: {code.CodingSchemeDesignator} is no scheme of the template"
    elif each.value_type == "NUM":
        measured = item.MeasuredValueSequence[0]
        if measured.MeasurementUnitsCodeSequence[0].CodeValue not in each.group:
            yield f"{where}: the unit is not of its group"
        if len(str(measured["NumericValue"].value)) > 16:
            yield f"{where}: a decimal string of more than 16 characters"
    elif each.value_type == "SCOORD":
        yield from _place(item, each, where)


def _place(item: Dataset, each: Row, where: str) -> Iterator[str]:
    points = list(zip(item.GraphicData[::2], item.GraphicData[1::2], strict=True))
    if item.GraphicType not in each.group:
        yield f"{where}: {item.GraphicType} is not of its group"
    if item.GraphicType == "POINT" and len(points) != 1:
        yield f"{where}: a point has one point"
    if item.GraphicType == "POLYLINE" and (len(points) < 4 or points[0] != points[-1]):
        yield f"{where}: the outline is not closed"


def _conditions(root: Dataset) -> Iterator[str]:
    """What a row asks of another: codes of a summary and what stands below it."""
    by_concept = {concept(c): c for c in root.get("ContentSequence", [])}
    summary, detections = by_concept.get("111017"), by_concept.get("111064")
    if summary is None or detections is None:
        return
    has = any(concept(c) == "111034" for c in summary.get("ContentSequence", []))
    if (summary.ConceptCodeSequence[0].CodeValue in ("111242", "111244")) != has:
        yield "the summary does not say whether there are findings"
    groups = {concept(c) for c in detections.get("ContentSequence", [])}
    want = {"111222": {"111063"}, "111223": {"111063", "111025"}, "111224": {"111025"}}
    state = detections.ConceptCodeSequence[0].CodeValue
    if groups != want.get(state, set()):
        yield f"detections are {state}, their groups {sorted(groups)}"


def resolve(root: Dataset, place) -> Dataset | None:
    """The content item at a position such as 1, 2, 1; None where there is none."""
    steps = [int(p) for p in ([place] if isinstance(place, int) else place)]
    if steps[:1] != [1]:
        return None
    item = root
    for step in steps[1:]:
        children = item.get("ContentSequence", [])
        if not 1 <= step <= len(children):
            return None
        item = children[step - 1]
    return item


def concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return names[0].CodeValue if names else ""


def _name(item: Dataset) -> str:
    kind = "REF" if "ReferencedContentItemIdentifier" in item else item.ValueType
    return f"{item.RelationshipType} {kind} {concept(item)}".strip()
