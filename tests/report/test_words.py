"""What pages say in words."""

import pytest

from exam_examples import exam_prediction, image
from fourview.report.words import exam_facts, point_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sensitivity-0.90", "90 % sensitivity"),
        ("specificity-0.975", "97.5 % specificity"),
        ("sensitivity-1.00", "100 % sensitivity"),
        ("youden", "best sum of sensitivity and specificity"),
        ("my own point", "my own point"),
        ("sensitivity-high", "sensitivity-high"),
    ],
)
def test_operating_points_are_named_in_words(name, words):
    assert point_words(name) == words


@pytest.mark.parametrize(
    ("age", "words"),
    [("057Y", "57 years"), ("57", "57 years"), ("001Y", "1 year"), ("018M", "18 months")],
)
def test_ages_are_read_as_the_standard_writes_them_or_as_years(age, words):
    facts = exam_facts(exam_prediction(), [image("R-CC", metadata={"age": age})])
    assert facts == [{"name": "Age", "value": words}]


@pytest.mark.parametrize("about", [{"age": "old"}, {"study_date": "20"}, {"manufacturer": " "}, {}])
def test_what_is_not_known_is_left_out(about):
    assert exam_facts(exam_prediction(), [image("R-CC", metadata=about)]) == []


def test_images_that_differ_are_all_named_once():
    names = ("one", "two", "one")
    pictures = [
        image("R-CC", image_id=str(k), metadata={"manufacturer": name})
        for k, name in enumerate(names)
    ]
    assert exam_facts(exam_prediction(), pictures) == [{"name": "Vendor", "value": "one, two"}]
