"""Lists of who is tested, as people have them."""

import pytest

from factory import drawn_manifest
from fourview.errors import ManifestError
from fourview.study.split_list import read_split_list


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return drawn_manifest(tmp_path_factory.mktemp("drawn"), num_patients=2)


def listed(tmp_path, manifest, text):
    (tmp_path / "list.csv").write_text(text)
    return read_split_list(tmp_path / "list.csv", manifest)


@pytest.mark.parametrize("header", ["patient_id,split", "Patient ID;Set", "PatientID\tsplit_group"])
def test_columns_go_by_many_names(tmp_path, manifest, header):
    separator = next(s for s in ",;\t" if s in header)
    table = listed(tmp_path, manifest, f"{header}\na{separator} Dev \nb{separator}TRAIN\n")
    want = {"patient_id": ["a", "b"], "split": ["validation", "train"]}
    assert table.to_dict(as_series=False) == want


def test_without_a_split_all_that_are_listed_are_the_test(tmp_path, manifest):
    table = listed(tmp_path, manifest, "exam_id\n e1 \n\n")
    assert table.rows() == [("e1", "test")]


def test_bare_names_are_known_by_the_manifest(tmp_path, manifest):
    patients = manifest.exams["patient_id"].unique().sort().to_list()
    table = listed(tmp_path, manifest, "\n".join(patients))
    assert table["patient_id"].to_list() == patients and set(table["split"]) == {"test"}
    row = manifest.images.row(0, named=True)
    table = listed(tmp_path, manifest, f"{row['path']}\n")  # an image by its file
    assert table.rows() == [(row["image_id"], "test")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("patient_id,exam_id\na,b\n", "need one of patient_id, exam_id and image_id"),
        ("name,split\na,test\n", "has columns name, split"),
        ("patient_id\n \n", "names nobody"),
        ("nobody\nknown\n", "its one column 'nobody'"),
    ],
)
def test_a_list_that_names_nobody_is_refused(tmp_path, manifest, text, why):
    with pytest.raises(ManifestError, match=why):
        listed(tmp_path, manifest, text)
