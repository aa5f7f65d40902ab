"""Modules outside of the package: what is listed is found, and errors name the module."""

import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fourview import outside
from fourview.cli.main import COMMANDS, app, main
from fourview.errors import ManifestError, ModuleError, PixelError, RecipeError
from fourview.evaluate.protocols import PROTOCOLS, find_protocol, known_protocol
from fourview.feeds.feed import find_feed
from fourview.jobs.workers import run_jobs
from fourview.models.find import find_family
from fourview.outside import use_module
from fourview.preprocess.spec import pixel_spec
from fourview.sources.find import find_source, find_writer
from fourview.study.find_recipe import find_recipe, recipe_names

# of what a module may have
NAMES_NOTHING = {
    *("demo", "phantom", "check", "export", "doctor", "dicom", "study-export"),
    *("node", "node-status", "node-retry", "node-drop", "send"),  # in the node's settings
}

WHOLE = '''
from dataclasses import replace
from fourview.evaluate.protocols import find_protocol
from fourview.feeds.feed import find_feed
from fourview.models.find import find_family
from fourview.preprocess.spec import PixelSpec
from fourview.recipes import mvccl

def thin():
    """One step."""
    return replace(mvccl.mini(), name="mvccl:thin", pixel_spec="hill-64x32")

def read_hill(root):
    """Nothing."""

def write_hill(root, out):
    return "hash"

FAMILIES = (replace(find_family("single_view"), name="hill"),)
RECIPES = {"mvccl:thin": thin}
SOURCES = {"hill": read_hill}
SPECS = [PixelSpec(name="hill-64x32", rows=64, cols=32)]
PROTOCOLS = [replace(find_protocol("screening-breast-v1"), name="hill-v1")]
FEEDS = {"hill": find_feed("exams")}
'''


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Writes modules into a folder that is imported from; their names are forgotten after."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(outside, "_used", [])
    before = set(sys.modules)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]  # others were only needed for the first time


def test_everything_that_a_module_lists_is_found(make):
    use_module(make("hill", WHOLE))
    assert find_family("hill").name == "hill"
    assert find_recipe("mvccl:thin").pixel_spec == "hill-64x32"
    assert "mvccl:thin" in recipe_names()
    assert find_source("hill").__module__ == "hill"
    assert find_writer("hill").__name__ == "write_hill"
    assert pixel_spec("hill-64x32").rows == 64
    assert find_protocol("hill-v1").unit == "breast"
    assert known_protocol("hill-v1") is find_protocol("hill-v1")
    assert find_feed("hill") is find_feed("exams")


def spec_rows(name):
    return pixel_spec(name).rows


def test_worker_processes_know_the_same_modules(make):
    use_module(make("hill", WHOLE))
    assert list(run_jobs(spec_rows, ["hill-64x32"], workers=1, timeout_s=100)) == [
        ("hill-64x32", 64)
    ]


def test_without_the_module_nothing_of_it_is_found():
    with pytest.raises(PixelError, match=r"no pixel spec 'hill-64x32'.*; of your own: --module"):
        pixel_spec("hill-64x32")
    with pytest.raises(ManifestError, match="no source 'hill'"):
        find_source("hill")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_thing", r"'bad': cannot be imported: ModuleNotFound.*no_such_thing.*py:1"),
        ("\nx = 1 / 0", r"'bad': cannot be imported: ZeroDivisionError.*bad.py:2\)"),
        ("def f(:", r"'bad': cannot be imported: SyntaxError.*bad.py:1\)"),
        ("x = 1", r"'bad' \(.*bad.py\): has none of FAMILIES, RECIPES, SOURCES"),
        ("SPECS = {'a': 1}", r"'bad': SPECS is a dict, need a list"),
        ("SPECS = [3]", r"'bad': SPECS holds a int, which has no name"),
        ("SOURCES = [3]", r"'bad': SOURCES is a list, need a dict by name"),
    ],
)
def test_a_module_that_cannot_be_used_is_named_with_the_place(make, text, message):
    with pytest.raises(ModuleError, match=message):
        use_module(make("bad", text))
    assert outside.used_modules() == ()


def test_a_module_that_is_not_there():
    with pytest.raises(ModuleError, match="module 'nowhere_to_be': not found; go to the folder"):
        use_module("nowhere_to_be")
    with pytest.raises(ModuleError, match=r"need the name of a module .* such as 'hill'"):
        use_module("my/hill.py")


@pytest.mark.parametrize(
    ("text", "find", "name", "message"),
    [
        ("SOURCES = {'h': 3}", find_source, "h", "module 'm': 'h' in SOURCES is a int, need a fun"),
        (
            "from types import SimpleNamespace\nSPECS = [SimpleNamespace(name='h')]",
            pixel_spec,
            "h",
            "module 'm': 'h' in SPECS is a SimpleNamespace, need a PixelSpec",
        ),
        ("RECIPES = {'a:b': lambda: 3}", find_recipe, "a:b", "module 'm': 'a:b' in RECIPES gives"),
        ("SOURCES = {'rsna': print}", find_source, "rsna", "module 'm': source 'rsna' is one of F"),
    ],
)
def test_a_thing_that_cannot_be_used_is_refused_when_asked_for(make, text, find, name, message):
    use_module(make("m", text))
    with pytest.raises(ModuleError, match=message):
        find(name)


def test_two_modules_with_one_name_are_both_named(make):
    use_module(make("first", "SOURCES = {'h': print}"))
    use_module(make("second", "SOURCES = {'h': len}"))
    with pytest.raises(ModuleError, match="modules 'first' and 'second' both have 'h' in SOURCES"):
        find_source("h")


def test_an_installed_package_that_is_broken_stops_only_who_asks_for_it(make, monkeypatch):
    make("broken", "import no_such_thing")
    point = outside.EntryPoint(name="broken", value="broken", group="fourview.sources")
    monkeypatch.setattr(outside, "_points", lambda kind: (point,) if kind == "sources" else ())
    assert find_source("rsna").__name__ == "read_rsna"
    use_module(make("fine", "SOURCES = {'h': print}"))
    assert find_source("h") is print
    with pytest.raises(ModuleError, match=r"module 'broken': cannot be imported.*; mend it"):
        find_source("other")


def test_every_command_that_names_such_a_thing_has_the_option():
    for name in COMMANDS:
        options = {o for a in app[name].assemble_argument_collection() for o in a.names}
        assert ("--module" in options) == (name not in NAMES_NOTHING), name


def test_a_command_measures_by_a_protocol_of_a_module(make, tmp_path, capsys):
    from factory import drawn_manifest  # noqa: PLC0415 - only here
    from fourview.manifest.manifest import write_manifest  # noqa: PLC0415

    make("hill", WHOLE)
    manifest = drawn_manifest(tmp_path)
    write_manifest(manifest, tmp_path / "manifest")
    keys = ["patient_id", "exam_id", "side"]
    rows = manifest.breasts.select(
        *keys, unit=pl.lit("breast"), score=pl.lit(0.5), **{"class": pl.lit("cancer")}
    )
    rows.write_csv(tmp_path / "scores.csv")
    command = ["evaluate", str(tmp_path / "scores.csv"), "--manifest", str(tmp_path / "manifest")]
    command += ["--protocol", "hill-v1", "--replicates", "0", "--split", "all"]
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 3
    assert "no protocol 'hill-v1'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([*command, "--module", "hill", "-o", str(tmp_path / "out")])
    told = capsys.readouterr()
    assert stop.value.code == 0, told.err
    assert "hill-v1: 16 breasts" in told.out
    assert PROTOCOLS["screening-breast-v1"].title in (tmp_path / "out" / "report.html").read_text()


def test_a_recipe_of_a_module_must_have_its_own_name(make):
    use_module(make("m", "from fourview.recipes.mvccl import mini\nRECIPES = {'a:b': mini}"))
    with pytest.raises(
        ModuleError, match="gives one named 'mvccl:mini', need a Recipe named 'a:b'"
    ):
        find_recipe("a:b")
    with pytest.raises(RecipeError, match="no recipe 'a:c'; did you mean 'a:b'"):
        find_recipe("a:c")


def test_a_protocol_that_is_nowhere_is_unknown_to_a_result():
    assert known_protocol("gone-v1") is None
    assert replace(PROTOCOLS["screening-breast-v1"], name="x").fingerprint
