"""The examples in docstrings are true, and every loss, metric and step of geometry has one.

The functions are looked up here and not by ``--doctest-modules``: under the check of shapes each is
wrapped, and doctest leaves out what seems to be from another module.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import fourview

SOURCE = Path(fourview.__file__).parent
LOSSES = [f"losses.{path.stem}" for path in sorted((SOURCE / "losses").glob("[a-z]*.py"))]
METRICS = [f"evaluate.{name}" for name in ("auc", "calibration", "decision", "delong", "interval",
                                           "pr", "wilson")]  # fmt: skip
EACH_HAS_ONE = [*LOSSES, *METRICS, "geometry"]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


def things(module):
    """Functions, classes and methods that are defined there, by name, private ones too."""
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(thing):
            yield name, thing
            for inner, value in vars(thing).items():
                method = getattr(value, "__func__", value)
                if inspect.isfunction(method):
                    yield f"{name}.{inner}", method
        elif callable(thing):
            yield name, thing


def test_examples_are_looked_for_in_the_right_files():
    assert set(EACH_HAS_ONE) <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    module = importlib.import_module(f"fourview.{name}")
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    said = []
    for thing, value in [("", module), *things(module)]:
        text = value.__doc__ or ""
        names = dict(vars(module))
        runner.run(parser.get_doctest(text, names, f"{name}.{thing}", None, 0), out=said.append)
    assert runner.summarize(verbose=False).attempted > 0
    assert not said, "".join(said)


@pytest.mark.parametrize("name", EACH_HAS_ONE)
def test_each_function_has_an_example(name):
    module = importlib.import_module(f"fourview.{name}")
    functions = {
        n: v
        for n, v in things(module)
        if inspect.isfunction(v) and "_" not in (n[0], n.partition(".")[2][:1])
    }
    without = [n for n, v in functions.items() if ">>>" not in v.__doc__]
    assert not without
