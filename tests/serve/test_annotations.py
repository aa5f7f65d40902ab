"""Marks of a person: kept, and back as findings that `fourview read --findings` takes."""

import pytest
from pydantic import ValidationError

from exam_examples import IDS, image
from fourview.entities import Exam
from fourview.errors import ServeError
from fourview.manifest.findings_file import findings_of, read_findings
from fourview.serve.annotations import AnnotationStore
from fourview.serve.wire import Annotation, Annotations

EXAM = ("P-1", "1.2.3")
KEYS = {f"key-{view}": image_id for view, image_id in IDS.items()}
SIDES = {image_id: view[0] for view, image_id in IDS.items()}
POLYGON = [(10.5, 20.0), (30.0, 22.25), (25.0, 44.0)]


def annotation(name, shape, points, view="R-CC", **more):
    return Annotation(id=name, image=f"key-{view}", shape=shape, points=points, **more)


@pytest.fixture
def store(tmp_path):
    return AnnotationStore(tmp_path / "annotations.sqlite")


def save(store, *annotations):
    store.save(EXAM, annotations, KEYS, SIDES)


def test_nothing_is_written_before_something_is_marked(store):
    assert store.of(EXAM) == [] and len(store.csv().splitlines()) == 1
    assert not store.path.exists()


def test_marks_come_back_as_findings_of_read(store, tmp_path):
    save(
        store,
        annotation("one", "box", [(1.5, 2.0), (30.0, 40.5)], kind="mass", malignant=True),
        annotation("two", "polygon", POLYGON, view="L-MLO", malignant=False, remark='"odd", <b>'),
        annotation("three", "point", [(50.0, 60.0)], view="L-CC", kind="calcification"),
    )
    path = tmp_path / "findings.csv"
    path.write_text(store.csv())
    exam = Exam(patient_id="P-1", exam_id="1.2.3", images=tuple(image(view) for view in IDS))
    findings = {f.finding_id: f for f in findings_of(exam, read_findings(path), source="csv")}
    assert [f.side for f in findings.values()] == ["R", "L", "L"]
    assert [f.malignant for f in findings.values()] == [True, False, None]
    box = findings["one"].regions[0].box
    assert (box.x0, box.y0, box.x1, box.y1) == (1.5, 2.0, 30.0, 40.5)
    assert list(findings["two"].regions[0].polygon) == POLYGON
    assert findings["three"].regions[0].box.center == (50.0, 60.0)
    assert findings["three"].kind == "calcification"


def test_what_is_missing_was_deleted_and_others_stay(store):
    save(store, annotation("one", "point", [(1, 1)]), annotation("two", "point", [(2, 2)]))
    store.save(("P-2", "9"), [annotation("other", "point", [(3, 3)])], KEYS, SIDES)
    save(store, annotation("two", "point", [(5, 5)]))
    assert [(a["id"], a["points"]) for a in store.of(EXAM)] == [("two", [[5.0, 5.0]])]
    assert [a["id"] for a in store.of(("P-2", "9"))] == ["other"]


def test_a_mark_on_a_strange_image_loses_nothing(store):
    save(store, annotation("one", "point", [(1, 1)]))
    with pytest.raises(ServeError, match="none of this exam"):
        save(store, annotation("two", "point", [(2, 2)], view="R-XCCL"))
    assert [a["id"] for a in store.of(EXAM)] == ["one"]


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": "polygon", "points": [(1, 1), (2, 2)]},
        {"shape": "box", "points": [(1, 1)]},
        {"shape": "point", "points": [(float("nan"), 1)]},
        {"shape": "star", "points": [(1, 1)]},
        {"shape": "point", "points": [(1, 1)], "colour": "red"},
    ],
)
def test_bad_bodies_are_refused(bad):
    with pytest.raises(ValidationError):
        Annotations.model_validate({"annotations": [{"id": "a", "image": "k", **bad}]})


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to look at " * 50)
    with pytest.raises(ServeError, match=r"notes\.txt"):
        AnnotationStore(path).of(EXAM)
