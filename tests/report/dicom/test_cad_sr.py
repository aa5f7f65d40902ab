"""The CAD report against its template, and its template's walker against broken reports."""

import copy
from dataclasses import replace

import pytest

import cad_template
from cad_template import concept, problems, resolve
from dicom_output_examples import (
    NAMES,
    all_items,
    exam_in,
    findings_of,
    named,
    objects_of,
    parsed,
    prediction_of,
    unread,
    write_exam,
)
from fourview.entities import Finding
from fourview.report.dicom.options import Predecessor


def report(exam, prediction=None, **options):
    return parsed(objects_of(exam, prediction, kinds=("cad-sr",), **options)["cad-sr"])


def codes(items):
    return [item.ConceptCodeSequence[0].CodeValue for item in items]


def test_keeps_its_template(small_exam):
    assert problems(report(small_exam)) == []


@pytest.mark.parametrize(
    ("left_out", "with_findings", "summary", "detections"),
    [
        ((), True, "111242", "111222"),
        ((), False, "111241", "111222"),
        (("L-MLO",), True, "111244", "111223"),
        (("L-MLO",), False, "111243", "111223"),
        (NAMES, False, "111245", "111224"),
    ],
)
def test_says_what_succeeded(left_out, with_findings, summary, detections, small_exam):
    prediction = unread(prediction_of(small_exam, None if with_findings else []), *left_out)
    made = report(small_exam, prediction)
    assert problems(made) == []
    assert codes(named(made, "111017")) == [summary]
    assert codes(named(made, "111064")) == [detections]
    failed = [c for group in named(made, "111025") for c in all_items(group)]
    places = {tuple(c.ReferencedContentItemIdentifier) for c in failed if "ValueType" not in c}
    ids = {resolve(made, p).ReferencedSOPSequence[0].ReferencedSOPInstanceUID for p in places}
    assert ids == {i.image_id for i in small_exam.images if i.view.name in left_out}


def test_every_image_is_in_the_library_and_in_the_evidence(small_exam):
    made = report(small_exam)
    entries = [i for i in all_items(made) if i.get("ValueType") == "IMAGE"]
    ids = [e.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for e in entries]
    assert ids == [i.image_id for i in small_exam.images]
    (study,) = made.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert [s.ReferencedSOPInstanceUID for s in series.ReferencedSOPSequence] == ids


def test_findings_lie_on_their_own_images(small_exam):
    made = report(small_exam)
    for item, (want, name) in zip(
        named(made, "111059"),
        [(0.75, "R-CC"), (0.75, "R-MLO"), (0.25, "L-CC")],
        strict=True,
    ):
        parts = {concept(c): c for c in item.ContentSequence}
        certainty = parts["111012"].MeasuredValueSequence[0].NumericValue
        assert float(certainty) == pytest.approx(100 * want)
        for place in (parts["111010"], parts["111041"]):
            target = resolve(made, place.ContentSequence[0].ReferencedContentItemIdentifier)
            sides = codes(c for c in target.ContentSequence if concept(c) == "111027")
            assert sides == [{"R": "73056007", "L": "80248007"}[name[0]]]


def test_kinds_of_findings(small_exam):
    kinds = ["mass", "calcification", "calcification_cluster", "distortion", "region", "asymmetry"]
    (first, *_) = findings_of(small_exam)
    findings = [replace(first, finding_id=f"e/{k}", kind=k) for k in kinds]
    prediction = prediction_of(small_exam, findings)
    density, cluster = "129793001", "129769006"
    got = codes(named(report(small_exam, prediction), "111059"))[::2]
    assert got == [density, cluster, cluster, density, density, density]
    made = report(small_exam, prediction, distortion=True)
    assert codes(named(made, "111059"))[::2][3] == "129792006"
    assert problems(made) == []


def test_rendering_intent_follows_the_threshold(small_exam):
    assert set(codes(named(report(small_exam), "111056"))) == {"111150"}
    made = report(small_exam, required_at=0.5)
    assert codes(named(made, "111056")) == ["111150"] * 3 + ["111151"] * 2
    made = report(small_exam, required_at=0.75)  # a score at the threshold reaches it
    assert codes(named(made, "111056"))[0] == "111150"


def test_findings_that_only_somebody_named_need_asking_for(small_exam):
    (first, second) = findings_of(small_exam)
    from_table = replace(first, score=None, source="table.csv")
    prediction = prediction_of(small_exam, [from_table, second])
    assert len(named(report(small_exam, prediction), "111059")) == 1
    made = report(small_exam, prediction, named=True)
    assert len(named(made, "111059")) == 3
    assert len(named(made, "111012")) == 1  # no certainty where there is no score
    assert problems(made) == []


def test_a_score_that_is_nan_is_no_score(small_exam):
    (first, second) = findings_of(small_exam)
    prediction = prediction_of(small_exam, [replace(first, score=float("nan")), second])
    assert len(named(report(small_exam, prediction), "111012")) == 1


def test_the_text_gives_scores_and_says_what_is_missing(small_exam):
    (item,) = named(report(small_exam), "111033")
    assert "Right breast 0.873." in item.TextValue
    assert "Left breast not scored." in item.TextValue


def test_a_view_without_a_code_has_no_view_item(tmp_path):
    write_exam(tmp_path, (*NAMES, "R-AT"))
    made = report(exam_in(tmp_path))
    assert problems(made) == []
    assert len(named(made, "111031")) == 4
    assert "Image R-AT: its view has no code" in named(made, "111033")[0].TextValue


def test_modifiers_stand_below_the_view(tmp_path):
    def displaced(dataset):
        dataset.ViewCodeSequence[0].ViewModifierCodeSequence = [code_item("399209000")]

    write_exam(tmp_path, edit=displaced)
    made = report(exam_in(tmp_path))
    assert codes(named(made, "111032")) == ["399209000"] * 4
    assert problems(made) == []


def code_item(value):
    from dicom_examples import code  # noqa: PLC0415 - one test

    return code(value)


def test_images_that_cannot_be_decoded_are_in_the_library_as_failed(tmp_path):
    paths = write_exam(tmp_path)
    data = paths["L-MLO"].read_bytes()
    paths["L-MLO"].write_bytes(data[:-500])
    exam = exam_in(tmp_path)
    assert len(exam.images) == 3
    made = report(exam)
    assert problems(made) == []
    assert codes(named(made, "111017")) == ["111244"]
    assert len([i for i in all_items(made) if i.get("ValueType") == "IMAGE"]) == 4


def test_a_spot_view_is_not_in_the_library(tmp_path):
    paths = write_exam(tmp_path)
    spot = write_exam(tmp_path / "more", ("R-CC",), edit=make_spot)["R-CC"]
    spot.rename(paths["R-CC"].with_name("spot.dcm"))
    made = report(exam_in(tmp_path))
    assert len([i for i in all_items(made) if i.get("ValueType") == "IMAGE"]) == 4
    assert codes(named(made, "111017")) == ["111242"]


def make_spot(dataset):
    dataset.SOPInstanceUID += ".9"
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = [code_item("399055006")]


def test_names_the_report_that_it_replaces(small_exam):
    earlier = Predecessor(sop_class="1.2.3", sop_instance="2.25.5", series="2.25.6")
    made = report(small_exam, predecessors={"cad-sr": earlier})
    (study,) = made.PredecessorDocumentsSequence
    assert study.StudyInstanceUID == made.StudyInstanceUID
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "2.25.6"
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.5"
    assert "PredecessorDocumentsSequence" not in report(small_exam)


# The walker itself: every broken report is found.


@pytest.fixture(scope="module")
def good(small_exam):
    made = report(small_exam, unread(prediction_of(small_exam), "L-MLO"))
    assert problems(made) == []
    return made


def mandatory():
    """Concepts of which every parent has to have at least one, with value type."""
    rows, open_rows = {}, list(cad_template.CAD_REPORT)
    while open_rows:
        each = open_rows.pop()
        open_rows += each.rows
        if each.times in (cad_template.ONE, cad_template.SOME):
            rows[each.name] = each
    return sorted(rows)


@pytest.mark.parametrize("name", mandatory())
def test_the_walker_misses_every_mandatory_item(name, good):
    """Each is removed everywhere at once, from the lowest parent up."""
    broken = copy.deepcopy(good)
    removed = 0
    for item in all_items(broken):
        children = list(item.get("ContentSequence", []))
        kept = [c for c in children if cad_template._name(c) != name]
        removed += len(children) - len(kept)
        if children:
            item.ContentSequence = kept
    assert removed
    assert any(f"{name} is there 0 times" in problem for problem in problems(broken))


@pytest.mark.parametrize("code", ["111017", "111056", "111059", "111064", "111027", "111031"])
def test_the_walker_sees_a_code_out_of_its_group(code, good):
    broken = copy.deepcopy(good)
    named(broken, code)[0].ConceptCodeSequence[0].CodeValue = "121071"
    assert any("121071 is not of its group" in problem for problem in problems(broken))


@pytest.mark.parametrize("place", [[1, 2], [1, 2, 99], [1, 3], [2, 2, 1], [1, 2, 1, 1]])
def test_the_walker_sees_a_reference_that_leads_elsewhere(place, good):
    broken = copy.deepcopy(good)
    ref = next(i for i in all_items(broken) if "ReferencedContentItemIdentifier" in i)
    ref.ReferencedContentItemIdentifier = place
    assert any("leads to no image" in problem for problem in problems(broken))


def test_the_walker_sees_what_is_not_in_the_template(good):
    broken = copy.deepcopy(good)
    extra = copy.deepcopy(named(broken, "111033")[0])
    extra.RelationshipType = "CONTAINS"
    broken.ContentSequence.append(extra)
    assert any("is not in the template" in problem for problem in problems(broken))


def test_the_walker_sees_open_outlines_wrong_units_and_a_wrong_order(good):
    broken = copy.deepcopy(good)
    outline = named(broken, "111041")[0]
    outline.GraphicData = outline.GraphicData[:-2]
    certainty = named(broken, "111012")[0].MeasuredValueSequence[0]
    certainty.MeasurementUnitsCodeSequence[0].CodeValue = "1"
    finding = named(broken, "111059")[0]
    finding.ContentSequence = list(finding.ContentSequence)[::-1]
    text = " ".join(problems(broken))
    assert "not closed" in text
    assert "unit is not of its group" in text
    assert "order is another" in text


def test_the_walker_sees_a_summary_that_contradicts(good):
    broken = copy.deepcopy(good)
    named(broken, "111017")[0].ConceptCodeSequence[0].CodeValue = "111241"
    named(broken, "111064")[0].ConceptCodeSequence[0].CodeValue = "111222"
    text = " ".join(problems(broken))
    assert "whether there are findings" in text
    assert "detections are 111222" in text


def test_numbers_go_on_over_both_breasts(small_exam):
    """The same finding is the same number in every object: R before L."""
    findings = [
        Finding(
            finding_id=f"e/{n}", side="R", regions=findings_of(small_exam)[0].regions, score=0.5
        )
        for n in "ab"
    ]
    prediction = prediction_of(small_exam, [*findings, findings_of(small_exam)[1]])
    made = parsed(objects_of(small_exam, prediction, kinds=("gsps",))["gsps-L-CC"])
    texts = made.GraphicAnnotationSequence[0].TextObjectSequence
    assert texts[0].UnformattedTextValue == "3: 0.25"
