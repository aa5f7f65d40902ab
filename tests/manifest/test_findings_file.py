import numpy as np
import polars as pl
import pytest

from exam_examples import IDS, image
from fourview.entities import Exam
from fourview.errors import ManifestError
from fourview.geometry import Box
from fourview.manifest.findings_file import findings_of, read_findings

EXAM = Exam(
    patient_id="P-1",
    exam_id="1.2.3",
    images=tuple(image(name) for name in ("R-CC", "R-MLO", "L-CC")),
)


def written(path, text):
    path.write_text(text)
    return path


def test_rows_of_one_name_are_one_finding_on_the_breast_of_its_images(tmp_path):
    path = written(
        tmp_path / "named.csv",
        "finding_id,image_id,x0,y0,x1,y1,malignant,kind\n"
        f"a,{IDS['R-CC']},10,20,30,50,1,mass\n"
        f"a,{IDS['R-MLO']},11,21,31,51,,mass\n"
        f"b,{IDS['L-CC']},1,2,3,5,,\n"
        "c,1.9.9,1,2,3,5,0,\n",
    )
    findings = findings_of(EXAM, read_findings(path), source=path.name)
    assert [(f.finding_id, f.side, f.malignant, f.kind) for f in findings] == [
        ("a", "R", True, "mass"),
        ("b", "L", None, "finding"),
    ]
    assert [r.box for r in findings[0].regions] == [Box(10, 20, 30, 50), Box(11, 21, 31, 51)]
    assert findings[0].source == "named.csv" and findings[0].score is None


def test_a_polygon_may_stand_for_the_box_and_a_name_may_be_missing(tmp_path):
    path = written(tmp_path / "named.csv", f"image_id,polygon\n{IDS['R-CC']},10 20 40 20 10 60\n")
    (finding,) = findings_of(EXAM, read_findings(path), source="x")
    assert finding.finding_id == "finding-1"
    assert finding.regions[0].box == Box(10, 20, 40, 60)
    assert finding.regions[0].polygon == ((10, 20), (40, 20), (10, 60))
    table = pl.read_csv(path).with_columns(polygon=pl.Series([[10.0, 20, 40, 20, 10, 60]]))
    table.write_parquet(tmp_path / "named.parquet")
    (again,) = read_findings(tmp_path / "named.parquet")
    np.testing.assert_array_equal(again["region"].polygon, finding.regions[0].polygon)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,x0,y0,x1\nx,1,2,3\n", "no column 'y1'"),
        ("finding_id,polygon\nx,1 2 3 4\n", "no column 'image_id'"),
        ("image_id,x0,y0,x1,y1\nx,5,2,3,4\n", "named.csv:2: no region"),
        ("image_id,x0,y0,x1,y1\nx,,2,3,4\n", "named.csv:2: no region"),
    ],
)
def test_a_file_without_usable_regions_is_refused_by_its_place(tmp_path, text, words):
    with pytest.raises(ManifestError, match=words):
        read_findings(written(tmp_path / "named.csv", text))


def test_a_finding_in_both_breasts_and_a_missing_file_are_refused(tmp_path):
    path = written(
        tmp_path / "named.csv",
        f"finding_id,image_id,x0,y0,x1,y1\na,{IDS['R-CC']},1,1,5,5\na,{IDS['L-CC']},1,1,5,5\n",
    )
    with pytest.raises(ManifestError, match="both breasts"):
        findings_of(EXAM, read_findings(path), source="x")
    with pytest.raises(ManifestError, match="no such table"):
        read_findings(tmp_path / "no.csv")
