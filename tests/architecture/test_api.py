"""The names of the package: what they are, that they stay, and the page that describes them."""

import ast
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fourview

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "api.md"
FOLDERS = [module.name for module in pkgutil.iter_modules(fourview.__path__)]
PUBLIC = [name for name in fourview.__all__ if name != "__version__"]
needs_checkout = pytest.mark.skipif(not PAGE.exists(), reason="needs a checkout, not a wheel")


def blocks():
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_name_is_that_of_a_room():
    assert not set(PUBLIC) & set(FOLDERS)


@pytest.mark.parametrize("folders_first", [True, False])
def test_names_mean_the_same_whatever_was_imported_before(folders_first):
    folders = "\n".join(f"import fourview.{folder}" for folder in FOLDERS)
    names = (
        "for n in [n for n in fourview.__all__ if n != '__version__']:\n"
        "    thing = getattr(fourview, n)\n"
        "    assert not isinstance(thing, types.ModuleType), n\n"
        "    assert thing.__name__ == n, n\n"
    )
    first, second = (folders, names) if folders_first else (names, folders)
    run(f"import types, fourview\n{first}\n{second}\n{names}")


def test_importing_the_package_loads_nothing_heavy():
    loaded = run("import fourview, sys; dir(fourview); print(*sys.modules)").split()
    assert not {"torch", "polars", "numpy", "pydicom", "fourview.api"} & set(loaded)


def test_type_checkers_see_what_programs_get():
    tree = ast.parse(Path(fourview.__file__).read_text(encoding="utf-8"))
    typed = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name: n.module for n in typed.body for alias in n.names}
    assert seen == fourview._HOME
    assert sorted(fourview.__all__) == sorted([*seen, "__version__"])
    assert set(fourview.__all__) <= set(dir(fourview))
    assert (Path(fourview.__file__).parent / "py.typed").exists()


def test_a_name_that_is_none_is_said_so():
    with pytest.raises(AttributeError, match=r"no attribute 'evaluat'; see docs/api\.md"):
        fourview.evaluat  # noqa: B018


@pytest.mark.parametrize("name", PUBLIC)
def test_a_name_says_what_it_is_and_all_its_types(name):
    thing = getattr(fourview, name)
    assert inspect.getdoc(thing)
    function = thing.__init__ if inspect.isclass(thing) else thing
    if inspect.isfunction(function):
        first = int(inspect.isclass(thing))  # after self
        parameters = list(inspect.signature(function).parameters.values())[first:]
        assert all(p.annotation is not p.empty for p in parameters)


@needs_checkout
def test_the_page_is_what_the_script_writes():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    make_api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_api)
    text = PAGE.read_text(encoding="utf-8")
    assert make_api.page(text) == text, "run: python docs/make_api.py"


@needs_checkout
def test_every_name_is_on_the_page_once_and_in_an_example():
    text = PAGE.read_text(encoding="utf-8")
    listed = " ".join(re.findall(r"<!-- reference: (.*?) -->", text)).split()
    assert sorted(listed) == sorted(PUBLIC)
    examples = "\n".join(blocks())
    assert not [name for name in PUBLIC if not re.search(rf"fourview\.{name}\b", examples)]


@needs_checkout
def test_the_pages_program_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "api_page"}
    for number, block in enumerate(blocks()):
        exec(compile(block, f"api.md, block {number + 1}", "exec"), names)
    assert "report/report.html" in capsys.readouterr().out
    assert (tmp_path / "result" / "report.html").exists()


def test_wherever_a_path_goes_a_text_goes_too():
    """Every parameter that takes a Path takes a str; a callback's own parameters do not count."""
    for name in PUBLIC:
        thing = getattr(fourview, name)
        if not inspect.isfunction(thing):
            continue
        for parameter in inspect.signature(thing).parameters.values():
            hint = str(parameter.annotation)
            if "Path" in hint and "Callable" not in hint:
                assert "str" in hint, f"{name}({parameter.name}: {hint})"
