"""Verdicts, order of runs, and what a study says before anything is trained."""

from pathlib import Path

import pytest

from fourview.entities import Metric
from fourview.errors import FourviewError, StudyError
from fourview.study.declaration import Claim, Data, PhantomData, Study
from fourview.study.study import How, load_study, plan_lines, run_study
from fourview.study.study_data import make_data, preset_with
from fourview.study.study_measures import Judged, specs_to_measure, verdict_of
from fourview.study.study_runs import ordered_runs, recipe_of, run_of, spec_of

TEXT = """
name = "order"
title = "Order"
question = "In which order?"
seeds = [0, 1]
set = ["batch=4"]
[data.train]
phantom = { preset = "miniature", exams = 4, seed = 1 }
[data.other]
phantom = { preset = "miniature", exams = 4, seed = 2 }
[rows.tuned]
recipe = "mvccl:mini_single"
start = "base"
set = ["split.seed={seed}"]
[rows.base]
recipe = "mvccl:mini_single"
seeds = [7]
measured = false
[rows.plain]
recipe = "mvccl:mini_fusion"
[[measures]]
name = "AUC"
protocol = "screening-breast-v1"
[[measures]]
name = "elsewhere"
protocol = "screening-breast-v1"
on = "other"
rows = ["plain"]
"""


@pytest.fixture
def study(tmp_path) -> Study:
    path = tmp_path / "order.toml"
    path.write_text(TEXT)
    return load_study(path, {})[0]


def claim(**how) -> Claim:
    return Claim(text="x", measure="AUC", row="plain", **how)


@pytest.mark.parametrize(
    ("how", "ends", "verdict"),
    [
        ({"above": 0.0}, (0.01, 0.2), "holds"),
        ({"above": 0.0}, (-0.2, -0.01), "falls"),
        ({"above": 0.0}, (-0.01, 0.2), "cannot be told"),
        ({"above": 0.0}, (0.0, 0.0), "cannot be told"),  # such as of rows that both found nothing
        ({"below": 0.5}, (0.1, 0.4), "holds"),
        ({"below": 0.5}, (0.51, 0.6), "falls"),
        ({"between": (0.4, 0.6)}, (0.45, 0.55), "holds"),
        ({"between": (0.4, 0.6)}, (0.61, 0.7), "falls"),
        ({"between": (0.4, 0.6)}, (0.35, 0.65), "cannot be told"),
        ({"above": 0.0}, (None, None), "cannot be told"),
    ],
)
def test_a_claim_is_judged_by_its_whole_interval(how, ends, verdict):
    value = Metric(name="auroc", value=0.5, low=ends[0], high=ends[1])
    assert verdict_of(claim(**how), value) == verdict


def test_a_control_is_as_it_must_be():
    for control, verdict, must in (
        ("positive", "holds", True),
        ("positive", "cannot be told", False),
        ("negative", "holds", False),
        ("negative", "falls", True),
        (None, "holds", None),
    ):
        judged = Judged(claim=claim(above=0.0, control=control), value=None, verdict=verdict)
        assert judged.as_it_must is must


def test_what_a_run_needs_comes_before_it_and_a_seed_of_all_before_the_next(study, tmp_path):
    runs = [run.name for run in ordered_runs(study, tmp_path, tuple(study.rows), (0, 1, 7))]
    assert runs == ["base-7", "tuned-0", "plain-0", "tuned-1", "plain-1"]
    only = [run.name for run in ordered_runs(study, tmp_path, ("tuned",), (1,))]
    assert only == ["base-7", "tuned-1"]
    assert run_of(study, tmp_path, "base", 1).seed == 7  # one run serves all seeds


def test_settings_are_filled_in_for_each_seed(study):
    recipes = [recipe_of(study, "tuned", seed) for seed in (0, 1)]
    assert [recipe.split.seed for recipe in recipes] == [0, 1]
    assert [recipe.seed for recipe in recipes] == [0, 1]
    assert {recipe.batch for recipe in recipes} == {4}


def test_pixels_are_prepared_where_they_are_read(study):
    specs = specs_to_measure(study, lambda row: spec_of(study, row))
    assert specs == {"train": {"mvccl-192x96"}, "other": {"mvccl-192x96"}}


def test_a_plan_counts_runs_and_trains_nothing(study, tmp_path):
    lines = plan_lines(study, tmp_path / "out", How())
    assert "5 of 5 runs to do" in lines
    assert not (tmp_path / "out").exists()


def test_a_preset_with_other_values():
    data = PhantomData(
        preset="biopsied",
        exams=1,
        seed=0,
        change={"conspic": 1.2, "biopsies": {"p_malignant": 0.3, "num_satellites": [2, 3]}},
    )
    preset = preset_with(data)
    assert (preset.conspic, preset.biopsies.p_malignant) == (1.2, 0.3)
    assert preset.biopsies.num_satellites == (2, 3)
    with pytest.raises(StudyError, match="no field 'conspik'; did you mean 'conspic'"):
        preset_with(data.model_copy(update={"change": {"conspik": 1.0}}))


def test_a_data_set_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "order.toml"
    path.write_text(TEXT)
    with pytest.raises(StudyError, match="--data: no data set 'tran'; did you mean 'train'"):
        load_study(path, {"tran": (Path("m"), None)})


def test_phantoms_of_other_settings_are_not_taken_for_these(study, tmp_path):
    shown: list[str] = []

    def make(**how) -> None:
        phantom = PhantomData(
            preset="plain", rows=96, vendors=("A",), **({"exams": 2, "seed": 3} | how)
        )
        with_it = study.model_copy(update={"data": {"train": Data(phantom=phantom)}})
        specs = {"train": set[str]()}
        shown.clear()
        make_data(with_it, tmp_path, specs, workers=1, progress=lambda text, *_: shown.append(text))

    make()
    make()
    assert shown == []  # nothing is made again
    with pytest.raises(FourviewError, match="seed"):
        make(seed=4)
    with pytest.raises(StudyError, match=r"of other data than data\.train now; name a new folder"):
        make(exams=3)


def test_an_open_data_set_asks_for_a_manifest(tmp_path):
    study, text = load_study(Path("mvccl-ablation"), {})
    with pytest.raises(StudyError, match=r"data\.mine: no phantom and no manifest; add --data"):
        run_study(
            study,
            text,
            tmp_path / "out",
            how=How(),
            command="",
            progress=lambda *_: None,
            say=lambda _: None,
        )


def test_a_folder_of_other_things_is_left_alone(study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="holds other things than a study"):
        run_study(
            study,
            TEXT,
            tmp_path / "out",
            how=How(),
            command="",
            progress=lambda *_: None,
            say=lambda _: None,
        )
