"""The tables of a data set: typed, completed, checked, hashed, written and read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.entities import BREASTS_SCHEMA, EXAMS_SCHEMA, FINDINGS_SCHEMA, IMAGES_SCHEMA
from fourview.errors import ManifestError
from fourview.manifest.manifest import (
    images_to_read,
    images_with_labels,
    make_manifest,
    manifest_hash,
    read_manifest,
    stored_hash,
    write_manifest,
)

IMAGES = pl.DataFrame(
    {
        "patient_id": [1, 1, 1, 2],
        "exam_id": [10, 10, 10, 20],
        "image_id": ["a", "b", "c", "d"],
        "side": ["L", "L", "R", "L"],
        "view": ["CC", "MLO", "CC", "CC"],
        "path": ["a.dcm", "b.dcm", "c.dcm", "d.dcm"],
        "rows": [100, 100, 100, 100],
        "cols": [80, 80, 80, 80],
        "left_out": [None, None, None, "spot"],
        "site": ["x", "y", "x", "y"],
    }
)
BREASTS = pl.DataFrame(
    {"patient_id": [1], "exam_id": [10], "side": ["L"], "cancer": [1.0], "density": ["B"]}
)
FINDINGS = pl.DataFrame(
    {
        "patient_id": [1],
        "exam_id": [10],
        "finding_id": ["f"],
        "image_id": ["a"],
        "side": ["L"],
        "kind": ["mass"],
        "malignant": [1],
        "x0": [10],
        "y0": [20],
        "x1": [30.5],
        "y1": [40],
        "polygon": [[10.0, 20.0, 30.5, 20.0, 20.0, 40.0]],
        "frame": ["stored"],
    }
)


def make(images=IMAGES, breasts=BREASTS, findings=FINDINGS, **more):
    tables = {"images": images, "breasts": breasts, "findings": findings} | more
    return make_manifest(source="test", root="data", terms="Free.", **tables)


def test_tables_have_the_known_columns_and_types_and_keep_others():
    manifest = make()
    for table, schema in (
        (manifest.images, IMAGES_SCHEMA),
        (manifest.breasts, BREASTS_SCHEMA),
        (manifest.exams, EXAMS_SCHEMA),
        (manifest.findings, FINDINGS_SCHEMA),
    ):
        assert {name: table.schema[name] for name in schema} == dict(schema)
    assert manifest.images["site"].to_list() == ["x", "y", "x", "y"]
    assert manifest.images["patient_id"].to_list() == ["1", "1", "1", "2"]
    assert manifest.images["spacing_mm"].null_count() == 4


def test_breasts_and_exams_that_have_images_get_rows_with_unknown_labels():
    manifest = make()
    assert manifest.breasts.select("exam_id", "side", "cancer").rows() == [
        ("10", "L", 1),
        ("10", "R", None),
        ("20", "L", None),
    ]
    assert manifest.exams.rows() == [("1", "10", None, None, None), ("2", "20", None, None, None)]


def test_nan_is_unknown_in_known_and_in_other_columns():
    nan = float("nan")
    breasts = BREASTS.with_columns(cancer=pl.lit(nan), thickness=pl.lit(nan))
    manifest = make(breasts=breasts)
    assert manifest.breasts["cancer"].null_count() == 3
    assert manifest.breasts["thickness"].null_count() == 3


BAD_IMAGES = [
    ({"image_id": ["a", "b", "c", "a"]}, "image_id 'a': has the image_id a second time"),
    ({"image_id": ["a", "b", "c", None]}, "has no image_id"),
    ({"side": ["L", "B", "R", "L"]}, "image_id 'b': has side 'B', need one of R, L, or null"),
    ({"side": ["L", "L", None, "L"]}, "image_id 'c': has no side, need one, or a reason"),
    ({"view": [None, "MLO", "CC", "CC"]}, "image_id 'a': has no view"),
    ({"path": [None, "b", "c", "d"]}, "image_id 'a': has no path"),
    ({"patient_id": [1, 1, 2, 2]}, "image_id 'c': has an exam of patient '1'"),
    ({"rows": [100, 0, 100, 100]}, "image_id 'b': has size 0 x 80"),
    ({"rows": [100.5, 100, 100, 100]}, r"images.rows: holds 100.5, need a whole number"),
    ({"rows": ["many", "1", "1", "1"]}, "images.rows: has String values such as 'many'"),
    ({"spacing_mm": [0.1, 0.0, None, 0.1]}, "image_id 'b': has spacing_mm 0.0, need above 0"),
    ({"voi": [None, "header", "guess", None]}, "image_id 'c': has voi 'guess'"),
    ({"patient_id": [1.0, 1.0, 1.0, 2.0]}, "images.patient_id: is Float64, need text or integers"),
]


@pytest.mark.parametrize(("change", "message"), BAD_IMAGES, ids=[m for _, m in BAD_IMAGES])
def test_a_bad_image_is_refused_by_name(change, message):
    series = {name: pl.Series(values, strict=False) for name, values in change.items()}
    with pytest.raises(ManifestError, match=message):
        make(images=IMAGES.with_columns(**series), findings=None, breasts=None)


BAD_LABELS = [
    ({"cancer": [2]}, "has cancer 2, need 0 to 1"),
    ({"cancer": [-1]}, "has cancer -1, need 0 to 1"),
    ({"cancer": [0.5]}, "breasts.cancer: holds 0.5, need a whole number"),
    ({"birads": [7]}, "has birads 7, need 0 to 6"),
    ({"density": ["2"]}, "has density '2', need one of A, B, C, D"),
    ({"side": ["B"]}, "has side 'B'"),
    ({"patient_id": [3]}, "has an exam of patient '1'"),
]


@pytest.mark.parametrize(("change", "message"), BAD_LABELS, ids=[m for _, m in BAD_LABELS])
def test_a_label_outside_its_range_is_refused(change, message):
    breasts = BREASTS.with_columns(**{k: pl.Series(v) for k, v in change.items()})
    with pytest.raises(ManifestError, match=message):
        make(breasts=breasts, findings=None)


BAD_FINDINGS = [
    ({"image_id": ["zz"]}, "has image 'zz', need an image of the manifest"),
    ({"exam_id": [20], "patient_id": [2]}, "has image 'a' of exam '10'"),
    ({"exam_id": [99]}, "has an exam without a row"),
    ({"side": ["R"]}, "has side R on image 'a' of side L"),
    ({"x0": [30.5]}, r"has an empty box \(30.5, 20.0, 30.5, 40.0\)"),
    ({"x0": [31.0]}, "has an empty box"),
    ({"x0": [None]}, "has half a box"),
    ({"x1": [80.5]}, "outside image 'a' of 100 x 80"),
    ({"y0": [-1.0]}, "outside image 'a' of 100 x 80"),
    ({"frame": [None]}, "has a box on image 'a' in frame 'None', need both named"),
    ({"frame": ["processed"]}, "has frame 'processed'"),
    ({"polygon": [[1.0, 2.0, 3.0, 4.0]]}, "has a polygon of 4 numbers"),
    ({"malignant": [3]}, "has malignant 3"),
]


@pytest.mark.parametrize(("change", "message"), BAD_FINDINGS, ids=[m for _, m in BAD_FINDINGS])
def test_a_bad_finding_is_refused_by_name(change, message):
    findings = FINDINGS.with_columns(**{k: pl.Series(v) for k, v in change.items()})
    with pytest.raises(ManifestError, match=message):
        make(findings=findings)


def test_a_box_may_touch_the_edge():
    edge = {"x0": [0.0], "y0": [0.0], "x1": [80.0], "y1": [100.0]}
    findings = FINDINGS.with_columns(**{k: pl.Series(v) for k, v in edge.items()})
    assert make(findings=findings).findings["x1"].to_list() == [80.0]


def test_the_same_exam_for_two_patients_is_refused():
    exams = pl.DataFrame({"patient_id": ["1", "2"], "exam_id": ["10", "10"]})
    with pytest.raises(ManifestError, match="exam_id '10': has the exam_id a second time"):
        make(exams=exams)


def test_a_missing_key_column_is_named():
    with pytest.raises(ManifestError, match="images: no column image_id; have"):
        make(images=IMAGES.drop("image_id"))


def test_images_to_read_are_those_without_a_reason():
    assert images_to_read(make())["image_id"].to_list() == ["a", "b", "c"]


def test_labels_of_breast_and_exam_stand_beside_each_image():
    exams = pl.DataFrame(
        {"patient_id": [1], "exam_id": [10], "density": ["C"], "split": ["train"], "age": [50]}
    )
    table = images_with_labels(make(exams=exams))
    assert table.select("image_id", "cancer", "density", "split", "age").rows() == [
        ("a", 1, "B", "train", 50.0),
        ("b", 1, "B", "train", 50.0),
        ("c", None, "C", "train", 50.0),
    ]


def test_what_is_written_is_read_again(tmp_path):
    manifest = replace(make(), label_rules={"cancer": "by biopsy"}, may_release_weights=False)
    digest = write_manifest(manifest, tmp_path / "m")
    again = read_manifest(tmp_path / "m")
    for name in ("images", "breasts", "exams", "findings"):
        assert getattr(again, name).equals(getattr(manifest, name), null_equal=True)
    assert (again.source, again.terms) == ("test", "Free.")
    assert again.root == str(Path.cwd() / "data")  # so that it is read from any folder
    assert (again.label_rules, again.may_release_weights) == ({"cancer": "by biopsy"}, False)
    assert manifest_hash(again) == digest == stored_hash(tmp_path / "m")


def test_the_hash_is_the_one_of_every_machine_and_version():
    """A value written down once: it changes only together with SCHEMA_VERSION."""
    assert manifest_hash(make()) == KNOWN_HASH


KNOWN_HASH = "8584079b73990151719561eaa38810c8204cf59b2a81a871a0646b9435155521"


@given(st.permutations(range(4)), st.permutations(IMAGES.columns))
@settings(max_examples=20, deadline=None)
def test_the_hash_does_not_depend_on_the_order_of_rows_or_columns(rows, columns):
    shuffled = make(images=IMAGES[list(rows)].select(columns))
    assert manifest_hash(shuffled) == manifest_hash(make())


CHANGES = [
    {"images": IMAGES.with_columns(site=pl.Series(["x", "y", "x", "z"]))},
    {"images": IMAGES.with_columns(site=pl.Series(["x", "y", "x", None]))},
    {"images": IMAGES.with_columns(site=pl.Series(["xy", "", "x", "y"]))},
    {"images": IMAGES.rename({"site": "place"})},
    {"breasts": BREASTS.with_columns(cancer=pl.lit(0))},
    {"breasts": BREASTS.with_columns(cancer=pl.lit(None))},
    {"findings": FINDINGS.with_columns(x1=pl.lit(30.25))},
    {"findings": FINDINGS.with_columns(polygon=pl.lit(None))},
    {"findings": FINDINGS.with_columns(polygon=pl.Series([[10.0, 20, 30.5, 20, 20, 41]]))},
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_value_changes_the_hash(change):
    assert manifest_hash(make(**change)) != manifest_hash(make())


def test_the_hash_sees_terms_and_rules_but_not_where_the_data_lie():
    manifest = make()
    assert manifest_hash(replace(manifest, root="elsewhere")) == manifest_hash(manifest)
    for change in (
        {"terms": "Other."},
        {"label_rules": {"a": "b"}},
        {"may_release_weights": False},
    ):
        assert manifest_hash(replace(manifest, **change)) != manifest_hash(manifest)


def test_integers_of_any_width_are_the_same_content():
    wide = IMAGES.with_columns(number=pl.Series([1, 2, 3, None], dtype=pl.Int64))
    narrow = wide.with_columns(pl.col("number").cast(pl.UInt8))
    assert manifest_hash(make(images=wide)) == manifest_hash(make(images=narrow))


def test_tables_that_were_changed_behind_its_back_are_refused(tmp_path):
    write_manifest(make(), tmp_path / "m")
    breasts = pl.read_parquet(tmp_path / "m" / "breasts.parquet")
    breasts.with_columns(cancer=pl.lit(0, pl.Int8)).write_parquet(
        tmp_path / "m" / "breasts.parquet"
    )
    with pytest.raises(ManifestError, match=r"are not those that manifest.json was written for"):
        read_manifest(tmp_path / "m")
    assert read_manifest(tmp_path / "m", validate=False).breasts["cancer"].sum() == 0


def test_a_manifest_is_replaced_file_by_file_and_other_files_stay(tmp_path):
    path = tmp_path / "m"
    write_manifest(make(), path)
    (path / "notes.txt").write_text("mine")
    digest = write_manifest(make(findings=None), path)
    assert manifest_hash(read_manifest(path)) == digest
    assert (path / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]  # no draft is left behind


def test_a_folder_of_other_things_is_not_written_into(tmp_path):
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(ManifestError, match="holds no manifest"):
        write_manifest(make(), tmp_path)


def test_what_is_no_manifest_is_refused(tmp_path):
    path = tmp_path / "m"
    write_manifest(make(), path)
    about = json.loads((path / "manifest.json").read_text())

    def broken(change):
        other = tmp_path / "other"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(path, other)
        change(other)
        with pytest.raises(ManifestError) as caught:
            read_manifest(other)
        return str(caught.value)

    def describe(folder, **values):
        (folder / "manifest.json").write_text(json.dumps(about | values))

    assert "no manifest.json" in broken(lambda f: (f / "manifest.json").unlink())
    assert "is no JSON" in broken(lambda f: (f / "manifest.json").write_text("{"))
    assert "need an object" in broken(lambda f: (f / "manifest.json").write_text("[]"))
    assert "lacks hash" in broken(lambda f: (f / "manifest.json").write_text("{}"))
    assert "schema version 2" in broken(lambda f: describe(f, schema_version=2))
    assert "cannot be read" in broken(lambda f: (f / "images.parquet").write_bytes(b"cut"))
    assert "cannot be read" in broken(lambda f: (f / "exams.parquet").unlink())


def test_a_crash_between_two_files_is_noticed(tmp_path):
    write_manifest(make(), tmp_path / "old")
    write_manifest(make(breasts=BREASTS.with_columns(cancer=pl.lit(0))), tmp_path / "new")
    shutil.copy(tmp_path / "new" / "breasts.parquet", tmp_path / "old" / "breasts.parquet")
    with pytest.raises(ManifestError, match="are not those"):
        read_manifest(tmp_path / "old")
