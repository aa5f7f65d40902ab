"""Executors give the same results, whatever dies under them; Ray is a real cluster started here."""

import os
import signal
import time
from functools import partial

import polars as pl
import pytest

from dicom_examples import mammogram, write_mammogram
from fourview.errors import FourviewError
from fourview.jobs.executor import LocalExecutor, RayExecutor, find_executor
from fourview.manifest.manifest import manifest_hash
from fourview.preprocess.spec import pixel_spec
from fourview.sources.dicom import read_dicom
from fourview.store.prepare import prepare
from fourview.store.store import FAILED, IMAGES
from job_examples import square_in, troubled
from mammogram_examples import breast_pixels

PATIENCE_S = 3600.0  # only so that a deadlock ends
HANGS_S = 10.0  # after which the job that never ends is given up; the others take no time at all
RAY = pytest.mark.xdist_group("ray")  # in one process, so that one cluster is started
QUIET = pytest.mark.filterwarnings("ignore")  # Ray's own, of its dependencies and its sockets


def outcomes(executor, function, jobs, timeout_s=PATIENCE_S):
    """What came of each job: its result, or why there is none; each job once."""
    told = [
        (job, getattr(outcome, "reason", outcome))
        for job, outcome in executor.run(function, jobs, timeout_s=timeout_s)
    ]
    assert len(dict(told)) == len(told)
    return dict(told)


def kill_one(folder, job):
    """SIGKILL the process that is at or was at ``job``."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        seen = [path for path in folder.iterdir() if path.name.startswith(f"{job}.")]
        if seen:
            os.kill(int(seen[0].suffix[1:]), signal.SIGKILL)
            return int(seen[0].suffix[1:])
        time.sleep(0.01)
    raise AssertionError(f"job {job} never began")


TROUBLE = ("a", "hang", "die", "once", "raise", "b")
EXPECTED = {"a": "A", "hang": "timeout", "die": "killed", "once": "ONCE", "raise": "defect"}


def test_local_jobs_that_hang_die_or_raise_are_told_and_the_others_done(tmp_path):
    function = partial(troubled, tmp_path)
    assert outcomes(LocalExecutor(2), function, TROUBLE, HANGS_S) == EXPECTED | {"b": "B"}


@QUIET
def test_a_cluster_that_is_not_there_is_told_by_its_address(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra cluster)")
    if ray.is_initialized():
        pytest.skip("this process is on a cluster already")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(FourviewError, match=r"RAY_ADDRESS '127.0.0.1:1': no Ray cluster there"):
        next(RayExecutor(1).run(abs, [1], timeout_s=1.0))


@QUIET
@RAY
@pytest.mark.usefixtures("cluster")
def test_jobs_on_ray_that_hang_die_or_raise_are_told_and_the_others_done(tmp_path):
    function = partial(troubled, tmp_path)
    assert outcomes(RayExecutor(2), function, TROUBLE, HANGS_S) == EXPECTED | {"b": "B"}
    assert outcomes(RayExecutor(2), function, []) == {}


@QUIET
@RAY
@pytest.mark.usefixtures("cluster")
def test_a_ray_worker_that_is_killed_changes_no_result(tmp_path):
    jobs = range(40)
    run = RayExecutor(2).run(partial(square_in, tmp_path), jobs, timeout_s=PATIENCE_S)
    results, killed = {}, set()
    for job, result in run:
        results[job] = result
        if len(results) in (5, 20):  # the process that did this job is at another one by now
            killed.add(kill_one(tmp_path, job))
    assert results == {job: job * job for job in jobs}
    pids = {int(path.suffix[1:]) for path in tmp_path.iterdir()}
    assert len(killed) == 2
    assert len(pids) >= 3  # others went on in their place


@QUIET
@RAY
@pytest.mark.usefixtures("cluster")
def test_index_and_prepare_give_the_same_on_ray_as_here(tmp_path):
    root = tmp_path / "files"
    for number in range(8):
        side, view = "RL"[number % 2], ("CC", "MLO")[number // 2 % 2]
        study = {"StudyInstanceUID": f"1.2.{number // 4}", "PatientID": f"P{number // 4}"}
        pixels, _ = breast_pixels(208, 160, side=side, seed=number, noise=2)
        dataset = mammogram(number, side=side, view=view, **study)
        write_mammogram(root / f"{number}.dcm", dataset, stored=pixels.astype("uint16") >> 4)
    (root / "x.txt").write_text("no DICOM")
    manifests = [read_dicom(root, executor=e) for e in (None, LocalExecutor(2), RayExecutor(2))]
    assert len({manifest_hash(manifest) for manifest in manifests}) == 1
    stores = []
    for name, executor in (("here", LocalExecutor(1)), ("ray", RayExecutor(2))):
        out = tmp_path / name
        summary = prepare(manifests[0], pixel_spec("mvccl-192x96"), out, executor=executor)
        assert summary.num_stored == 8
        files = (path for path in sorted(out.rglob("*")) if path.is_file())
        stores.append({path.relative_to(out): path.read_bytes() for path in files})
    assert stores[0] == stores[1]
    assert {IMAGES, FAILED} <= {str(path) for path in stores[0]}
    assert pl.read_parquet(tmp_path / "ray" / FAILED).is_empty()


def test_an_executor_is_found_by_its_name_only():
    assert find_executor("local", 3) == LocalExecutor(3)
    assert find_executor("ray", 2) == RayExecutor(2)
    with pytest.raises(FourviewError, match="no executor 'rai'; did you mean 'ray'"):
        find_executor("rai", 1)


def test_ray_that_is_not_installed_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(FourviewError, match=r"install fourview\[cluster\]"):
        next(RayExecutor(1).run(abs, [1], timeout_s=1.0))
