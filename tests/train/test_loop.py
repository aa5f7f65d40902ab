"""What the validation part chooses: the checkpoint that is kept, and when a plateau is one."""

import math
from dataclasses import replace

import pytest
import torch

from factory import drawn_store
from fourview.errors import TrainingError
from fourview.models.mvccl.model import TINY
from fourview.train.loop import reading_workers
from fourview.train.processes import Processes
from fourview.train.recipe import OptimizerConfig, Recipe, ScheduleConfig, SplitConfig
from fourview.train.run import train
from fourview.train.run_folder import read_log

RECIPE = Recipe(
    name="mvccl:tiny",
    family="mvccl",
    model=TINY,
    pixel_spec="mvccl-192x96",
    batch=4,
    epochs=4,
    optimizer=OptimizerConfig(lr=3e-2),
    schedule=ScheduleConfig(name="plateau", factor=0.5, patience=0),
    split=SplitConfig(train=0.5, validation=0.25, test=0.25),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=16)


def of_epoch(line: dict, select: str) -> float:
    """The value of a logged epoch that is to be the lowest."""
    if select == "auc":
        return -line["validation_auc"]
    return line["validation_loss"] if select == "loss" else line["validation_parts"][select]


@pytest.mark.parametrize("select", ["loss", "auc", "cross_entropy"])
def test_the_best_is_the_best_so_far_of_what_is_named(data, tmp_path, select):
    train(replace(RECIPE, select=select), *data, tmp_path)
    best = math.inf
    for line in (line for line in read_log(tmp_path) if line["kind"] == "epoch"):
        value = of_epoch(line, select)
        assert line["best"] == (value < best)
        best = min(best, value)


def test_a_plateau_is_one_of_the_cross_entropy_where_that_is_named(data, tmp_path):
    """The rates of the log against a loop over the logged cross entropies."""
    train(replace(RECIPE, select="cross_entropy", epochs=6), *data, tmp_path)
    rate, best = RECIPE.optimizer.lr, math.inf
    for epoch in range(6):
        lines = [line for line in read_log(tmp_path) if line["epoch"] == epoch]
        assert {line["lr"] for line in lines if line["kind"] == "step"} == {rate}
        value = of_epoch(lines[-1], "cross_entropy")
        rate = rate if value < best else rate * 0.5
        best = min(best, value)
    assert rate < RECIPE.optimizer.lr  # the plateau came, so the test says something


def test_a_part_that_the_loss_does_not_have_is_refused_at_the_first_step(data, tmp_path):
    with pytest.raises(
        TrainingError, match="select is 'bce', need one of loss, auc, last, cross_ent"
    ):
        train(replace(RECIPE, select="bce"), *data, tmp_path)


@pytest.mark.parametrize(
    ("cores", "count", "want"),
    [(16, 1, 8), (16, 2, 7), (16, 4, 3), (8, 4, 1), (2, 4, 1), (None, 1, 1)],
)
def test_a_gpu_has_its_share_of_the_cores_to_read(monkeypatch, cores, count, want):
    """A core less than its share, at least one and at most eight."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    gpu = Processes(torch.device("cuda"), 0, count)
    assert reading_workers(None, gpu) == want
    assert reading_workers(5, gpu) == 5 and reading_workers(0, gpu) == 0
    assert reading_workers(None, Processes(torch.device("cpu"), 0, count)) == 0
