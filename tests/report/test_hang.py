"""Where each image of an exam hangs."""

from dataclasses import replace

import pytest

from exam_examples import exam_prediction, image
from fourview.errors import ReportError
from fourview.report.hang import hang


def exam(*names, **more):
    return [image(name, image_id=f"{name}-{n}", **more) for n, name in enumerate(names)]


def nothing_scored(images):
    return replace(exam_prediction(), images=(), exam_id=images[0].exam_id)


def test_the_first_of_a_slot_hangs_and_others_are_beside_r_before_l():
    images = exam("L-CC", "L-CC", "R-ML", "R-CC", "L-MLO")
    wall = hang(nothing_scored(images), images)
    keys = [None if panel is None else panel.key for panel in wall.slots]
    assert keys == ["R-CC", "L-CC", None, "L-MLO"]
    assert [panel.key for panel in wall.others] == ["R-ML", "L-CC-2"]
    assert wall.slots[1].image_id == "L-CC-0"
    assert len(wall.panels) == 5


def test_an_image_twice_or_of_another_exam_is_refused():
    images = exam("L-CC", "R-CC")
    prediction = nothing_scored(images)
    with pytest.raises(ReportError, match="L-CC-0 is there twice in images"):
        hang(prediction, [images[0], images[0]])
    other = replace(images[1], exam_id="other")
    with pytest.raises(ReportError, match="R-CC-1 is of exam other"):
        hang(prediction, [images[0], other])
