"""Scores that name files are those of the images whose files they are."""

import polars as pl
import pytest

from fourview.entities import IMAGES_SCHEMA
from fourview.evaluate.image_names import with_image_ids
from fourview.manifest.manifest import make_manifest

IMAGES = [("1.1", "a/x.dcm"), ("1.2", "b/x.dcm"), ("1.3", "b/y.dcm"), ("z.png", "c/other.png")]


@pytest.fixture(scope="module")
def manifest():
    images = pl.DataFrame(
        [
            {"patient_id": "p", "exam_id": "e", "image_id": i, "path": path}
            | {"side": "R", "view": "CC"}
            for i, path in IMAGES
        ],
        schema_overrides={k: v for k, v in IMAGES_SCHEMA.items() if k in ("image_id", "path")},
    )
    return make_manifest(source="s", root=".", images=images, terms="")


def named(manifest, *names):
    table, notes = with_image_ids(pl.DataFrame({"image_id": list(names)}), manifest)
    return table["image_id"].to_list(), notes


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("1.1", "1.1"),
        ("b/y.dcm", "1.3"),
        ("./b/y.dcm", "1.3"),
        ("b\\y.dcm", "1.3"),
        ("y.dcm", "1.3"),
        ("y", "1.3"),
        ("y.npy", "1.3"),
        ("elsewhere/Y.dcm", "elsewhere/Y.dcm"),  # names have case
        ("x.dcm", "x.dcm"),  # two images have it
        ("a/x.dcm", "1.1"),
        ("z", "z.png"),
        ("none", "none"),
    ],
)
def test_a_name_is_that_of_one_image_or_stays(manifest, name, want):
    names, notes = named(manifest, name)
    assert names == [want]
    assert bool(notes) == (want != name)


def test_a_table_of_ids_is_given_back(manifest):
    table = pl.DataFrame({"image_id": ["1.1", None]}, schema={"image_id": pl.String})
    assert with_image_ids(table, manifest)[0] is table
