"""A run: resumed anywhere it logs the same losses, and it refuses what cannot be trained."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file

from factory import drawn_store
from fourview.errors import TrainingError
from fourview.evaluate.operating import read_thresholds
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import write_manifest
from fourview.models.mvccl.model import TINY
from fourview.predict.reader import load_model
from fourview.train.loop import Machine
from fourview.train.recipe import OptimizerConfig, Recipe, SplitConfig
from fourview.train.run import train
from fourview.train.run_folder import read_log

RECIPE = Recipe(
    name="mvccl:tiny",
    family="mvccl",
    model=replace(TINY, dropout=0.2),  # dropout and augmentation must repeat too
    pixel_spec="mvccl-192x96",
    batch=4,
    epochs=3,
    optimizer=OptimizerConfig(lr=1e-2),
    split=SplitConfig(train=0.5, validation=0.25, test=0.25),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn_store(tmp_path_factory.mktemp("drawn"), num_patients=16)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(RECIPE, *data, out)
    return out


def losses(run: Path) -> list[tuple]:
    return [
        (
            line["kind"],
            line["epoch"],
            line.get("step"),
            line.get("loss", line.get("validation_loss")),
        )
        for line in read_log(run)
    ]


class Stop(Exception):
    """Raised by the progress callback: the run ends in the middle of a step's bookkeeping."""


@pytest.mark.parametrize("calls", [1, 6, 9])
def test_a_stopped_run_goes_on_with_the_same_losses(data, whole, tmp_path, calls):
    left = calls

    def stop(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    with pytest.raises(Stop):
        train(RECIPE, *data, tmp_path / "run", machine=Machine(save_every=2), progress=stop)
    train(RECIPE, *data, tmp_path / "run", resume=True, machine=Machine(save_every=2))
    assert losses(tmp_path / "run") == losses(whole)  # to the last bit
    assert_same_weights(tmp_path / "run", whole)


def assert_same_weights(run: Path, other: Path) -> None:
    one, two = (load_file(r / "checkpoints/best/model.safetensors") for r in (run, other))
    assert all((one[name] == two[name]).all() for name in two)


def test_a_run_leaves_everything_needed_to_judge_and_use_it(whole):
    names = {path.name for path in whole.iterdir()}
    assert names >= {"recipe.json", "environment.json", "split.json", "log.jsonl", "checkpoints"}
    predictions, about = read_predictions(whole / "predictions.parquet")
    split = json.loads((whole / "split.json").read_text())
    assert set(predictions["patient_id"]) == {*split["validation"], *split["test"]}
    assert not set(split["train"]) & set(predictions["patient_id"])
    thresholds, chosen = read_thresholds(whole / "operating_points.json")
    assert thresholds and chosen["part"] == "validation"
    reader = load_model(whole)
    assert about["model_digest"] == reader.card.digest
    assert reader.operating_points == thresholds


def test_scores_of_a_loaded_run_are_those_it_wrote(whole, data):
    written, _ = read_predictions(whole / "predictions.parquet")
    again = load_model(whole).predict_store(*data)
    keys = ["unit", "exam_id", "side", "image_id"]
    again = again.filter(pl.col("exam_id").is_in(written["exam_id"].unique().to_list()))
    regions = pl.col("unit") == "region"  # several an image: the same places
    marked = [*keys, "class", "x0", "y0", "x1", "y1"]
    places = [table.filter(regions).select(marked).sort(marked) for table in (written, again)]
    assert places[0].equals(places[1])
    written, again = written.filter(~regions), again.filter(~regions)
    both = written.join(again, on=keys, nulls_equal=True, suffix="_again")
    assert len(both) == len(written)
    assert (both["score"] - both["score_again"]).abs().max() < 1e-6  # batches of another size


def test_a_run_of_so_many_steps_ends_in_the_middle_of_a_pass_and_is_resumed(data, tmp_path):
    recipe = replace(RECIPE, epochs=None, steps=6)  # four steps a pass
    train(recipe, *data, tmp_path / "whole")
    log = read_log(tmp_path / "whole")
    assert [(line["epoch"], line.get("step")) for line in log] == [
        *((0, 0), (0, 1), (0, 2), (0, 3), (0, None), (1, 0), (1, 1), (1, None)),
    ]

    left = 5

    def stop(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, *data, tmp_path / "run", machine=Machine(save_every=1), progress=stop)
    train(recipe, *data, tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_label_with_one_class_is_refused_by_name(data, tmp_path):
    manifest, store = data
    malignant = replace(manifest, breasts=manifest.breasts.with_columns(cancer=pl.lit(1, pl.Int8)))
    with pytest.raises(TrainingError, match=r"'cancer' cannot be trained on: all \d+ known"):
        train(RECIPE, malignant, store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_not_written_over(data, whole):
    with pytest.raises(TrainingError, match="--resume"):
        train(RECIPE, *data, whole)


def test_a_run_is_not_resumed_with_another_recipe(data, whole):
    with pytest.raises(TrainingError, match="another recipe"):
        train(replace(RECIPE, batch=2), *data, whole, resume=True)


def test_the_wrong_store_is_refused_by_name(data, tmp_path):
    with pytest.raises(TrainingError, match="mvccl-384x192"):
        train(replace(RECIPE, pixel_spec="mvccl-384x192"), *data, tmp_path / "run")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_run import RECIPE
from fourview.manifest.manifest import read_manifest
from fourview.store.store import Store
from fourview.train.loop import Machine
from fourview.train.run import train
train(RECIPE, read_manifest(Path(sys.argv[2])), Store.open(sys.argv[3]), Path(sys.argv[4]),
      resume=True, machine=Machine(save_every=2))
"""


def kill_while_training(data, run: Path, folder: Path, steps: int, delay: float = 0.0) -> int:
    """Train in a child and kill -9 it so long after so many lines of its log; its exit code."""
    manifest, store = data
    write_manifest(manifest, folder / "manifest")
    places = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder / "manifest"),
         str(store.path), str(run)],
        env={**os.environ, "PYTHONPATH": places},
    )  # fmt: skip
    while child.poll() is None:
        if len(read_log(run)) >= steps:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    return child.wait()


def test_a_killed_run_goes_on_with_the_same_losses(data, whole, tmp_path):
    assert kill_while_training(data, tmp_path / "run", tmp_path, 5) == -signal.SIGKILL
    train(RECIPE, *data, tmp_path / "run", resume=True, machine=Machine(save_every=2))
    assert losses(tmp_path / "run") == losses(whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_run_killed_at_a_random_moment_goes_on_with_the_same_losses(data, whole, tmp_path, seed):
    make = random.Random(seed)
    kill_while_training(
        data, tmp_path / "run", tmp_path, make.randrange(14), delay=make.random() * 0.3
    )
    train(RECIPE, *data, tmp_path / "run", resume=True, machine=Machine(save_every=2))
    assert losses(tmp_path / "run") == losses(whole)
    assert_same_weights(tmp_path / "run", whole)
