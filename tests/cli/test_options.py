"""Every option of every command is read, or refused by name; none is dropped in silence."""

import ast
import inspect
import textwrap

import polars as pl
import pytest

from fourview.cli.main import BAD_DATA, COMMANDS, app, main
from fourview.cli.unused import option_of
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import write_manifest
from scored_sets import scored_set


def function_of(command):
    return inspect.unwrap(app[command].default_command)


def names_read(function):
    """Names that a function's body reads, its docstring and its parameters' own lines aside."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    nodes = (node for statement in tree.body for node in ast.walk(statement))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_read_by_its_command(command):
    function = function_of(command)
    unread = set(inspect.signature(function).parameters) - names_read(function)
    assert not unread


def test_an_option_that_is_not_read_would_be_seen():
    def command(*, used: int, forgotten: int = 1) -> int:  # noqa: ARG001
        """Says forgotten in its docstring."""
        return used

    assert names_read(command) == {"used"}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_has_the_name_that_the_command_line_has(command):
    for parameter in inspect.signature(function_of(command)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            names = app[command].assemble_argument_collection().get(option_of(parameter))
            assert names is not None, option_of(parameter)


@pytest.fixture
def place(tmp_path):
    manifest, table = scored_set(6)
    write_manifest(manifest, tmp_path / "manifest")
    write_predictions(table, tmp_path / "scores.parquet", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("not a run")
    (tmp_path / "empty").mkdir()
    pl.DataFrame({"image_id": ["a"]}).write_parquet(tmp_path / "embeddings.parquet")
    return tmp_path


MANIFEST = ("--manifest", "manifest")
PIXELS = (*MANIFEST, "--store", "store")
TRAIN = ("train", "mvccl:mini", *PIXELS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("read", "x", "-o", "out", "--say", "a mass"), "--say: is read only with --maps"),
        ((*TRAIN, "-o", "empty", "--resume"), "empty: holds no run to go on with"),
        ((*TRAIN, "-o", "new", "--resume"), "new: holds no run to go on with"),
        ((*TRAIN, "-o", "full"), "full: holds other things than a run"),
        ((*TRAIN, "-o", "full", "--resume"), "full: holds other things than a run"),
        ((*TRAIN, "-o", "new", "--context", "run"), "--context: 'mvccl:mini' reads no context"),
        (("predict", *PIXELS, "-o", "p.parquet", "--also", "run"), "--also: is read only with a"),
        (
            ("predict", "run", *PIXELS, "-o", "p.parquet", "--template", "t.json"),
            "--template: is read only with --prompts",
        ),
        (
            ("predict", "run", *PIXELS, "-o", "p", "--prompts", "x", "--executor", "local"),
            "--executor: is read only with a run that was trained to score",
        ),
        (("embed", "run", *PIXELS, "-o", "e", "--style", "natural"), "--style: is read only with"),
        (
            ("search", "run", "a mass", "--embeddings", "embeddings.parquet", *MANIFEST),
            "--manifest: is read only with images that are read",
        ),
        (
            ("search", "run", "a mass", "--embeddings", "embeddings.parquet", "--split", "test"),
            "--split: is read only with images that are read",
        ),
        (("check", "manifest", "--sheet-images", "7"), "--sheet-images: is read only with"),
        (("check", "manifest", "--spec", "vlp-518"), "--spec: is read only with --contact-sheet"),
        (("convert", "--as", "gmic-1"), "--as: is read only with a FILE"),
        (
            ("index", "x", "--source", "csv", "-o", "m", "--seed", "4"),
            "--seed: is read only with --split",
        ),
        (
            ("index", "x", "--source", "csv", "-o", "m", "--executor", "ray"),
            "--executor: is read only with a source that reads headers",
        ),
        (
            ("evaluate", "scores.parquet", *MANIFEST, "--protocol", "metarepo-breast-v1",
             "--thresholds", "points.json"),
            "--thresholds: metarepo-breast-v1 applies none",
        ),
        (
            ("reproduce", "mvccl-table3", *MANIFEST, "-o", "t", "--store", "store",
             "--row", "mine=scores.parquet"),
            "--store: no --row is a run",
        ),
        (("serve", "x", "--anyway"), "--anyway: is read only with --predictions"),
        (
            ("serve", "--study", "s.toml", "-o", "o", "--annotations", "a.sqlite"),
            "--annotations: is read only with exams to look at",
        ),
    ],
)  # fmt: skip
def test_what_would_not_be_read_is_refused_by_name(words, says, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as end:
        main(list(words))
    said = capsys.readouterr().err
    assert end.value.code == BAD_DATA, said
    assert says in said
    assert said.count("\n") == 1
