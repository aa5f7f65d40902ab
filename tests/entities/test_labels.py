"""What is known of a breast: one rule for training, measuring, captions and checks."""

import polars as pl
import pytest

from fourview.captions.caption import caption_facts
from fourview.entities.labels import with_labels
from fourview.evaluate.labels import labelled_units
from fourview.feeds.samples import make_samples
from fourview.manifest.manifest import images_with_labels, make_manifest


@pytest.fixture
def manifest():
    """Two exams whose tables also have labels of the exam, where a breast may have none."""
    images = [
        {"patient_id": e, "exam_id": e, "image_id": f"{e}{s}", "side": s, "view": "CC", "path": "x"}
        for e in "ab"
        for s in "RL"
    ]
    breasts = [
        {"patient_id": "a", "exam_id": "a", "side": "R", "cancer": 1, "density": "D"},
        {"patient_id": "a", "exam_id": "a", "side": "L", "cancer": None, "density": None},
    ]
    exams = [
        {"patient_id": e, "exam_id": e, "density": d, "cancer": 1, "birads": 5}
        for e, d in (("a", "B"), ("b", "C"))
    ]
    return make_manifest(
        source="t",
        root="",
        terms="",
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(breasts),
        exams=pl.DataFrame(exams),
    )


DENSITY = {"aR": "D", "aL": "B", "bR": "C", "bL": "C"}
CANCER = {"aR": 1, "aL": None, "bR": None, "bL": None}  # an exam's cancer is of no breast


def test_density_is_the_breasts_own_else_the_exams_for_whoever_asks(manifest):
    images = images_with_labels(manifest)
    assert dict(images.select("image_id", "density").iter_rows()) == DENSITY
    facts = caption_facts(manifest, ["density"])
    assert {image: known["density"] for image, known in facts.items()} == DENSITY
    units, _ = labelled_units(manifest, "image", "density")
    classes = {image: "ABCD".index(value) for image, value in DENSITY.items()}
    assert dict(units.select("image_id", "label").iter_rows()) == classes
    samples = make_samples(manifest, classes={"density": tuple("ABCD")})
    trained = {
        f"{sample.exam_id}{side}": int(value)
        for sample in samples
        for side, value in zip("RL", sample.targets["density"], strict=True)
    }
    assert trained == classes


def test_an_exams_cancer_is_no_breasts_neither_in_training_nor_in_measuring(manifest):
    images = images_with_labels(manifest)
    assert dict(images.select("image_id", "cancer").iter_rows()) == CANCER
    units, _ = labelled_units(manifest, "image", "cancer")
    assert dict(units.select("image_id", "label").iter_rows()) == CANCER
    samples = make_samples(manifest, classes={"cancer": ("cancer",)})
    trained = {
        f"{sample.exam_id}{side}": None if value != value else int(value)  # noqa: PLR0124 - NaN
        for sample in samples
        for side, value in zip("RL", sample.targets["cancer"], strict=True)
    }
    assert trained == CANCER
    assert all("birads" not in known for known in caption_facts(manifest, ["birads"]).values())


def test_an_images_own_label_comes_first_unless_it_does_not_count(manifest):
    rows = manifest.images.with_columns(density=pl.Series(["A", None, None, "A"]))
    tables = {"breasts": manifest.breasts, "exams": manifest.exams}
    own = with_labels(rows, ["density"], **tables)
    of_image = dict(rows.select("image_id", "density").iter_rows())
    wanted = {image: of_image[image] or value for image, value in DENSITY.items()}
    assert dict(own.select("image_id", "density").iter_rows()) == wanted
    others = with_labels(rows, ["density", "absent"], own=False, **tables)
    assert dict(others.select("image_id", "density").iter_rows()) == DENSITY
    assert others["absent"].null_count() == len(rows)
    assert others["image_id"].to_list() == rows["image_id"].to_list()
