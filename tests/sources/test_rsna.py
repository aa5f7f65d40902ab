"""RSNA: labels of breasts repeated on images, blanks that stay unknown."""

import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.check import label_counts
from fourview.sources.rsna import read_rsna

HEADER = "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,"
HEADER += "density,machine_id,difficult_negative_case"


def line(patient, image, side="L", view="CC", cancer=0, birads="", density="", implant=0, age="50"):
    start = f"1,{patient},{image},{side},{view},{age},{cancer}"
    return f"{start},0,0,{birads},{implant},{density},49,False"


def write(root, lines):
    (root / "train.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def test_has_the_published_counts(tmp_path):
    """23,826 breasts with two images, 7,054 with one more; 492 breasts have cancer in 1,158."""
    lines, number = [], 0
    for breast in range(23_826):
        extra = breast < 174 or 492 <= breast < 492 + 7_054 - 174
        for view in ("CC", "MLO", "MLO")[: 2 + extra]:
            number += 1
            side = "RL"[breast % 2]
            lines.append(line(breast // 2, number, side=side, view=view, cancer=int(breast < 492)))
    write(tmp_path, lines)
    manifest = read_rsna(tmp_path)
    counts = label_counts(manifest).row(0, named=True)
    assert (counts["images"], counts["patients"], counts["breasts"]) == (54_706, 11_913, 23_826)
    assert (counts["cancer"], counts["unknown"]) == (492, 0)
    positive = manifest.images.join(
        manifest.breasts.filter(pl.col("cancer") == 1), on=["exam_id", "side"], how="semi"
    )
    assert len(positive) == 1_158


def test_blank_is_unknown_and_numbers_come_in_any_form(tmp_path):
    write(
        tmp_path,
        [
            line(1, 11, birads="0.0", density="B", implant="1", age="61.0"),
            line(1, 12, view="MLO", birads="", density="B", implant="1", age="61"),
            line(1, 13, side="R", birads="", age="61"),
        ],
    )
    manifest = read_rsna(tmp_path)
    assert manifest.breasts.select("side", "birads", "density", "cancer").rows() == [
        ("L", 0, "B", 0),
        ("R", None, None, 0),
    ]
    assert manifest.images["implant"].to_list() == [True, True, False]
    assert manifest.exams["age"].to_list() == [61.0]
    assert not manifest.may_release_weights


def test_an_empty_cancer_beside_a_known_one_does_not_hide_it(tmp_path):
    write(tmp_path, [line(7, 1, cancer=""), line(7, 2, view="MLO", cancer=1)])
    assert read_rsna(tmp_path).breasts["cancer"].to_list() == [1]


def test_two_values_of_cancer_in_one_breast_are_refused(tmp_path):
    write(tmp_path, [line(7, 1, cancer=0), line(7, 2, cancer=1)])
    with pytest.raises(ManifestError, match=r"train.csv:2: breast L of patient 7 has two values"):
        read_rsna(tmp_path)


def test_an_unknown_view_is_refused_with_its_row(tmp_path):
    write(tmp_path, [line(7, 1), line(7, 2, view="XX")])
    with pytest.raises(ManifestError, match=r"train.csv:3: view 'XX' is none of AT, CC, LM"):
        read_rsna(tmp_path)
