"""The guide's code runs as it is printed, and is as short as it says."""

import re
from pathlib import Path

import pytest

from fourview.entities import BREASTS_SCHEMA, EXAMS_SCHEMA, FINDINGS_SCHEMA, IMAGES_SCHEMA
from fourview.errors import ManifestError
from fourview.manifest.check import check_manifest

GUIDE = Path(__file__).parents[2] / "docs" / "adding_a_data_set.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_guides_source_reads_the_guides_table(tmp_path):
    table = blocks("text")[0]
    source, its_test, splits = blocks("python")
    names = {}
    exec(compile(source, "riverbend.py", "exec"), names)

    (tmp_path / "riverbend.csv").write_text(table)
    manifest = names["read_riverbend"](tmp_path)

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

    exec(compile(its_test, "test_riverbend.py", "exec"), names)
    (tmp_path / "other").mkdir()
    names["test_a_breast_without_a_biopsy_is_unknown"](tmp_path / "other")

    exec(compile(splits, "splits.py", "exec"), names | {"manifest": manifest})


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
