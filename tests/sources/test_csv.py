"""A person's own table, and Mirai's column names."""

import pytest

from fourview.errors import ManifestError
from fourview.sources.csv import read_csv


def write(root, text, name="table.csv"):
    (root / name).write_text(text)
    return root


OWN = """patient_id,exam_id,image_id,side,view,path,cancer,birads,density,age,split,site
1,10,a,left,cc,a.dcm,1,4,2,50.5,train,north
1,10,b,L,MLO,b.dcm,,4.0,B,50.5,train,north
1,10,c,RIGHT,mlo,c.dcm,0,,b,,Train,north
2,20,d,R,CC,d.dcm,,,,61,dev,south
"""


def test_reads_a_table_with_any_spelling_and_keeps_more_columns(tmp_path):
    manifest = read_csv(write(tmp_path, OWN))
    assert manifest.images.select("image_id", "side", "view", "site").rows() == [
        ("a", "L", "CC", "north"),
        ("b", "L", "MLO", "north"),
        ("c", "R", "MLO", "north"),
        ("d", "R", "CC", "south"),
    ]
    assert manifest.breasts.select("exam_id", "side", "cancer", "birads", "density").rows() == [
        ("10", "L", 1, 4, "B"),
        ("10", "R", 0, None, "B"),
        ("20", "R", None, None, None),
    ]
    assert manifest.exams.select("age", "split").rows() == [(50.5, "train"), (61.0, "validation")]


def test_mirais_years_to_cancer_are_the_womans_and_give_no_breast_a_label(tmp_path):
    header = "patient_id,exam_id,laterality,view,file_path,years_to_cancer,"
    header += "years_to_last_followup,split_group\n"
    rows = "7,70,L,CC,x/1.png,0,0,dev\n7,70,R,CC,x/2.png,0,0,dev\n"
    manifest = read_csv(write(tmp_path, header + rows))
    assert manifest.images["image_id"].to_list() == ["x/1", "x/2"]
    assert manifest.breasts["cancer"].to_list() == [None, None]
    exam = manifest.exams.row(0, named=True)
    assert (exam["years_to_cancer"], exam["split"]) == (0, "validation")


def test_a_label_that_differs_within_a_breast_is_refused(tmp_path):
    text = OWN.replace("1,10,b,L,MLO,b.dcm,,", "1,10,b,L,MLO,b.dcm,0,")
    with pytest.raises(ManifestError, match=r"table.csv:2: .*side 'L' has 2 values of cancer"):
        read_csv(write(tmp_path, text))


def test_regions_come_from_a_second_table(tmp_path):
    write(tmp_path, OWN)
    write(tmp_path, "image_id,x0,y0,x1,y1,kind\na,1,2,3.5,4,mass\na,5,5,9,9,mass\n", "findings.csv")
    findings = read_csv(tmp_path).findings
    assert findings.select("finding_id", "side", "kind", "x1", "frame").rows() == [
        ("a-1", "L", "mass", 3.5, "stored"),
        ("a-2", "L", "mass", 9.0, "stored"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("left", "both", r"table.csv:2: side 'BOTH' is none of"),
        ("61", "old", r"table.csv:5: age 'old' is not a number"),
        ("dev", "later", r"table.csv:5: split 'later' is none of"),
        ("path", "file", r"table.csv: no column 'path'; it has: patient_id"),
    ],
)
def test_a_value_that_is_not_known_is_named(tmp_path, old, new, message):
    with pytest.raises(ManifestError, match=message):
        read_csv(write(tmp_path, OWN.replace(old, new)))


def test_a_folder_with_two_tables_is_refused(tmp_path):
    write(tmp_path, OWN, "other.csv")
    with pytest.raises(ManifestError, match="holds 2 tables"):
        read_csv(write(tmp_path, OWN))


def test_benign_is_a_label_of_the_breast_like_cancer(tmp_path):
    rows = OWN.splitlines()
    text = "\n".join(
        [
            rows[0] + ",benign",
            *(f"{row},{benign}" for row, benign in zip(rows[1:], "1 01", strict=True)),
        ]
    )
    breasts = read_csv(write(tmp_path, text)).breasts
    assert breasts.select("side", "cancer", "benign").rows() == [
        ("L", 1, 1),
        ("R", 0, 0),
        ("R", None, 1),
    ]
    assert breasts["benign"].dtype.is_integer()
    torn = text.replace("B,50.5,train,north, ", "B,50.5,train,north,0")
    with pytest.raises(ManifestError, match="has 2 values of benign"):
        read_csv(write(tmp_path, torn))


def test_images_of_one_breast_keep_their_own_birads(tmp_path):
    manifest = read_csv(write(tmp_path, OWN.replace("MLO,b.dcm,,4.0", "MLO,b.dcm,,2")))
    assert manifest.images.select("image_id", "birads").rows()[:2] == [("a", 4), ("b", 2)]
    assert manifest.breasts["birads"].to_list() == [4, None, None]


@pytest.mark.parametrize(
    "polygon",
    [
        "1 2 8.5 2 4 9",
        "(1, 2), (8.5, 2), (4, 9)",
        "[[1,2],[8.5,2],[4,9.0]]",
        "POLYGON((1 2,8.5 2,4 9))",
    ],
)
def test_outlines_come_in_the_ways_that_people_write_them(polygon, tmp_path):
    write(tmp_path, OWN)
    text = f'image_id;polygon;malignant;birads;shape\na;"{polygon}";1;5;round\nb;;0;;\n'
    write(tmp_path, text, "findings.csv")
    findings = read_csv(tmp_path).findings
    assert findings["polygon"].to_list() == [[1, 2, 8.5, 2, 4, 9], None]
    boxed = findings.select("x0", "y0", "x1", "y1", "malignant", "birads", "shape", "frame")
    assert boxed.rows() == [
        (1, 2, 8.5, 9, 1, 5, "round", "stored"),
        (None, None, None, None, 0, None, None, None),
    ]


@pytest.mark.parametrize(("polygon", "why"), [("1 2 3 4 5", "has 5"), ("a circle", "holds more")])
def test_what_is_no_outline_is_named_with_its_line(polygon, why, tmp_path):
    write(tmp_path, OWN)
    write(tmp_path, f"image_id,polygon\na,{polygon}\n", "findings.csv")
    with pytest.raises(ManifestError, match=rf"findings.csv:2: polygon '{polygon}' {why}"):
        read_csv(tmp_path)
