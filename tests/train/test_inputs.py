"""A run goes on only with what it was begun with; the difference is named."""

import pytest

from fourview.errors import TrainingError
from fourview.run_files import RECIPE
from fourview.train.inputs import Inputs, differences, require_same, write_inputs
from fourview.train.recipe import override
from tiny_recipes import contrast

INPUTS = Inputs(manifest="m", store="s")


@pytest.fixture
def run(tmp_path):
    (tmp_path / RECIPE).write_text(contrast().to_json())
    write_inputs(tmp_path, INPUTS)
    return tmp_path


def test_the_same_goes_on_and_a_new_folder_is_no_matter(run, tmp_path):
    require_same(run, contrast(), INPUTS)
    require_same(tmp_path / "none", contrast(), INPUTS)


@pytest.mark.parametrize(
    ("settings", "inputs", "words"),
    [
        (["optimizer.lr=0.5"], INPUTS, r"optimizer.lr 0.001, now 0.5"),
        ([], Inputs(manifest="x", store="s"), "another manifest"),
        ([], Inputs(manifest="m", store="x"), "another store"),
        ([], Inputs(manifest="m", store="s", start="w"), "another start"),
        (["seed=3"], Inputs(manifest="x", store="s"), "seed .*another manifest"),
    ],
)
def test_what_differs_is_named(run, settings, inputs, words):
    with pytest.raises(TrainingError, match=words):
        require_same(run, override(contrast(), settings), inputs)


def test_a_damaged_folder_is_said(run):
    (run / RECIPE).write_text("{")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        require_same(run, contrast(), INPUTS)


def test_every_input_counts_in_the_digest():
    made = {
        INPUTS.digest(contrast()),
        Inputs(manifest="m", store="s", start="s").digest(contrast()),
        Inputs(manifest="m", store="s", context="s").digest(contrast()),
        INPUTS.digest(override(contrast(), ["seed=3"])),
    }
    assert len(made) == 4


def test_differences_go_into_depth():
    before, now = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert differences(before, now) == [("a.c", 2, 4), ("d", 3, None), ("e", None, 5)]
