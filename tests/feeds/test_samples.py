"""Samples: which images go together, and what is known of them."""

import math
from dataclasses import replace

import polars as pl
import pytest

from factory import drawn_manifest
from fourview.contract import task
from fourview.errors import ManifestError
from fourview.feeds.samples import known_values, make_samples
from fourview.manifest.manifest import make_manifest

CANCER = {"cancer": ("cancer",)}


@pytest.fixture
def manifest():
    rows = [  # patient, exam, image, side, view, left out
        ("p1", "e1", "a", "R", "CC", None),
        ("p1", "e1", "b", "R", "MLO", None),
        ("p1", "e1", "c", "R", "MLO", None),
        ("p1", "e1", "d", "L", "MLO", None),
        ("p1", "e1", "f", "L", "CC", "spot"),
        ("p1", "e1", "g", "L", "ML", None),
        ("p2", "e2", "h", "L", "CC", None),
    ]
    columns = ["patient_id", "exam_id", "image_id", "side", "view", "left_out"]
    images = pl.DataFrame(rows, schema=columns, orient="row").with_columns(path="image_id")
    breasts = pl.DataFrame(
        {
            "patient_id": ["p1", "p1"],
            "exam_id": ["e1", "e1"],
            "side": ["R", "L"],
            "cancer": [1, None],
            "density": ["B", None],
        }
    )
    exams = pl.DataFrame(
        {
            "patient_id": ["p1", "p2"],
            "exam_id": ["e1", "e2"],
            "density": ["C", "D"],
            "split": ["train", "test"],
        }
    )
    return make_manifest(
        source="made", root="/", images=images, breasts=breasts, exams=exams, terms="none"
    )


def test_an_exam_has_the_images_that_fill_slots_in_order_of_preference(manifest):
    one, two = make_samples(manifest, classes=CANCER)
    assert one.images == ("a", "b", "c", "d")
    assert one.slots == (0, 2, 2, 3)
    assert one.ranks == (0, 0, 1, 0)
    assert two.images == ("h",)


def test_unknown_labels_stay_unknown(manifest):
    one, two = make_samples(manifest, classes=CANCER)
    assert one.targets["cancer"][0] == 1.0
    assert math.isnan(one.targets["cancer"][1])
    assert all(math.isnan(v) for v in two.targets["cancer"])
    assert list(known_values([one, two], "cancer")) == [1.0]


def test_a_breast_is_a_sample_that_says_nothing_of_the_other_one(manifest):
    right, left, _ = make_samples(manifest, classes=CANCER, unit="breast")
    assert right.images == ("a", "b", "c") and left.images == ("d",)
    assert right.targets["cancer"][0] == 1.0 and math.isnan(right.targets["cancer"][1])


def test_density_is_the_breasts_own_or_else_the_exams(manifest):
    one, two = make_samples(manifest, classes={"density": ("A", "B", "C", "D")})
    assert one.targets["density"] == (1.0, 2.0)
    assert two.targets["density"][1] == 3.0


def test_only_what_is_asked_for_is_there(manifest):
    assert [s.exam_id for s in make_samples(manifest, classes={}, splits=["test"])] == ["e2"]
    assert make_samples(manifest, classes={}, in_store=["a"])[0].images == ("a",)


def test_a_label_that_no_breast_has_is_refused_by_name(manifest):
    with pytest.raises(ManifestError, match="no label 'subtype'"):
        make_samples(manifest, classes={"subtype": ("x",)})
    with pytest.raises(ManifestError, match="need one of A, B"):
        make_samples(manifest, classes={"density": ("A", "B")})


def test_a_label_of_column_and_value_takes_the_column_and_leaves_other_values_unknown(tmp_path):
    manifest = drawn_manifest(tmp_path, num_patients=3)
    breasts = manifest.breasts.with_columns(birads=pl.Series([0, 1, 2, 5, None, 6], dtype=pl.Int8))
    asked = task("birads3")
    samples = make_samples(replace(manifest, breasts=breasts), classes=asked.labels)
    known = {(row["exam_id"], row["side"]): row["birads"] for row in breasts.iter_rows(named=True)}
    for sample in samples:
        for side, value in zip("RL", sample.targets["birads3"], strict=True):
            birads = known[sample.exam_id, side]
            assert value == birads if birads in (0, 1, 2) else math.isnan(value)
