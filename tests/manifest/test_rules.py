"""Each rule of a manifest, broken once: the fault names the row, what it has and what is needed."""

from dataclasses import replace

import polars as pl
import pytest

from factory import drawn_manifest
from fourview.manifest.rules import faults


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return drawn_manifest(tmp_path_factory.mktemp("drawn"), num_patients=2)


def broken(manifest, table, column, value, *, row=0):
    """The faults of a manifest with one value changed."""
    frame = getattr(manifest, table)
    values = frame[column].to_list()
    values[row] = value
    frame = frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))
    return list(faults(replace(manifest, **{table: frame})))


def test_a_good_manifest_has_none(manifest):
    assert list(faults(manifest)) == []


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("images", "side", "X", "side 'X', need one of R, L, or null"),
        ("images", "path", None, "no path, need one, or a reason in left_out"),
        ("images", "view", None, "no view"),
        ("images", "spacing_mm", 0.0, "spacing_mm 0.0, need above 0"),
        ("images", "rows", 0, "size 0 x"),
        ("images", "left_out", "broken", "left_out 'broken'"),
        ("images", "image_id", "", "no image_id"),
        ("images", "exam_id", "none", "an exam without a row"),
        ("breasts", "cancer", 2, "cancer 2, need 0 to 1"),
        ("breasts", "birads", 7, "birads 7, need 0 to 6"),
        ("breasts", "density", "E", "density 'E', need one of A, B, C, D"),
        ("exams", "age", 121.0, "age 121.0, need 0 to 120"),
        ("exams", "split", "tset", "split 'tset', need one of train, validation, test"),
        ("exams", "patient_id", "other", "an exam of patient 'other'"),
    ],
)
def test_a_broken_rule_is_named(manifest, table, column, value, words):
    if column not in getattr(manifest, table).columns:
        pytest.fail(f"{table} has no {column}")
    faults = broken(manifest, table, column, value)
    assert faults and any(words in fault.text for fault in faults), faults


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("breasts", "cancer", 0),
        ("breasts", "birads", 6),
        ("breasts", "cancer", None),
        ("exams", "age", 120.0),
        ("exams", "split", "validation"),
    ],
)
def test_values_at_a_limit_and_unknown_ones_are_none(manifest, table, column, value):
    assert broken(manifest, table, column, value) == []


def test_a_row_that_is_there_twice_is_named_and_the_rest_counted(manifest):
    twice = pl.concat([manifest.breasts, manifest.breasts])
    (fault,) = faults(replace(manifest, breasts=twice))
    assert fault.rows == len(manifest.breasts) and fault.table == "breasts"
    assert "the breast a second time" in fault.text
    assert f"(and {fault.rows - 1} more)" in fault.text
