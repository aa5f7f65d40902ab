"""pynetdicom leaves sockets of associations that were refused to the garbage collector."""

import gc
import warnings

import pytest


@pytest.fixture(scope="package", autouse=True)
def _sockets():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def pytest_collection_modifyitems(items):
    for item in items:
        if "/node/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
