"""Two processes on the processor, started as a person starts them, train one run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from factory import drawn_store
from fourview.cli.main import main
from fourview.errors import TrainingError
from fourview.evaluate.table import read_predictions
from fourview.manifest.manifest import write_manifest
from fourview.train.gather import buckets
from fourview.train.parts import require_even_shares
from fourview.train.processes import Processes, join_processes, told_if_lost
from fourview.train.run_folder import read_log
from tiny_recipes import linear

PATIENCE_S = 600  # only so that a deadlock ends; a run takes some seconds
CLOSE = {"rel": 1e-5, "abs": 1e-7}  # float32 sums of two halves
TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
    *("--monitor-interval", "0.05", "-m", "fourview"),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    manifest, store = drawn_store(folder, num_patients=16)
    write_manifest(manifest, folder / "manifest")
    return folder / "manifest", Path(store.path)


def command(recipe: str, data, run: Path, *more: str) -> list[str]:
    manifest, store = data
    places = ("--manifest", str(manifest), "--store", str(store), "-o", str(run))
    return ["train", recipe, *places, "--module", "tiny_recipes", "--device", "cpu", *more]


@pytest.fixture(scope="module")
def start(request):
    """Starts torchrun; modules are compiled once and kept, which is half of a process's time."""
    tests = str(Path(__file__).parents[1])
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([tests, *sys.path]),
        "PYTHONPYCACHEPREFIX": str(request.config.cache.mkdir("bytecode")),
    }

    def start(arguments: list[str]) -> subprocess.Popen:
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([*TORCHRUN, *arguments], env=environment, **pipes)

    return start


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The same runs by one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    with pytest.raises(SystemExit) as ended:
        main(command("tiny:linear", data, run))
    assert ended.value.code == 0
    return run


def assert_same_log(run: Path, other: Path) -> None:
    one, two = read_log(run), read_log(other)
    assert [(x["kind"], x["epoch"], x.get("step")) for x in one] == [
        (x["kind"], x["epoch"], x.get("step")) for x in two
    ]
    names = ("loss", "lr", "training_loss", "validation_loss", "validation_auc")
    for line, wanted in zip(one, two, strict=True):
        for name in (n for n in names if wanted.get(n) is not None):
            assert line.get(name) == pytest.approx(wanted.get(name), **CLOSE), (name, line)


def kill_rank_1(process: subprocess.Popen, run: Path, steps: int) -> None:
    """kill -9, after so many steps."""
    while sum(line["kind"] == "step" for line in read_log(run)) < steps:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    children = psutil.Process(process.pid).children(recursive=True)
    (rank_1,) = [child for child in children if child.environ().get("RANK") == "1"]
    rank_1.send_signal(signal.SIGKILL)


def test_one_of_two_processes_is_killed_and_the_runs_go_on_as_those_of_one(
    start, data, alone, tmp_path
):
    """Pre-training, which compares all samples, and after it a head, which counts each alone."""
    before, run = tmp_path / "run" / "starts_from", tmp_path / "run"
    killed = start(command("tiny:linear", data, run, "--save-every", "2"))
    kill_rank_1(killed, before, steps=3)
    code, _, _ = finished(killed)  # what rank 0 says first, torchrun may cut off
    assert code != 0
    code, out, err = finished(start(command("tiny:linear", data, run, "--resume")))
    assert code == 0, err
    for own, other in ((before, alone / "starts_from"), (run, alone)):
        assert_same_log(own, other)
        names = [{path.name for path in folder.iterdir()} for folder in (own, other)]
        assert names[0] == names[1]
    one, two = (read_predictions(p / "predictions.parquet")[0] for p in (run, alone))
    assert one.drop("score").equals(two.drop("score"))  # in the same order too
    assert one["score"].to_list() == pytest.approx(two["score"].to_list(), **CLOSE)
    said = (
        "epoch 6 of 6: ",
        "epoch 3 of 3: ",
        "test (embed-density-multiview-v1): ",
        "began with ",
    )
    assert [err.count(line) for line in said] == [1, 1, 1, 1]  # one process speaks
    assert out.count("run: ") == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "FSDP, which is not supported.*frozen_precision"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed, which is not supported"),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, "--set precision=bfloat16"),
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "dynamo_backend"),
        (
            {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"},
            "asked for several processes and started one.*torchrun --nproc-per-node 2",
        ),
    ],
)
def test_what_a_launcher_asks_for_is_done_or_refused(monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=message):
        join_processes("cpu")


@pytest.mark.slow
def test_accelerate_launch_on_a_processor_is_refused_not_run_alone(data, tmp_path):
    """As typed; it sets what the case above sets."""
    program = Path(sys.executable).with_name("accelerate")
    arguments = command("tiny:linear", data, tmp_path / "run")
    run = subprocess.run(
        [program, "launch", "--cpu", "--num_processes", "2", "-m", "fourview", *arguments],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert run.returncode != 0
    assert "started one, as it does on processors" in run.stderr
    assert not (tmp_path / "run").exists()


def test_a_batch_that_cannot_be_shared_is_refused():
    require_even_shares(linear(), 2, compares=False)
    with pytest.raises(TrainingError, match=r"4 cannot be shared evenly by 3.*batch=3"):
        require_even_shares(linear(), 3, compares=False)
    require_even_shares(linear(), 3, compares=True)
    with pytest.raises(TrainingError, match="batch=5"):
        require_even_shares(linear(), 5, compares=True)


def test_the_page_on_gpus_prints_the_command_that_is_tested():
    page = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text()
    assert "torchrun --standalone --nproc-per-node 2 -m fourview train" in page
    assert set(TORCHRUN[3:6]) == {"--nproc-per-node", "2", "--standalone"}
    assert TORCHRUN[-2:] == ("-m", "fourview")


def test_gradients_travel_in_buckets_of_one_type_and_bounded_size():
    tensors = [torch.zeros(n) for n in (3, 5, 9, 1)]
    tensors.insert(1, torch.zeros(2, dtype=torch.float64))
    all_buckets = list(buckets(tensors, limit=32))
    flat = [t for group in all_buckets for t in group]
    assert sorted(map(id, flat)) == sorted(map(id, tensors))
    assert all(len({t.dtype for t in group}) == 1 for group in all_buckets)
    assert all(len(group) == 1 or sum(t.nbytes for t in group) <= 32 for group in all_buckets)


@pytest.mark.parametrize("text", ["[Gloo] connection closed by peer", "NCCL error", "Peer reset"])
def test_a_lost_process_is_told_with_what_to_do(text):
    several, alone = (Processes(torch.device("cpu"), 0, count) for count in (2, 1))
    with (
        pytest.raises(TrainingError, match="start them all again, with --resume"),
        told_if_lost(several),
    ):
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match=text[1:5]), told_if_lost(alone):
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="shape"), told_if_lost(several):
        raise RuntimeError("a shape is wrong")
