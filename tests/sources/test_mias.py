"""mini-MIAS: origin at the bottom left, patients by number, rows without a place."""

import numpy as np
import polars as pl
import pytest
from PIL import Image as Picture

from fourview.errors import ManifestError
from fourview.sources.mias import read_mias

TEXT = """INTRODUCTION: truth-data, one line an abnormality.

mdb001 G CIRC B 535 425 197
mdb002 G CIRC B 522 280 69
mdb003 D NORM
mdb004 D NORM
mdb005 F CIRC B 477 133 30
mdb005 F CIRC M 500 168 26
mdb006 F SPIC M 10 1020 30
mdb216 D CALC M *NOTE 3*
mdb059 F CIRC B
"""


def write(root, text=TEXT):
    (root / "Info.txt").write_text(text)
    return read_mias(root)


def test_rows_are_counted_from_the_bottom(tmp_path):
    findings = write(tmp_path).findings
    first = findings.filter(pl.col("image_id") == "mdb001").row(0, named=True)
    assert [first[c] for c in ("x0", "y0", "x1", "y1")] == [338, 402, 732, 796]  # row 1024 - 425
    cut = findings.filter(pl.col("image_id") == "mdb006").row(0, named=True)
    assert [cut[c] for c in ("x0", "y0", "x1", "y1")] == [0, 0, 40, 34]
    assert cut["box_note"] == "cut at the edge"


def test_the_place_of_a_finding_is_where_it_was_planted(tmp_path):
    """A bright square drawn into the pixels by the README's own rule is inside the box."""
    pixels = np.zeros((1024, 1024), np.uint8)
    x, y = 535, 425
    pixels[1024 - y - 2 : 1024 - y + 2, x - 2 : x + 2] = 255
    Picture.fromarray(pixels).save(tmp_path / "mdb001.pgm")
    box = write(tmp_path).findings.filter(pl.col("image_id") == "mdb001").row(0, named=True)
    seen = np.asarray(Picture.open(tmp_path / "mdb001.pgm"))
    middle = seen[int(box["y0"] + box["y1"]) // 2, int(box["x0"] + box["x1"]) // 2]
    assert middle == 255


def test_patients_sides_and_labels_follow_the_readme(tmp_path):
    manifest = write(tmp_path)
    images = manifest.images.select("image_id", "patient_id", "side", "view")
    assert images.filter(pl.col("patient_id") == "3").rows() == [
        ("mdb005", "3", "R", "MLO"),
        ("mdb006", "3", "L", "MLO"),
    ]
    cancer = manifest.breasts.select("patient_id", "side", "cancer", "tissue", "density")
    assert cancer.filter(pl.col("patient_id").is_in(["1", "2", "3"])).rows() == [
        ("1", "L", 0, "G", None),
        ("1", "R", 0, "G", None),
        ("2", "L", 0, "D", None),
        ("2", "R", 0, "D", None),
        ("3", "L", 1, "F", None),
        ("3", "R", 1, "F", None),
    ]
    benign = manifest.breasts.filter(pl.col("patient_id").is_in(["1", "2", "3"]))["benign"]
    assert benign.to_list() == [1, 1, 0, 0, 0, 1]  # mdb005 has one of each


def test_findings_without_a_place_stay_with_a_note(tmp_path):
    placeless = write(tmp_path).findings.filter(pl.col("x0").is_null())
    assert placeless.select("image_id", "box_note", "frame").sort("image_id").rows() == [
        ("mdb059", "no place is given", None),
        ("mdb216", "*NOTE 3*", None),
    ]


def test_has_the_published_counts(tmp_path):
    """322 images, 330 rows: 207 normal, 63 benign, 51 malignant, 1 with both; 119 placed."""
    lines = [f"mdb{n:03d} F NORM" for n in range(1, 208)]
    place = " 500 500 20"
    lines += [f"mdb{n:03d} F CIRC B{place if n < 275 else ''}" for n in range(208, 271)]
    lines += [f"mdb{n:03d} F SPIC M{place if n < 318 else ''}" for n in range(271, 322)]
    lines += [f"mdb322 F CIRC B{place}", f"mdb322 F CIRC M{place}"]
    lines += [f"mdb{n:03d} F CIRC B{place}" for n in range(208, 215)]
    manifest = write(tmp_path, "\n".join(lines))
    assert len(lines) == 330
    assert (len(manifest.images), len(manifest.exams)) == (322, 161)
    assert manifest.breasts["cancer"].value_counts().sort("cancer").rows() == [(0, 270), (1, 52)]
    assert manifest.findings["x0"].count() == 119


def test_a_side_that_the_pixels_contradict_is_marked(tmp_path):
    for number in range(1, 9):
        pixels = np.zeros((1024, 1024), np.uint8)
        on_left = (number % 2 == 1) != (number == 7)
        pixels[:, slice(0, 300) if on_left else slice(700, 1024)] = 200
        Picture.fromarray(pixels).save(tmp_path / f"mdb{number:03d}.pgm")
    text = "\n".join(f"mdb{n:03d} F NORM" for n in range(1, 10))
    images = write(tmp_path, text).images.sort("image_id")
    assert images["side_doubtful"].to_list() == [False] * 6 + [True, False, None]


def test_a_line_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"Info.txt:1: cannot read 'mdb001 Q CIRC B 1 2 3'"):
        write(tmp_path, "mdb001 Q CIRC B 1 2 3")
