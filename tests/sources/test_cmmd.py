"""CMMD: sides and views stand in the headers only, labels in the sheet."""

import numpy as np
import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.check import label_counts
from fourview.manifest.manifest import images_to_read
from fourview.sources._headers import SCHEMA as HEADER_SCHEMA
from fourview.sources.cmmd import cmmd_manifest, read_cmmd, read_sheet

HEADER = "ID1,LeftRight,Age,number,abnormality,classification,subtype"
BLACK = np.zeros((4, 4), np.uint8)


def write_sheet(root, rows):
    root.mkdir(parents=True, exist_ok=True)
    (root / "CMMD_clinicaldata_revision.csv").write_text("\n".join([HEADER, *rows]) + "\n")


def published_shape():
    """(patient, [(side, class or None)]) with the counts of the published set, worked by hand.

    D1: 1,026 patients with 544 benign and 563 malignant breasts, so 81 have two rows. D2: 749 with
    12 and 753, so 16 have two; all but 4 have images of both breasts.
    """
    d1 = [f"D1-{n:04d}" for n in range(750, 1776)]
    d2 = [f"D2-{n:04d}" for n in range(1, 750)]
    d1_classes = ["Benign"] * 544 + ["Malignant"] * 563
    d2_classes = ["Benign"] * 12 + ["Malignant"] * 753
    double = [p for p in d1 if p != "D1-0951"][-81:]
    for patient in ["D1-0951", *(p for p in d1 if p != "D1-0951")]:
        sides = ("R", "L") if patient in set(double) else ("R",)
        yield patient, [(side, d1_classes.pop(0)) for side in sides]
    for number, patient in enumerate(d2):
        breasts = [("L", d2_classes.pop(0))]
        if number < 16:
            breasts.append(("R", d2_classes.pop(0)))
        elif number < 745:
            breasts.append(("R", None))  # imaged, but not in the sheet
        yield patient, breasts


def test_has_the_published_counts_without_the_excluded_patient(tmp_path):
    rows, headers = [], []
    for patient, breasts in published_shape():
        for side, known in breasts:
            if known:
                rows.append(f"{patient},{side},50,2,mass,{known},")
            for view in ("CC", "MLO"):
                name = f"1.2.{len(headers)}"
                file = {"path": f"CMMD/{patient}/{name}.dcm", "image_id": name, "bits": 8}
                headers.append(file | {"patient_id": patient, "side": side, "view": view})
    write_sheet(tmp_path, rows)
    sheet = read_sheet(tmp_path / "CMMD_clinicaldata_revision.csv")

    manifest = cmmd_manifest(tmp_path, sheet, pl.DataFrame(headers, HEADER_SCHEMA))

    assert len(rows) == 1872
    assert len(manifest.images) == 5202
    assert len(manifest.exams) == 1775
    counts = label_counts(manifest).row(0, named=True)
    assert counts == {
        "split": "test",
        "patients": 1774,
        "exams": 1774,
        "images": 5200,
        "breasts": 2600,
        "cancer": 1316,
        "no_cancer": 1284,
        "unknown": 0,
    }
    assert images_to_read(manifest)["view"].value_counts().sort("view").rows() == [
        ("CC", 2600),
        ("MLO", 2600),
    ]
    labels = manifest.breasts.group_by("cancer", "benign").len().sort("cancer", "benign")
    assert labels.rows() == [(0, 0, 729), (0, 1, 556), (1, 0, 1316)]
    assert manifest.breasts["labelled_by"].value_counts().sort("count")["count"].to_list() == [
        729,
        1872,
    ]


def test_side_and_view_come_from_the_header_and_not_from_the_file_order(tmp_path, write_dicom):
    write_sheet(tmp_path, ["D1-0001,L,44,2,both,Malignant,"])
    for name, side, view, uid in (
        ("1-1", "L", "MLO", "1.2.1"),
        ("1-2", "R", "CC", "1.2.2"),
        ("1-3", "L", "CC", "1.2.3"),
    ):
        path = tmp_path / "flat-series" / f"{name}.dcm"
        write_dicom(path, patient="D1-0001", side=side, view=view, pixels=BLACK, uid=uid)
    manifest = read_cmmd(tmp_path)
    assert manifest.images.select("image_id", "side", "view").rows() == [
        ("1.2.1", "L", "MLO"),
        ("1.2.2", "R", "CC"),
        ("1.2.3", "L", "CC"),
    ]
    assert manifest.images["voi"].unique().to_list() == ["ignore"]
    assert manifest.images["bits"].unique().to_list() == [8]
    assert manifest.breasts.select("side", "cancer", "labelled_by", "mass").rows() == [
        ("L", 1, "sheet", 1),
        ("R", 0, "no row in the sheet", None),
    ]


def test_a_damaged_file_stays_with_its_reason(tmp_path, write_dicom):
    write_sheet(tmp_path, ["D1-0001,L,44,2,mass,Benign,"])
    good = tmp_path / "CMMD" / "D1-0001" / "1-1.dcm"
    write_dicom(good, patient="D1-0001", side="L", view="CC", pixels=BLACK)
    (good.parent / "1-2.dcm").write_bytes(b"no DICOM at all" * 20)
    manifest = read_cmmd(tmp_path)
    bad = manifest.images.filter(pl.col("left_out").is_not_null()).row(0, named=True)
    assert (bad["patient_id"], bad["left_out"]) == ("D1-0001", "not_dicom")


def test_a_second_file_of_an_image_is_left_out(tmp_path, write_dicom):
    write_sheet(tmp_path, ["D1-0001,L,44,2,mass,Benign,"])
    for folder in ("mirror", "original"):
        path = tmp_path / folder / "1-1.dcm"
        write_dicom(path, patient="D1-0001", side="L", view="CC", pixels=BLACK, uid="1.2.3")
    assert read_cmmd(tmp_path).images.select("image_id", "left_out").rows() == [
        ("1.2.3", None),
        ("1.2.3#original/1-1.dcm", "duplicate"),
    ]


def test_a_breast_with_two_rows_is_refused(tmp_path, write_dicom):
    write_sheet(tmp_path, ["D1-0001,L,44,2,mass,Benign,", "D1-0001,L,44,2,mass,Malignant,"])
    path = tmp_path / "1-1.dcm"
    write_dicom(path, patient="D1-0001", side="L", view="CC", pixels=BLACK)
    with pytest.raises(ManifestError, match=r"revision.csv:3: breast L of D1-0001 has two rows"):
        read_cmmd(tmp_path)
