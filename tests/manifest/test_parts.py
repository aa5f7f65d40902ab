"""A manifest that is written part by part is the one that is written at once."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest, read_manifest, write_manifest
from fourview.manifest.parts import write_in_parts
from fourview.sources._spool import Spool

TABLES = ("images", "breasts", "exams", "findings")
IMAGES = pl.DataFrame(
    {
        "patient_id": [f"p{n // 6}" for n in range(24)],
        "exam_id": [f"e{n // 4}" for n in range(24)],
        "image_id": [f"i{n:02d}" for n in range(24)],
        "side": ["L", "R"] * 12,
        "view": ["CC", "CC", "MLO", "MLO"] * 6,
        "path": [f"{n}.dcm" for n in range(24)],
        "note": [None, "a"] * 12,
    }
).with_columns(patient_id=pl.format("p{}", pl.col("exam_id").str.slice(1).cast(pl.Int8) // 2))
EXAMS = IMAGES.select("patient_id", "exam_id").unique(maintain_order=True)


def make(images, exams=EXAMS, findings=None):
    about = {"source": "test", "root": "data", "terms": "Free.", "label_rules": {"a": "b"}}
    return make_manifest(images=images, exams=exams, findings=findings, **about)


def parts_of(cuts):
    """The images between cuts, each part with the exams that it has images of."""
    for start, end in zip([0, *cuts], [*cuts, len(IMAGES)], strict=True):
        images = IMAGES.slice(start, end - start)
        exams = EXAMS.join(images, on="exam_id", how="semi", maintain_order="left")
        yield make(images, exams.with_columns(age=pl.lit(40.0 + end)))


@given(st.lists(st.integers(1, 23), max_size=5, unique=True))
@settings(max_examples=8, deadline=None)
def test_parts_give_the_folder_and_the_hash_of_the_whole(tmp_path_factory, cuts):
    folder, cuts = tmp_path_factory.mktemp("parts"), sorted(cuts)
    ends = [min(end for end in [*cuts, 24] if end >= 4 * (n + 1)) for n in range(6)]
    whole = make(IMAGES, EXAMS.with_columns(age=pl.Series([40.0 + end for end in ends])))
    digest = write_in_parts(parts_of(cuts), folder / "parts")
    assert digest == write_manifest(whole, folder / "whole")
    manifest = read_manifest(folder / "parts")
    for name in TABLES:
        assert getattr(manifest, name).equals(getattr(whole, name))
    about = [(folder / name / "manifest.json").read_text() for name in ("parts", "whole")]
    assert about[0] == about[1]
    assert sorted(p.name for p in folder.iterdir()) == ["parts", "whole"]


def test_findings_go_with_their_parts(tmp_path):
    regions = IMAGES.gather_every(3).select("patient_id", "exam_id", "image_id", "side")
    findings = regions.with_columns(finding_id="image_id", kind=pl.lit("mass"))
    parts = [
        make(images, exams, findings.join(images, on="image_id", how="semi"))
        for images, exams in ((IMAGES.head(8), EXAMS.head(2)), (IMAGES.tail(16), EXAMS.tail(4)))
    ]
    assert write_in_parts(parts, tmp_path / "m") == write_manifest(
        make(IMAGES, findings=findings), tmp_path / "whole"
    )


def test_an_image_or_an_exam_that_two_parts_have_is_refused(tmp_path):
    one, two = make(IMAGES.head(4), EXAMS.head(1)), IMAGES.slice(8, 4)
    images = two.with_columns(image_id=pl.Series(["i00", "x", "y", "z"]))
    with pytest.raises(ManifestError, match="images: image_id 'i00' stands in two"):
        write_in_parts([one, make(images, EXAMS.slice(2, 1))], tmp_path / "m")
    images = two.with_columns(exam_id=pl.lit("e0"))
    exams = EXAMS.slice(2, 1).with_columns(exam_id=pl.lit("e0"))
    with pytest.raises(ManifestError, match="exams: exam_id 'e0' stands in two"):
        write_in_parts([one, make(images, exams)], tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_piece_that_goes_back_is_refused(tmp_path):
    one, two = make(IMAGES.head(8), EXAMS.head(2)), make(IMAGES.slice(8, 4), EXAMS.slice(2, 1))
    with pytest.raises(ValueError, match="images: a part goes back from"):
        write_in_parts([two, one], tmp_path / "m")
    with pytest.raises(ValueError, match="no part"):
        write_in_parts([], tmp_path / "m")


def test_parts_replace_a_manifest_and_nothing_else(tmp_path):
    write_manifest(replace(make(IMAGES), terms="Old."), tmp_path / "m")
    write_in_parts(parts_of([6]), tmp_path / "m")
    assert read_manifest(tmp_path / "m").terms == "Free."
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(ManifestError, match="holds no manifest"):
        write_in_parts(parts_of([6]), tmp_path)


def test_a_shelf_gives_its_rows_in_the_order_in_which_they_came(tmp_path):
    spool = Spool(tmp_path / "s")
    for start in (0, 10):
        rows = pl.DataFrame({"n": range(start, start + 10)})
        spool.put(rows.with_columns(shelf=pl.col("n") % 3), "shelf")
    shelves = [rows["n"].to_list() for rows in spool.shelves()]
    assert shelves == [[n for n in range(20) if n % 3 == k] for k in range(3)]
    assert not list((tmp_path / "s").iterdir())
