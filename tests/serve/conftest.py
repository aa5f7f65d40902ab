"""Rooms that several tests ask."""

import pytest

from fourview.phantom.write import write_phantom


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """Three exams of the three vendors, 1,200 rows, with their truth tables."""
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, num_exams=3, seed=7, preset="enriched", rows=1200, workers=1)
    return out
