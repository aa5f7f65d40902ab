"""Which exam the demonstration shows: one whose cancer is found and marked, and nothing else is."""

from dataclasses import replace

import pytest

from exam_examples import exam_prediction
from fourview.entities import BreastPrediction, Finding, Region
from fourview.geometry import Box
from fourview.study.demo import is_right

HERE, BESIDE = Box(10, 10, 20, 20), Box(30, 10, 40, 20)
CANCER = Box(8, 8, 24, 24)  # holds the middle of HERE


def known(*places, side="L", malignant=True):
    regions = tuple(Region(image_id=image, box=box) for image, box in places)
    return Finding(finding_id="known", side=side, regions=regions, malignant=malignant)


def marked(*places):
    regions = tuple(Region(image_id=i, box=b, score=s) for i, b, s in places)
    return Finding(finding_id="L-1", side="L", regions=regions, score=0.9)


def said(left, right, *findings):
    breasts = (
        BreastPrediction(side="R", score=right),
        BreastPrediction(side="L", score=left, findings=findings),
    )
    return replace(exam_prediction(), breasts=breasts)


BOTH = known(("cc", CANCER), ("mlo", CANCER))
RIGHT = said(0.8, 0.1, marked(("cc", HERE, 0.8), ("mlo", HERE, 0.8)))


def test_a_cancer_that_is_found_and_marked_in_both_views_is_right():
    assert is_right(RIGHT, [BOTH], 0.5)
    benign = known(("other", BESIDE), side="R", malignant=False)
    assert is_right(RIGHT, [BOTH, benign], 0.5)


def test_a_view_that_does_not_show_the_finding_needs_no_mark():
    prediction = said(0.8, 0.1, marked(("cc", HERE, 0.8)))
    assert is_right(prediction, [known(("cc", CANCER))], 0.5)


@pytest.mark.parametrize(
    ("prediction", "findings", "threshold"),
    [
        (RIGHT, [], 0.5),  # no cancer
        (RIGHT, [known(("cc", CANCER), malignant=False)], 0.5),
        (RIGHT, [BOTH], 0.9),  # below the threshold
        (RIGHT, [BOTH], None),
        (said(None, 0.1), [BOTH], 0.5),  # not scored
        (said(0.8, 0.7, marked(("cc", HERE, 0.8), ("mlo", HERE, 0.8))), [BOTH], 0.5),  # both called
        (said(0.8, 0.1, marked(("cc", HERE, 0.8))), [BOTH], 0.5),  # no mark in MLO
        (said(0.8, 0.1, marked(("cc", HERE, 0.8), ("mlo", BESIDE, 0.8))), [BOTH], 0.5),
        (  # a higher region beside it
            said(0.8, 0.1, marked(("cc", HERE, 0.8), ("mlo", HERE, 0.6), ("mlo", BESIDE, 0.7))),
            [BOTH],
            0.5,
        ),
    ],
)
def test_what_is_not_right(prediction, findings, threshold):
    assert not is_right(prediction, findings, threshold)
