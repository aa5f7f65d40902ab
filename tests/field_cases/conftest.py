"""Inputs from the field: each script of this folder writes one kind of them."""

import functools
import importlib.util
import runpy
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@functools.cache
def load_mg():
    """The module ``mg`` that the scripts import: pictures and plain headers."""
    spec = importlib.util.spec_from_file_location("mg", HERE / "mg.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mg"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def mg():
    return load_mg()


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """``case(name)`` runs the script of that name once and gives the folder it wrote."""
    load_mg()

    @functools.cache
    def write(name):
        folder = tmp_path_factory.mktemp(name)
        before = sys.argv
        sys.argv = [name, str(folder)]
        try:
            runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
        finally:
            sys.argv = before
        return folder

    return write
