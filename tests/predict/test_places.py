"""Findings of a phantom exam: one where both views show it, with its place in the breast."""

from dataclasses import replace

import pytest

from fourview.entities import Exam, Finding, Region
from fourview.phantom.exam import make_exam
from fourview.predict.places import placed_findings


@pytest.fixture(scope="module")
def marked():
    """An exam with a mark on each view of a finding that both views of a breast show."""
    for seed in range(4000, 4020):
        phantom = make_exam(seed, "miniature", rows=384, vendor="A")
        for side in "RL":
            views = [phantom.image(f"{side}-{position}") for position in ("CC", "MLO")]
            seen = [{f.name: f for f in v.truth.findings if f.visible and f.box} for v in views]
            both = sorted(seen[0].keys() & seen[1].keys())
            if not both:
                continue
            marks = [
                Finding(
                    finding_id=f"{side}-{number}",
                    side=side,
                    score=score,
                    regions=(Region(image_id=view.image_id, box=own[both[0]].box),),
                )
                for number, (view, own, score) in enumerate(
                    zip(views, seen, (0.9, 0.6), strict=True), start=1
                )
            ]
            images = tuple(phantom.entity(image) for image in phantom.images)
            exam = Exam(patient_id=phantom.patient_id, exam_id=phantom.exam_id, images=images)
            placed, notes = placed_findings(exam, marks, join=True)
            if not notes:  # both axes were found
                return exam, marks, placed
    raise AssertionError("no phantom of twenty has such a finding")


def test_one_finding_of_both_views_has_a_place(marked):
    _, marks, placed = marked
    (one,) = placed
    assert [r.image_id for r in one.regions] == [m.regions[0].image_id for m in marks]
    assert (one.score, [r.score for r in one.regions]) == (0.9, [0.9, 0.6])
    assert one.nipple_mm == pytest.approx(sum(r.nipple_mm for r in one.regions) / 2)
    assert one.quadrant


def test_the_switch_leaves_a_finding_for_each_image(marked):
    exam, marks, _ = marked
    placed, notes = placed_findings(exam, marks, join=False)
    assert [f.finding_id for f in placed] == [m.finding_id for m in marks]
    assert all(f.nipple_mm is not None for f in placed)
    assert notes == ()


def test_without_spacing_nothing_is_joined_and_a_note_says_why(marked):
    exam, marks, _ = marked
    bare = replace(exam, images=tuple(replace(i, spacing_mm=None) for i in exam.images))
    placed, notes = placed_findings(bare, marks, join=True)
    assert list(placed) == marks
    (note,) = notes
    assert note.endswith("the file has no pixel spacing")
