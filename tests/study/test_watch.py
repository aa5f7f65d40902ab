"""What a person sees of a run: lines, figures, pages, logs, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file

from factory import drawn_store
from fourview.cli.main import main
from fourview.errors import DeviceError
from fourview.manifest.manifest import read_manifest, write_manifest
from fourview.nn.device import devices, find_device
from fourview.store.store import Store
from fourview.train.loop import reading_workers
from fourview.train.processes import Processes
from fourview.train.run import train
from fourview.train.run_folder import read_log
from tiny_recipes import SPLIT, linear

SMALL = ("--set", "batch=4", "--set", "epochs=2", "--set", "split.train=0.5", "--set",
         "split.validation=0.25", "--set", "split.test=0.25", "--device", "cpu")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    manifest, store = drawn_store(folder, num_patients=16)
    write_manifest(manifest, folder / "manifest")
    return folder / "manifest", Path(store.path)


def ended(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(each) for each in arguments])
    told = capsys.readouterr()
    return int(end.value.code), told.out, told.err


def command(data, out: Path, *more) -> tuple:
    manifest, store = data
    return (
        "train",
        "mvccl:small",
        "--manifest",
        manifest,
        "--store",
        store,
        "-o",
        out,
        *SMALL,
        *more,
    )


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    arguments = command(data, out, "--log", "csv", "--log", "tensorboard")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("fourview.cli.train.say", lambda text, **_: lines.append(text))
        with pytest.raises(SystemExit) as end:
            main([str(each) for each in arguments])
    assert end.value.code == 0
    return out, lines


def test_a_line_an_epoch_and_the_figures_of_the_test_part_are_said(run):
    out, lines = run
    log = [line for line in read_log(out) if line["kind"] == "epoch"]
    for line, row in zip(lines[:2], log, strict=True):
        assert line.startswith(f"epoch {row['epoch'] + 1} of 2: loss {row['training_loss']:.4f} (")
        assert f"validation loss {row['validation_loss']:.4f}" in line
        assert line.endswith(" left")
    assert lines[2].startswith("test (screening-breast-v1): AUC-ROC ")
    assert lines[3] == f"run: {out}"
    result = json.loads((out / "test" / "result.json").read_text())
    assert result["protocol"]["name"] == "screening-breast-v1"


def test_the_log_has_times_and_means(run):
    out, _ = run
    log = read_log(out)
    steps = [line for line in log if line["kind"] == "step"]
    assert all(0 <= line["waited"] <= line["seconds"] for line in steps)
    for epoch in (line for line in log if line["kind"] == "epoch"):
        own = [line["loss"] for line in steps if line["epoch"] == epoch["epoch"]]
        assert epoch["training_loss"] == pytest.approx(sum(own) / len(own))
        assert epoch["at"].endswith("Z") and epoch["seconds"] >= epoch["validation_seconds"]


def test_pages_and_further_logs_lie_in_the_folder(run):
    out, _ = run
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "report.html").read_text()
    for said in ("<code>epochs</code>", "Highest scores of breasts with no cancer",
                 "Lowest scores of breasts with cancer", "data:image/jpeg", "AUC"):  # fmt: skip
        assert said in page
    table = pl.read_csv(out / "epochs.csv")
    log = [line for line in read_log(out) if line["kind"] == "epoch"]
    assert table["validation_loss"].to_list() == [line["validation_loss"] for line in log]
    assert list((out / "tensorboard").glob("events*"))


def test_a_run_has_one_bar_for_each_thing_that_takes_long(data, tmp_path):
    seen = []
    recipe = replace(linear(), starts_from=None, epochs=2)
    manifest, store = read_manifest(data[0]), Store.open(data[1])
    train(recipe, manifest, store, tmp_path / "run", progress=lambda *told: seen.append(told))
    assert list(dict.fromkeys(what for what, _, _ in seen)) == [
        "training tiny:linear", "scoring validation", "scoring test",
    ]  # fmt: skip
    training = [(done, of) for what, done, of in seen if what.startswith("training")]
    assert training == [(n + 1, len(training)) for n in range(len(training))]


def test_a_saved_state_has_what_is_trained_and_not_what_is_frozen(data, tmp_path):
    recipe = replace(
        linear(),
        starts_from=None,
        epochs=None,
        steps=1,
        precision="bfloat16",
        frozen_precision="bfloat16",
    )
    manifest, store = read_manifest(data[0]), Store.open(data[1])
    train(recipe, manifest, store, tmp_path / "half")
    kept = load_file(tmp_path / "half" / "checkpoints" / "last" / "state.safetensors")
    weights = {name for name in kept if name.startswith("model.") and name.endswith("weight")}
    assert weights == {"model.head.weight"}
    whole = replace(recipe, precision="float32", frozen_precision="float32", split=SPLIT)
    train(whole, manifest, store, tmp_path / "whole")  # after the other, in one process


def test_going_on_with_other_settings_says_which(data, run, capsys):
    out, _ = run
    code, _, err = ended(capsys, *command(data, out, "--resume", "--set", "optimizer.lr=0.5"))
    assert code == 3
    assert "(optimizer.lr 0.002, now 0.5); take another folder or the same settings" in err


def test_what_is_missing_is_said_with_the_command_that_makes_it(data, tmp_path, capsys):
    manifest, store = data
    arguments = ("--manifest", manifest, "-o", tmp_path / "run", "--store")
    code, _, err = ended(capsys, "train", "mvccl:paper", *arguments, tmp_path / "none")
    assert code == 3
    want = f"fourview prepare {manifest} --spec mvccl-1536x768 -o {tmp_path / 'none'}"
    assert f"run: {want}" in err
    code, _, err = ended(capsys, "train", "mvccl:paper", *arguments, store)
    assert code == 3
    assert f"holds mvccl-192x96, need mvccl-1536x768; run: fourview prepare {manifest}" in err


def test_too_few_data_for_a_batch_are_said_before_anything_is_trained(data, tmp_path, capsys):
    manifest, store = data
    code, _, err = ended(
        capsys, "train", "tiny:linear", "--manifest", manifest, "--store", store, "--module",
        "tiny_recipes", "-o", tmp_path / "run", "--set", "batch=5000",
    )  # fmt: skip
    assert code == 3
    assert "a batch of 'tiny:linear' needs 5000" in err
    assert not (tmp_path / "run").exists()  # not even what it starts from


def test_an_unknown_log_or_device_is_refused_before_anything_is_read(tmp_path, capsys):
    nothing = ("--manifest", tmp_path, "--store", tmp_path, "-o", tmp_path / "run")
    code, _, err = ended(capsys, "train", "mvccl:small", *nothing, "--log", "tensorbord")
    assert (code, "did you mean 'tensorboard'" in err) == (3, True)
    with pytest.raises(DeviceError, match=r"this machine has .*cpu only"):
        find_device("cuda:63")
    with pytest.raises(DeviceError, match="need one of cpu, cuda"):
        find_device("gpu")
    assert str(find_device("cpu")) == devices()[-1] == "cpu"


def test_workers_are_none_on_a_processor_unless_asked_for():
    alone = Processes(find_device("cpu"))
    assert [reading_workers(asked, alone) for asked in (None, 0, 3)] == [0, 0, 3]


def test_trials_share_what_comes_before_them(data, tmp_path, capsys, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr("fourview.cli.train.say", lambda text, **_: lines.append(text))
    manifest, store = data
    code, _, _ = ended(
        capsys, "train", "tiny:linear", "--manifest", manifest, "--store", store, "--module",
        "tiny_recipes", "-o", tmp_path / "run", "--trials", "2", "--device", "cpu",
        "--set", "optimizer.search=[1e-3,1e-1]", "--set", "epochs=1",
    )  # fmt: skip
    assert code == 0
    assert "".join(lines).count("needs a run of tiny:contrast") == 1
    assert (tmp_path / "run" / "starts_from" / "log.jsonl").exists()
    assert not list((tmp_path / "run").glob("trial-*/starts_from"))
