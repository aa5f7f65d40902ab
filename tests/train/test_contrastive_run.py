"""A language-image run: the same losses after a stop, before and after delta."""

from dataclasses import replace

import pytest

from factory import drawn_store
from fourview.feeds.kinds.captions import CaptionFeedConfig
from fourview.models.mama.model import TINY
from fourview.models.mama.objective import MamaObjectiveConfig
from fourview.train.loop import Machine
from fourview.train.recipe import ContrastConfig, OptimizerConfig, Recipe, SplitConfig
from fourview.train.run import train
from fourview.train.run_folder import read_log

RECIPE = Recipe(
    name="mama:tiny",
    family="mama",
    model=replace(TINY, text=replace(TINY.text, dropout=0.2)),
    pixel_spec="mvccl-192x96",
    stage="pretrain",
    objective=MamaObjectiveConfig(delta=0.5),
    feed=CaptionFeedConfig(require=("density",)),
    unit="exam",
    batch=8,
    epochs=2,
    optimizer=OptimizerConfig(name="adamw", lr=1e-3, decay="matrices"),
    split=SplitConfig(train=0.5, validation=0.25, test=0.25),
    contrast=ContrastConfig(chunk=6, frozen_statistics=True),
)


class Stop(Exception):
    """Raised by the progress callback."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=8)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(RECIPE, *data, out)
    return log_of(out)


def log_of(run):
    """The log without what a clock says."""
    told = {"seconds", "waited", "validation_seconds", "at"}
    return [{k: v for k, v in line.items() if k not in told} for line in read_log(run)]


def test_the_local_alignment_comes_at_delta(whole):
    steps = [line for line in whole if line["kind"] == "step"]
    assert ["local" in line["parts"] for line in steps] == [False, False, True, True]


@pytest.mark.parametrize("calls", [1, 2, 3])  # of four steps, delta after two
def test_a_stopped_run_goes_on_with_the_same_losses(data, whole, tmp_path, calls):
    left = calls

    def stop(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    with pytest.raises(Stop):
        train(RECIPE, *data, tmp_path, machine=Machine(save_every=1), progress=stop)
    train(RECIPE, *data, tmp_path, resume=True, machine=Machine(save_every=1))
    assert log_of(tmp_path) == whole  # to the last bit
