"""Which image stands for a view, and what is said of an exam."""

from dataclasses import replace

import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.manifest.select import (
    exam_table,
    screening_exams,
    with_slots,
    with_views,
)

SCHEMA = {
    "image_id": pl.String,
    "exam_id": pl.String,
    "side": pl.String,
    "view": pl.String,
    "kind": pl.String,
    "modifiers": pl.List(pl.String),
    "rows": pl.Int32,
    "cols": pl.Int32,
    "left_out": pl.String,
}


def make(*rows, **extra):
    """Rows: (image, exam, view, changes)."""
    filled = []
    for image, exam, name, *changes in rows:
        side, view = name.split("-")
        base = {"image_id": image, "exam_id": exam, "side": side, "view": view, "kind": "ffdm"}
        filled.append(base | {"rows": 100, "cols": 80} | (changes[0] if changes else {}))
    images = pl.DataFrame(filled, SCHEMA).with_columns(
        patient_id=pl.format("p{}", "exam_id"), path="image_id", **extra
    )
    return make_manifest(source="test", root="", terms="", images=images)


FULL = [(f"{n}", "1", slot) for n, slot in enumerate(("R-CC", "L-CC", "R-MLO", "L-MLO"))]


def line(*rows, **extra):
    return exam_table(make(*rows, **extra))["line"].to_list()


def test_a_full_exam_fills_its_four_views():
    row = exam_table(make(*FULL)).row(0, named=True)
    assert [row[s] for s in ("R-CC", "L-CC", "R-MLO", "L-MLO")] == ["0", "1", "2", "3"]
    assert (row["num_views"], row["num_breasts"], row["num_duplicates"]) == (4, 2, 0)
    assert row["line"] == "4 of 4 views"


def test_the_preferred_image_is_plain_then_real_then_large_then_first_by_name():
    manifest = make(
        ("a", "1", "R-CC", {"modifiers": ["rolled"], "rows": 999}),
        ("b", "1", "R-CC", {"kind": "synthetic", "rows": 999}),
        ("c", "1", "R-CC"),
        ("d", "1", "R-CC", {"rows": 120}),
        ("e", "1", "R-CC", {"rows": 120}),
        ("f", "1", "R-CC", {"rows": None}),
    )
    ordered = with_slots(manifest.images).sort("place")["image_id"].to_list()
    assert ordered == ["d", "e", "c", "f", "b", "a"]


def test_the_later_acquisition_wins_over_the_larger_and_the_lists_order_over_both():
    rows = [("a", "1", "R-CC", {"rows": 200}), ("b", "1", "R-CC")]
    times = pl.Series(["20200101100000", "20200101100500"])
    assert exam_table(make(*rows, acquired=times))["R-CC"].to_list() == ["b"]
    ranked = make(*rows, acquired=times, rank=pl.Series([0, 1]))
    assert exam_table(ranked)["R-CC"].to_list() == ["a"]


def test_what_is_odd_is_in_the_line():
    assert line(*FULL, ("x", "1", "L-CC"), ("y", "1", "L-ML"), ("z", "1", "R-XCCL")) == [
        "4 of 4 views; 1 duplicate; also L-ML R-XCCL"
    ]
    assert line(*FULL[:3]) == ["3 of 4 views, lacks L-MLO"]
    assert line(FULL[0], FULL[3]) == [
        "2 of 4 views, lacks L-CC R-MLO; mixed sides: no breast has both views"
    ]
    assert line(*FULL, ("s", "1", "L-CC", {"left_out": "spot"})) == [
        "4 of 4 views; left out: 1 (spot)"
    ]
    assert line(("s", "1", "L-CC", {"left_out": "damaged"})) == [
        "0 of 4 views; left out: 1 (damaged)"
    ]


def test_implants_are_told_from_modifiers_or_from_the_sources_column():
    displaced = {"modifiers": ["implant_displaced"]}
    assert line(*FULL[:3], ("9", "1", "L-MLO", displaced)) == ["4 of 4 views; implant"]
    assert line(*FULL, implant=pl.Series([False, None, False, True])) == ["4 of 4 views; implant"]


def test_every_exam_has_a_row_and_its_views_and_breasts_are_counted():
    manifest = make(
        *FULL,
        ("a", "2", "R-CC"),
        ("b", "2", "R-MLO"),
        ("c", "3", "R-CC"),
        ("d", "4", "L-ML"),
        ("e", "5", "L-CC", {"left_out": "spot"}),
    )
    table = exam_table(manifest)
    assert table["exam_id"].to_list() == ["1", "2", "3", "4", "5"]
    assert table["num_views"].to_list() == [4, 2, 1, 0, 0]
    assert table["num_breasts"].to_list() == [2, 1, 0, 0, 0]  # with both views


def test_an_exam_can_be_read_as_if_one_view_had_been_taken():
    manifest = make(*FULL)
    kept = with_views(manifest, ["CC"])
    assert sorted(kept.images["image_id"]) == ["0", "1"]
    assert kept.exams.equals(manifest.exams)
    with pytest.raises(ManifestError, match="view 'LM': need CC or MLO"):
        with_views(manifest, ["LM"])


def test_screening_exams_are_those_that_their_source_calls_so():
    keys = [{"patient_id": f"p{n}", "exam_id": f"e{n}"} for n in range(3)]
    manifest = make_manifest(
        source="made up",
        root=".",
        terms="made up",
        images=pl.DataFrame(
            [k | {"image_id": f"i{n}", "side": "R", "view": "CC", "path": f"{n}.dcm"}
             for n, k in enumerate(keys)]
        ),
        breasts=pl.DataFrame([k | {"side": "R"} for k in keys]),
        exams=pl.DataFrame(
            [k | {"screening": s} for k, s in zip(keys, (True, False, None), strict=True)]
        ),
    )  # fmt: skip
    chosen = screening_exams(manifest)
    assert chosen.exams["exam_id"].to_list() == ["e0"]
    assert chosen.images["image_id"].to_list() == ["i0"] and len(chosen.breasts) == 1
    unknown = replace(manifest, exams=manifest.exams.drop("screening"))
    with pytest.raises(ManifestError, match="does not say which exams are screening"):
        screening_exams(unknown)
    diagnostic = replace(manifest, exams=manifest.exams.with_columns(screening=pl.lit(False)))
    with pytest.raises(ManifestError, match="none of 3 exams is a screening exam"):
        screening_exams(diagnostic)
