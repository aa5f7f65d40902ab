"""INbreast: a table without patients, names with them, plists with many spellings."""

import plistlib

import numpy as np
import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.evaluate.labels import labelled_units
from fourview.manifest.image_labels import with_natures
from fourview.sources.inbreast import read_inbreast

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
HASH = "6bd24a0a42c19ce1"
PIXELS = np.zeros((60, 40), np.uint16)


def line(file, side="R", view="CC", acr="2", birads="4a"):
    return f"removed;removed;{side};{view};201001;{file};{acr};{birads}"


@pytest.fixture
def tree(tmp_path, write_dicom):
    def make(lines, files, xml=()):
        (tmp_path / "INbreast.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        for number, (file, patient, side, view) in enumerate(files):
            path = tmp_path / "AllDICOMs" / f"{file}_{patient}_MG_{side}_{view}_ANON.dcm"
            write_dicom(
                path, patient="removed", side=None, view=None, pixels=PIXELS, uid=f"1.2.{number}"
            )
        for file, rois in xml:
            path = tmp_path / "AllXML" / f"{file}.xml"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(
                plistlib.dumps({"Images": [{"NumberOfROIs": len(rois), "ROIs": rois}]})
            )
        return read_inbreast(tmp_path)

    return make


def roi(name, *points):
    return {
        "Name": name,
        "NumberOfPoints": len(points),
        "Point_px": list(points),
        "IndexInImage": 0,
    }


def test_patients_come_from_file_names_and_labels_from_birads(tree):
    manifest = tree(
        [
            line("20586908", view="CC", birads="4a"),
            line("20586934", view="MLO", birads="2"),
            line("20586960", side="L", view="MLO", acr="", birads="3"),
            ";;;;;;;",
        ],
        [
            ("20586908", HASH, "R", "CC"),
            ("20586934", HASH, "R", "ML"),
            ("20586960", HASH, "L", "ML"),
        ],
    )
    assert manifest.images.select("image_id", "patient_id", "side", "view", "rows").rows() == [
        ("20586908", HASH, "R", "CC", 60),
        ("20586934", HASH, "R", "MLO", 60),
        ("20586960", HASH, "L", "MLO", 60),
    ]
    assert manifest.breasts.select("side", "birads", "density", "cancer").rows() == [
        ("L", 3, None, 0),
        ("R", 4, "B", 1),
    ]


def test_rows_without_a_file_and_files_without_a_row_stay(tree):
    manifest = tree([line("1"), line("2")], [("1", HASH, "R", "CC"), ("3", "ffee", "L", "CC")])
    assert manifest.images.sort("image_id").select("image_id", "left_out").rows() == [
        ("1", None),
        ("2", "no_file"),
        ("3", "not_in_table"),
    ]


def test_regions_of_all_spellings_are_in_the_stored_frame(tree):
    rois = [
        roi("Mass", "(10.5, 20.25)", "(30, 22)", "(20, 50.5)"),
        roi("Espiculated Region", "(1, 2)", "(3, 4)", "(5, 1)"),
        roi("Assymetry", "(1, 2)", "(3, 4)", "(5, 1)"),
        roi("Point 3", "(7.5, 9.5)"),
        roi("Unnamed", "(39.5, 59.5)"),
        roi("Cluster", "(35, 50)", "(45, 50)", "(45, 70)"),
    ]
    findings = tree([line("1")], [("1", HASH, "R", "CC")], [("1", rois)]).findings
    assert findings.select("kind", "x0", "y0", "x1", "y1").rows() == [
        ("mass", 10.5, 20.25, 30, 50.5),
        ("spiculated_region", 1, 1, 5, 4),
        ("asymmetry", 1, 1, 5, 4),
        ("calcification", 7, 9, 8, 10),
        ("calcification", 39, 59, 40, 60),
        ("cluster", 35, 50, 40, 60),
    ]
    assert findings["polygon"][0].to_list() == [10.5, 20.25, 30, 22, 20, 50.5]
    assert findings["malignant"].null_count() == 6


def test_has_the_published_counts_of_birads(tree):
    """410 images: BI-RADS 1: 67, 2: 220, 3: 23, 4a: 13, 4b: 8, 4c: 22, 5: 49, 6: 8."""
    counts = {"1": 67, "2": 220, "3": 23, "4a": 13, "4b": 8, "4c": 22, "5": 49, "6": 8}
    levels = [level for level, count in counts.items() for _ in range(count)]
    lines = [line(str(100 + n), birads=level) for n, level in enumerate(levels)]
    files = [(str(100 + n), f"{n:016x}", "R", "CC") for n in range(410)]
    manifest = tree(lines, files)
    assert len(manifest.images) == 410
    grouped = pl.col("birads").replace_strict({1: "1", 2: "23", 3: "23"}, default="456")
    assert manifest.breasts.select(grouped.alias("g"))["g"].value_counts().sort("g").rows() == [
        ("1", 67),
        ("23", 243),
        ("456", 100),
    ]
    assert manifest.breasts["cancer"].sum() == 100


def test_an_unknown_region_name_or_point_is_refused(tree):
    with pytest.raises(ManifestError, match=r"region 'Blob' is none of"):
        tree([line("1")], [("1", HASH, "R", "CC")], [("1", [roi("Blob", "(1, 2)")])])
    with pytest.raises(ManifestError, match=r"1.xml: cannot read the regions .'1;2' is no point"):
        tree([line("1")], [("1", HASH, "R", "CC")], [("1", [roi("Mass", "1;2")])])


def test_an_unreadable_file_is_left_out_alone(tree, tmp_path):
    tree([line("1"), line("2")], [("1", HASH, "R", "CC"), ("2", HASH, "R", "CC")])
    bad = tmp_path / "AllDICOMs" / f"2_{HASH}_MG_R_CC_ANON.dcm"
    bad.write_bytes(b"cut")
    assert read_inbreast(tmp_path).images["left_out"].to_list() == [None, "not_dicom"]


def test_an_image_keeps_its_own_category_and_the_breast_has_the_worst(tree):
    """Spread over both views of a breast, the worst would make 102 images of 4 and more of 100."""
    manifest = tree(
        [line("1", view="CC", birads="5"), line("2", view="MLO", birads="2")],
        [("1", HASH, "R", "CC"), ("2", HASH, "R", "ML")],
    )
    assert manifest.images.sort("image_id")["birads"].to_list() == [5, 2]
    assert manifest.breasts["birads"].to_list() == [5]
    labels, _ = labelled_units(manifest, "image", "birads-m-vs-bn")
    assert labels.sort("image_id")["label"].to_list() == [1, 0]


def test_a_finding_has_a_nature_only_if_it_is_asked_for(tree):
    mass = [roi("Mass", "(10, 20)", "(30, 22)", "(20, 50)")]
    manifest = tree(
        [line(str(n), birads=b) for n, b in enumerate(("5", "3", "2", "1"))],
        [(str(n), f"{n:016x}", "R", "CC") for n in range(4)],
        [(str(n), mass) for n in range(4)],
    )
    assert manifest.findings["malignant"].null_count() == 4
    by = {rule: with_natures(manifest, rule) for rule in ("birads", "birads-without-3")}
    nature = {k: m.findings.sort("image_id")["malignant"].to_list() for k, m in by.items()}
    assert nature == {"birads": [1, 0, 0, None], "birads-without-3": [1, None, 0, None]}
    assert "4 to 6 malignant, 2 and 3 benign" in by["birads"].label_rules["malignant"]
    with pytest.raises(ManifestError, match="no finding of unknown nature has a BI-RADS of 2 to 6"):
        with_natures(by["birads"], "birads")
