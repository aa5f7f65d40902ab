"""Exams and predictions as a notebook and a program see them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

import fourview
from exam_examples import IDS, SIZE, exam_prediction, image
from fourview.entities import BreastPrediction, Exam, Finding, Image, LeftOut, Region
from fourview.entities.reasons import Reason
from fourview.errors import ReportError
from fourview.geometry import Box

SPOT = LeftOut(path="IM7.dcm", reason=Reason.SPOT, detail="a spot view")


def exam(*names, **more):
    pictures = tuple(image(name) for name in names or ("R-CC", "L-CC"))
    return Exam(patient_id="P-1", exam_id="1.2.3", images=pictures, **more)


def test_an_exam_is_looked_into_by_view_and_by_id():
    one = exam("R-CC", "L-CC")
    assert one["L-CC"] is one.images[1] is one[IDS["L-CC"]]
    assert [i.view.name for i in one] == ["R-CC", "L-CC"]
    assert len(one) == 2
    assert "L-CC" in one
    assert "L-MLO" not in one
    assert one.get("L-MLO") is None
    with pytest.raises(KeyError, match=r"no L-MLO in exam 1\.2\.3; it has R-CC, L-CC"):
        one["L-MLO"]
    assert exam()  # also one without images is true
    assert replace(exam(), images=())


def test_of_two_images_of_a_view_the_preferred_comes():
    first, second = image("R-CC"), image("R-CC", image_id="9")
    both = replace(exam(), images=(first, second))
    assert both["R-CC"] is first
    assert both["9"] is second


def test_reprs_are_one_short_line():
    for thing in (exam(left_out=(SPOT,)), image("L-CC"), exam_prediction()):
        assert "\n" not in repr(thing)
        assert len(repr(thing)) < 120
    assert repr(exam(left_out=(SPOT,))) == ("<Exam 1.2.3 of patient P-1: R-CC, L-CC, 1 left out>")
    assert repr(image("L-CC")) == "<Image L-CC, 120 x 80 of 12 bits, 0.1 mm>"
    assert repr(exam_prediction()) == (
        "<ExamPrediction of exam 1.2.3 by mvccl:small: R 0.873, L not scored>"
    )


def test_a_notebook_gets_pictures_and_no_markup_from_headers():
    hostile = "<script>alert(1)</script>"
    one = replace(
        exam(left_out=(replace(SPOT, detail=hostile),)), patient_id=hostile, exam_id=hostile
    )
    html = one._repr_html_()
    assert html.count("<img") == 2
    assert "no R-MLO" in html
    assert "<script>" not in html
    told = replace(exam_prediction(), exam=exam(), caution=hostile)
    assert told._repr_html_().count("<img") == 2
    assert "<script>" not in told._repr_html_()
    assert "0.873" in told._repr_html_()
    assert "<img" not in exam_prediction()._repr_html_()  # read from a file: no pixels
    assert image("L-CC")._repr_html_().count("<img") == 1


def test_show_is_the_view_as_it_hangs():
    picture = np.asarray(image("R-CC", wall="left").show())
    assert picture.shape == SIZE
    assert picture[SIZE[0] // 2, -1] > 60  # mirrored: the chest wall of R is at the right
    assert np.asarray(image("R-CC", size=(480, 320)).show(rows=120)).shape == (120, 80)


def test_a_heatmap_comes_on_the_files_own_pixels():
    got = exam_prediction().heatmap("R-CC")
    assert got.shape == SIZE
    row, col = np.unravel_index(np.nanargmax(got), SIZE)
    # cell (1, 1) of 4 x 2 of the mirrored image: rows 30 to 60, stored columns 0 to 40
    assert 30 <= row < 60
    assert col < 40
    assert np.nanmax(got) == pytest.approx(0.75, abs=0.02)  # no pixel is at the cell's centre
    with pytest.raises(ReportError, match="no heatmap of L-CC"):
        exam_prediction().heatmap("L-CC")
    with pytest.raises(ReportError, match="no heatmap of 'benign' for R-CC; there are: malignant"):
        exam_prediction().heatmap("R-CC", "benign")
    with pytest.raises(ReportError, match="nothing is said of L-MLO"):
        exam_prediction().heatmap("L-MLO")


@pytest.mark.parametrize("wall", ["left", "right"])
@pytest.mark.parametrize("stored", [True, False])
def test_an_overlay_draws_a_box_around_what_it_was_drawn_around(wall, stored):
    picture = image("R-CC", wall=wall)
    rows, cols = np.nonzero(picture.pixels == 4000)
    box = Box(cols.min() - 8.0, rows.min() - 8.0, cols.max() + 9.0, rows.max() + 9.0)
    finding = Finding(
        finding_id="R-1", side="R", regions=(Region(image_id=picture.image_id, box=box),)
    )
    told = replace(
        exam_prediction(), breasts=(BreastPrediction(side="R", score=0.5, findings=(finding,)),)
    )
    plain = replace(told, images=(replace(told.images[0], heatmaps=()),))
    drawn = np.asarray(plain.overlay("R-CC", image=picture, stored=stored))
    assert drawn.shape == (*SIZE, 3)
    assert (drawn[..., 2] > 200).any()
    grey = np.asarray(image("R-CC", wall=wall).show()) if not stored else picture.pixels
    spot = np.unravel_index(np.argmax(grey), SIZE)
    cyan = (drawn[..., 2].astype(int) - drawn[..., 0]) > 100
    there = np.argwhere(cyan)
    assert there[:, 0].min() < spot[0] < there[:, 0].max()
    assert there[:, 1].min() < spot[1] < there[:, 1].max()


def test_an_overlay_needs_the_pixels_and_says_so():
    with pytest.raises(ReportError, match="pixels of R-CC are not at hand"):
        exam_prediction().overlay("R-CC")
    assert replace(exam_prediction(), exam=exam()).overlay("R-CC").size == (SIZE[1], SIZE[0])


def test_a_spec_goes_by_its_name():
    by_name = fourview.process(image("R-CC"), "mvccl-192x96")
    by_spec = fourview.process(image("R-CC"), fourview.pixel_spec("mvccl-192x96"))
    assert np.array_equal(by_name.pixels, by_spec.pixels)


def test_the_exam_of_a_prediction_is_not_compared():
    told = exam_prediction()
    assert isinstance(image("R-CC"), Image)
    assert replace(told, exam=exam()).breasts == told.breasts
    assert cv2.__version__
