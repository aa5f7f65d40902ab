"""Only whole answers to what was asked are taken."""

import pytest

from fourview.errors import FourviewError
from fourview.serve.answers import Answers, check_answers
from fourview.serve.study import Questions


def test_only_whole_answers_to_what_was_asked_are_taken():
    asked = Questions(recall=True, birads=True, suspicion=True, marks=1)
    whole = {
        "recall": {"R": True, "L": False},
        "birads": {"R": 4, "L": 1},
        "suspicion": {"R": 0, "L": 100},
        "marks": [],
    }
    check_answers(Answers.model_validate(whole), asked, "RL")
    one_breast = {name: {"L": v["L"]} for name, v in whole.items() if v} | {"marks": []}
    check_answers(Answers.model_validate(one_breast), asked, "L")
    for change, words in (
        ({"recall": None}, "recall is not answered"),
        ({"suspicion": {"R": 3}}, "suspicion of breast L"),
        ({"birads": {"R": 0, "L": 1}}, "from 1 to 5"),
        ({"density": "A"}, "density is not asked"),
        ({"marks": [{"image": "k", "box": [0, 0, 1, 1], "suspicion": 5}] * 2}, "at most 1"),
    ):
        with pytest.raises(FourviewError, match=words):
            check_answers(Answers.model_validate(whole | change), asked, "RL")
