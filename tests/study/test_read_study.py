"""Declarations of studies: what is read, and what is refused, with place and nearest name."""

from pathlib import Path

import pytest

from fourview.errors import StudyError
from fourview.study.read_study import filled, function_of, read_study, shipped_names

GOOD = """
name = "two"
title = "Two rows"
question = "Which is better?"
seeds = [0, 1]

[data.train]
phantom = { preset = "miniature", exams = 4, seed = 1 }

[rows.one]
recipe = "mvccl:mini_single"

[rows.two]
recipe = "mvccl:mini"
start = "one"

[[measures]]
name = "AUC"
protocol = "screening-breast-v1"
reference = "one"

[[claims]]
text = "Two is better"
measure = "AUC"
row = "two"
less = "one"
above = 0
"""


def declared(tmp_path, text=GOOD):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_a_declaration_is_read(tmp_path):
    study, text = read_study(declared(tmp_path))
    assert text == GOOD
    assert study.seeds_of("two") == (0, 1)
    assert study.data_of("two") == "train"
    assert study.needs("two") == ("one",)
    assert study.rows_of(study.measures[0]) == ("one", "two")
    assert study.claims[0].range == (0.0, float("inf"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("question =", "querstion =", r"no key 'querstion'; did you mean 'question'"),
        ('recipe = "mvccl:mini"', 'recipes = "mvccl:mini"', r"rows\.two: no key 'recipes'; did"),
        ('start = "one"', 'data = "tain"', r"rows\.two\.data: no data set 'tain'; did you mean"),
        ('start = "one"', "seeds = []", r"rows\.two\.seeds: none"),
        ('start = "one"', 'start = "two"', r"rows\.two: needs itself"),
        ('reference = "one"', 'reference = "on"', r"measures\.1\.reference: no row 'on'; did"),
        ('protocol = "screening-breast-v1"', "", r"measures\.1: name a protocol or a function"),
        ('measure = "AUC"', 'measure = "AUCs"', r"claims\.1\.measure: no measure 'AUCs'; did you"),
        ("above = 0", "", r"claims\.1: need one of above, below and between"),
        ("above = 0", "above = 0\nbelow = 1", r"claims\.1: need one of above, below and between"),
        ("above = 0", "between = [1, 0]", r"need the lower end first"),
        ("exams = 4", "exams = 0", r"data\.train\.phantom\.exams: Input should be greater"),
        ("[data.train]", "[data.train", r"no TOML"),
        ('seed = 1 }', 'seed = 1 }\nlike = "train"', r"says phantom and like; name one"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(StudyError, match=said):
        read_study(declared(tmp_path, GOOD.replace(old, new)))


TWO_SETS = GOOD.replace(
    "[rows.one]",
    '[data.other]\nphantom = { preset = "miniature", exams = 4, seed = 2 }\n[rows.one]',
).replace('start = "one"', 'data = "other"')


def test_rows_of_two_data_sets_are_no_rows_of_one_measure(tmp_path):
    with pytest.raises(
        StudyError, match=r"measures\.1: 'one' is measured on train and 'two' on oth"
    ):
        read_study(declared(tmp_path, TWO_SETS))
    on = TWO_SETS.replace('reference = "one"', 'on = "train"')
    assert read_study(declared(tmp_path, on))[0].measures[0].on == "train"
    alike = TWO_SETS.replace(
        'phantom = { preset = "miniature", exams = 4, seed = 2 }',
        'like = "train"\nchoose = "a:b"',
    )
    assert read_study(declared(tmp_path, alike))[0].data_of("two") == "other"


def test_paths_are_those_of_the_file(tmp_path):
    text = GOOD.replace('phantom = { preset = "miniature", exams = 4, seed = 1 }', 'manifest = "m"')
    study, _ = read_study(declared(tmp_path, text))
    assert study.data["train"].manifest == tmp_path / "m"


def test_a_package_that_is_missing_is_named():
    with pytest.raises(StudyError, match=r"paths\.w: the package no_such_package is not installed"):
        filled("x={w}", {"w": "package:no_such_package/*.pth"}, row="one", seed=0)


def test_a_file_of_a_package_is_found():
    text = filled("x={w}", {"w": "package:fourview/py.typed"}, row="one", seed=0)
    assert text.startswith("x=") and text.endswith("py.typed")


def test_a_function_that_is_not_there_is_named():
    with pytest.raises(StudyError, match="module 'json' has no function 'nothing'"):
        function_of("json:nothing")
    with pytest.raises(StudyError, match="need module:function"):
        function_of("json")


def test_an_unknown_name_has_the_nearest_shipped_one():
    with pytest.raises(StudyError, match="no study 'mvccl-ablatoin'; did you mean 'mvccl-abl"):
        read_study(Path("mvccl-ablatoin"))


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_study_can_be_read_and_its_recipes_are_there(name):
    from fourview.study.study import load_study  # noqa: PLC0415

    study, _ = load_study(Path(name), {})
    assert study.name == name
    assert all(data.phantom is None for data in study.data.values())  # for data of one's own
