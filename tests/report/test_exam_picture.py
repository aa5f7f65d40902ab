"""One picture of an exam: where the views hang, and that boxes lie on what they mark."""

from dataclasses import replace

import numpy as np

from exam_examples import IDS, SIZE, exam_prediction, image
from fourview.entities import Exam, Finding, Region
from fourview.geometry import Box
from fourview.report.exam_picture import GAP, LINE, exam_picture

ROWS, COLS = SIZE


def exam(*names):
    return Exam(patient_id="P-1", exam_id="1.2.3", images=tuple(image(name) for name in names))


def nothing():
    """A prediction that says nothing."""
    return replace(exam_prediction(), breasts=(), images=())


def test_right_views_hang_left_and_chest_walls_meet():
    picture = exam_picture(nothing(), exam("R-CC", "L-CC", "R-MLO", "L-MLO"), rows=ROWS)
    assert picture.shape[1] == 2 * COLS + GAP
    middle = picture.shape[1] // 2
    tops = (LINE, LINE + ROWS + GAP + LINE)
    for top in tops:
        grey = picture[top : top + ROWS, :, 0].astype(int)
        right, left = grey[:, : middle - GAP // 2], grey[:, middle + GAP // 2 :]
        walls = right[ROWS // 2, -5:].min(), left[ROWS // 2, :5].min()
        air = right[ROWS // 2, :5].max(), left[ROWS // 2, -5:].max()
        assert min(walls) > max(air)


def test_a_missing_view_leaves_its_place_black():
    picture = exam_picture(nothing(), exam("R-CC", "L-CC", "R-MLO"), rows=ROWS)
    top = LINE + ROWS + GAP
    left_below = picture[top : top + ROWS, picture.shape[1] // 2 + GAP :]
    assert left_below.max() == 0


def test_a_known_finding_is_a_white_box_and_a_proposed_one_another():
    box = Box(20.0, 50.0, 40.0, 70.0)
    place = (Region(image_id=IDS["L-CC"], box=box),)
    known = Finding(finding_id="k", side="L", regions=place, malignant=True)
    here = exam("R-CC", "L-CC", "R-MLO", "L-MLO")
    plain = exam_picture(nothing(), here, rows=ROWS)
    with_known = exam_picture(nothing(), here, known=[known], rows=ROWS)
    y, x = np.nonzero((plain != with_known).any(axis=2))
    start = plain.shape[1] // 2 + GAP // 2  # the left view begins here, unmirrored
    assert (x.min() - start, x.max() - start) == (20, 40)
    assert (y.min(), y.max()) == (LINE + 50, LINE + 70)
    assert (with_known[LINE + 60, start + 20] == 255).all()
    breast = replace(exam_prediction().breasts[0], side="L", findings=(known,))
    drawn = exam_picture(replace(nothing(), breasts=(breast,)), here, rows=ROWS)
    blue, green, red = drawn[LINE + 60, start + 20].astype(int)
    assert red < blue and red < green  # cyan
