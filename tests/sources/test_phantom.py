import polars as pl
import pytest

from fourview.dicom.image import read_image
from fourview.errors import ManifestError
from fourview.manifest.manifest import manifest_hash, require_valid
from fourview.phantom.write import write_phantom
from fourview.sources.phantom import read_phantom


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, num_exams=3, seed=1, preset="miniature", rows=96)
    return out


def test_the_manifest_keeps_every_rule_and_counts_what_was_written(root):
    manifest = read_phantom(root)
    require_valid(manifest)
    assert (manifest.images.height, manifest.breasts.height, manifest.exams.height) == (12, 6, 3)
    assert manifest.source == "phantom"
    assert manifest.may_release_weights
    assert manifest_hash(manifest) == manifest_hash(read_phantom(root))


def test_images_are_where_the_manifest_says_and_of_that_view(root):
    for row in read_phantom(root).images.iter_rows(named=True):
        image = read_image(root / row["path"])
        assert image.image_id == row["image_id"]
        assert image.view.name == f"{row['side']}-{row['view']}"
        assert image.stored_size == (row["rows"], row["cols"])
        assert image.spacing_mm[0] == pytest.approx(row["spacing_mm"])


def test_labels_are_known_and_splits_are_not(root):
    manifest = read_phantom(root)
    assert manifest.breasts["cancer"].null_count() == 0
    assert set(manifest.exams["density"]) <= set("ABCD")
    assert manifest.exams["split"].null_count() == 3
    assert manifest.exams["age"].min() >= 40
    assert set(manifest.images["kind"]) == {"ffdm"}


def test_the_assessment_is_of_what_can_be_seen(root):
    truth = pl.read_parquet(root / "truth" / "findings.parquet").filter("visible")
    for breast in read_phantom(root).breasts.iter_rows(named=True):
        kinds = set(truth.filter(exam_id=breast["exam_id"], side=breast["side"])["kind"])
        if "mass_malignant" in kinds:
            want = 5
        elif kinds & {"calc_malignant", "distortion"}:
            want = 4
        elif "summation" in kinds:
            want = 0
        else:
            want = 2 if kinds else 1
        assert breast["birads"] == want


def test_findings_have_a_box_wherever_they_can_be_seen(root):
    truth = pl.read_parquet(root / "truth" / "findings.parquet")
    findings = read_phantom(root).findings
    assert findings.height == truth["visible"].sum()
    assert findings.select("x0", "y0", "x1", "y1").null_count().sum_horizontal().item() == 0
    seen = truth.filter("visible").filter(kind="summation")
    assert findings.filter(kind="asymmetry").height == seen.height
    assert set(findings["frame"]) == {"stored"}


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"exams\.parquet: no such table"):
        read_phantom(tmp_path)
