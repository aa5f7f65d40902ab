"""CDD-CESM: joined BI-RADS, subtracted images, drawn shapes and masks, both layouts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture

from fourview.errors import ManifestError
from fourview.manifest.check import check_manifest
from fourview.manifest.manifest import images_to_read
from fourview.sources.cdd_cesm import read_cdd_cesm

HEADER = "Image_name,Patient_ID,Side,Type,Age,Breast density (ACR),BIRADS,Findings,View,Tags,"
HEADER += "Machine,Pathology Classification/ Follow up"
LOW, SUBTRACTED = "Low energy images of CDD-CESM", "Subtracted images of CDD-CESM"
VIA = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
VIA += "region_attributes"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "cdd_cesm"


def line(name, kind="DM", density="C", birads="4", tags="mass", pathology="Malignant"):
    patient, side, _, view = name.strip().split("_")
    start = f"{name},{patient[1:]},{side},{kind},46,{density},{birads}"
    return f'{start},a$b,{view},"{tags}",1,{pathology}'


def write(root, lines, via=()):
    (root / "Radiology-manual-annotations.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    if via:
        path = root / "Radiology_hand_drawn_segmentations_v2.csv"
        path.write_text("\n".join([VIA, *via]) + "\n")


def shape(image, /, **drawn):
    text = json.dumps(drawn).replace('"', '""')
    return f'{image}.jpg,1,"{{}}",1,0,"{text}","{{}}"'


def jpeg(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path, quality=100)


def test_has_the_published_counts(tmp_path):
    """2,006 images of 326 patients: 1,003 low-energy and 1,003 subtracted."""
    lines = []
    for number in range(1003):
        name = f"P{number % 326 + 1}_{'LR'[number // 652]}_DM_{('MLO', 'CC')[number // 326 % 2]}"
        known = ("Normal", "Malignant", "Benign")[number % 3]
        lines += [line(name, pathology="Malignant" if number % 326 < 100 else known)]
        lines += [line(name.replace("DM", "CM"), kind="CESM", density="_", birads="4$2")]
    write(tmp_path, list(dict.fromkeys(lines)))
    manifest = read_cdd_cesm(tmp_path)
    assert len(manifest.images) == 2 * len(images_to_read(manifest))
    assert len(manifest.exams) == 326
    assert manifest.images["left_out"].drop_nulls().unique().to_list() == ["subtracted"]


def test_the_most_severe_of_joined_categories_is_the_breasts(tmp_path):
    lines = [
        line("P1_L_DM_CC ", birads="3$2", density="_", pathology="Benign"),
        line("P1_L_DM_MLO", birads="2$4", density="B", pathology="Benign"),
        line("P1_R_DM_CC", birads="2$0", pathology="Normal"),
    ]
    write(tmp_path, lines)
    manifest = read_cdd_cesm(tmp_path)
    labels = manifest.breasts.select("side", "birads", "density", "cancer", "benign")
    assert labels.rows() == [
        ("L", 4, "B", 0, 1),
        ("R", 0, "C", 0, 0),
    ]
    assert manifest.images.select("image_id", "birads").rows() == [
        ("P1_L_DM_CC", 3),
        ("P1_L_DM_MLO", 4),
        ("P1_R_DM_CC", 0),
    ]


def test_shapes_become_boxes_in_stored_pixels(tmp_path):
    drawn = [
        {"name": "polygon", "all_points_x": [10, 30, 20], "all_points_y": [5, 8, 40]},
        {"name": "circle", "cx": 50, "cy": 60, "r": 10},
        {"name": "ellipse", "cx": 50, "cy": 60, "rx": 20, "ry": 5, "theta": np.pi / 2},
        {"name": "point", "cx": 7, "cy": 9},
        {"name": "circle", "cx": 95, "cy": 60, "r": 10},
    ]
    write(tmp_path, [line("P1_L_DM_CC")], [shape("P1_L_DM_CC", **one) for one in drawn])
    jpeg(tmp_path / LOW / "P1_L_DM_CC.jpg", np.zeros((120, 100), np.uint8))
    findings = read_cdd_cesm(tmp_path).findings.sort("finding_id")
    want = [
        (10, 5, 30, 40),
        (40, 50, 60, 70),
        (45, 40, 55, 80),
        (7, 9, 8, 10),
        (85, 50, 100, 70),  # cut at the edge
    ]
    # a curve is drawn as 32 points, two on each axis: its box is exact but for rounding
    np.testing.assert_allclose(findings.select("x0", "y0", "x1", "y1").to_numpy(), want, atol=1e-9)
    assert findings["box_note"].to_list() == [None] * 4 + ["cut at the edge"]


def test_each_connected_part_of_a_mask_is_a_region_and_a_speck_has_no_box(tmp_path):
    pixels = np.zeros((64, 64), np.uint8)
    pixels[8:20, 10:30] = 255
    pixels[40:56, 32:48] = 255
    pixels[2:4, 60:62] = 255
    write(tmp_path, [line("P1_L_DM_CC", birads="4$2")])
    jpeg(tmp_path / "images" / "P1_L_DM_CC.jpg", pixels)
    jpeg(tmp_path / "masks" / "P1_L_DM_CC.jpg", pixels)
    findings = read_cdd_cesm(tmp_path).findings.sort("y0", nulls_last=True)
    assert findings.select("x0", "y0", "x1", "y1").rows() == [
        (10, 8, 30, 20),
        (32, 40, 48, 56),
        (None, None, None, None),
    ]
    assert findings["box_note"].to_list() == [None, None, "a speck of 4 pixels"]
    assert findings["malignant"].to_list() == [None] * 3  # which of the two findings, is not told


def test_a_kind_is_named_only_where_the_tags_name_one(tmp_path):
    names = ("P1_L_DM_CC", "P2_L_DM_CC", "P3_L_DM_CC")
    tags = ("malignant mass, speculated", "mass, calcification", "edema")
    point = {"name": "point", "cx": 1, "cy": 1}
    write(
        tmp_path,
        [line(n, tags=t) for n, t in zip(names, tags, strict=True)],
        [shape(n, **point) for n in names],
    )
    assert read_cdd_cesm(tmp_path).findings["kind"].to_list() == ["mass", "region", "region"]


def test_images_that_the_table_does_not_tell_of_stay_and_are_left_out(tmp_path):
    point = {"name": "point", "cx": 1, "cy": 1}
    write(tmp_path, [line("P1_L_DM_CC")], [shape("P2_R_DM_MLO", **point)])
    jpeg(tmp_path / LOW / "P3_L_DM_CC.jpg", np.zeros((8, 8), np.uint8))
    manifest = read_cdd_cesm(tmp_path)
    assert manifest.images.select("image_id", "side", "left_out").rows() == [
        ("P1_L_DM_CC", "L", None),
        ("P2_R_DM_MLO", "R", "not_in_table"),
        ("P3_L_DM_CC", "L", "not_in_table"),
    ]
    assert manifest.findings["image_id"].to_list() == ["P2_R_DM_MLO"]
    assert manifest.breasts["cancer"].to_list() == [1, None, None]
    assert manifest.breasts["benign"].to_list() == [0, None, None]
    jpeg(tmp_path / LOW / "thumb.jpg", np.zeros((8, 8), np.uint8))
    with pytest.raises(ManifestError, match="image 'thumb' is not named like P1_L_DM_CC"):
        read_cdd_cesm(tmp_path)


def test_an_unknown_shape_is_refused_with_its_row(tmp_path):
    write(tmp_path, [line("P1_L_DM_CC")], [shape("P1_L_DM_CC", name="star")])
    with pytest.raises(ManifestError, match=r"_v2.csv:2: .*unknown shape 'star'"):
        read_cdd_cesm(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real images of CDD-CESM are not here")
def test_reads_the_real_images():
    manifest = read_cdd_cesm(SHARED)
    assert (len(manifest.images), len(manifest.exams)) == (105, 60)
    assert manifest.breasts["cancer"].to_list() == [1] * 61
    assert {p.level for p in check_manifest(manifest, files=True)} == {"note"}  # one class only
    bad = manifest.images.filter((pl.col("rows") != 512) | (pl.col("cols") != 512))
    assert bad.is_empty()
    for name, x0, y0, x1, y1 in (
        manifest.findings.drop_nulls("x0")
        .select("image_id", "x0", "y0", "x1", "y1")
        .head(20)
        .rows()
    ):
        mask = np.asarray(Picture.open(SHARED / "masks" / f"{name}.jpg").convert("L")) > 127
        part = mask[int(y0) : int(y1), int(x0) : int(x1)]
        assert part.any(axis=1).all()  # no empty row or column: the box is tight
        assert part.any(axis=0).all()
