"""The guide's code runs as it is printed, and is as short as it says."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from fourview import outside
from fourview.cli.main import main
from fourview.entities import BREASTS_SCHEMA, EXAMS_SCHEMA, FINDINGS_SCHEMA, IMAGES_SCHEMA
from fourview.errors import ManifestError
from fourview.manifest.check import check_manifest
from fourview.manifest.manifest import read_manifest
from fourview.sources.find import find_source, source_names

GUIDE = Path(__file__).parents[2] / "docs" / "adding_a_data_set.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Somebody's own folder with riverbend.py and the data, as the current one."""
    (tmp_path / "riverbend.py").write_text(blocks("python")[0])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "riverbend.csv").write_text(blocks("text")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outside, "_used", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("riverbend", None)


def test_the_guides_commands_read_the_guides_table(folder, capsys):
    for command in blocks("sh")[0].splitlines():
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        told = capsys.readouterr()
        assert stop.value.code == 0, told.err
        if "list sources" in command:
            assert "Turn ROOT/riverbend.csv into a manifest. [from riverbend]" in told.out

    manifest = read_manifest(folder / "manifest")
    assert len(manifest.images) == 4
    assert manifest.breasts.select("patient_id", "side", "cancer", "density").rows() == [
        ("W1", "L", None, "C"),
        ("W1", "R", 1, "C"),
        ("W2", "L", 0, None),
    ]
    assert manifest.findings.select("image_id", "x0", "y0", "x1", "y1").rows() == [
        ("r1.dcm", 12, 30, 80, 95)
    ]
    assert [p.level for p in check_manifest(manifest, files=False)] == []

    _, its_test, splits = blocks("python")
    names = {}
    exec(compile(its_test, "test_riverbend.py", "exec"), names)
    (folder / "other").mkdir()
    names["test_a_breast_without_a_biopsy_is_unknown"](folder / "other")
    exec(compile(splits, "splits.py", "exec"), {"manifest": manifest})


def test_an_installed_package_needs_no_module_option(folder, monkeypatch):
    about = folder / "riverbend-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: riverbend\nVersion: 1.0\n")
    listed = re.sub(r'project\.entry-points\."(.*)"', r"\1", blocks("toml")[0]).replace('"', "")
    (about / "entry_points.txt").write_text(listed)
    monkeypatch.syspath_prepend(str(folder))
    outside._points.cache_clear()
    try:
        assert len(find_source("riverbend")(folder / "data").images) == 4
        assert "riverbend" in source_names()
    finally:
        outside._points.cache_clear()


def test_the_guides_source_is_under_sixty_lines():
    source = blocks("python")[0]
    assert len([line for line in source.splitlines() if line.strip()]) < 60


def test_the_guides_messages_are_those_that_come(tmp_path):
    first, second = blocks("text")[1].splitlines()
    table, names = blocks("text")[0], {}
    exec(compile(blocks("python")[0], "riverbend.py", "exec"), names)
    for wrong, message in (
        (("r2.dcm,right", "r2.dcm,lfet"), first),
        (("12 30 80", "12 30 12"), second),
    ):
        (tmp_path / "riverbend.csv").write_text(table.replace(*wrong))
        with pytest.raises(ManifestError) as caught:
            names["read_riverbend"](tmp_path)
        assert str(caught.value).removeprefix(f"{tmp_path}/") == message


def test_the_table_of_columns_names_every_column():
    text = GUIDE.read_text(encoding="utf-8")
    for table, schema in (
        ("images", IMAGES_SCHEMA),
        ("breasts", BREASTS_SCHEMA),
        ("exams", EXAMS_SCHEMA),
        ("findings", FINDINGS_SCHEMA),
    ):
        row = re.search(rf"^\| {table} \| (.*) \|$", text, re.MULTILINE).group(1)
        words = set(re.findall(r"\w+", row))
        assert set(schema) <= words
