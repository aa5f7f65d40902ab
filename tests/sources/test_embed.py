"""EMBED: which row speaks for which breast, and what it may not say."""

import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.manifest import images_to_read
from fourview.sources.embed import read_embed

IMAGES = ",empi_anon,acc_anon,anon_dicom_path,FinalImageType,ImageLateralityFinal,ViewPosition,"
IMAGES += "StudyDescription,SeriesDescription,spot_mag,ROI_coords,num_roi"
FINDINGS = ",empi_anon,acc_anon,side,asses,tissueden,age_at_study,ETHNICITY_DESC,ETHNIC_GROUP_DESC,"
FINDINGS += "numfind,massshape,massdens,calcfind,calcdistri,path_severity,bside"
NAS = "/mnt/NAS2/mammo/anon_dicom"


def image(
    name, side="L", view="CC", kind="2D", exam="900", spot="", roi="()", study="MG Screening"
):
    path = f"{NAS}/cohort_1/100/{exam}/{name}.dcm"
    return f'0,100,{exam},{path},{kind},{side},{view},{study},L CC,{spot},"{roi}",0'


def row(side="L", asses="N", den="2.0", exam="900", **codes):
    who = "African  American  or Black,Unknown~Hispanic"
    names = ("shape", "mass", "calc", "dist", "path", "bside")
    last = ",".join(codes.get(name, "") for name in names)
    return f"0,100,{exam},{side},{asses},{den},61.4,{who},1,{last}"


@pytest.fixture
def tree(tmp_path):
    def make(images, rows, **options):
        tables = tmp_path / "tables"
        tables.mkdir(exist_ok=True)
        text = "\ufeff" + "\n".join([IMAGES, *images]) + "\n"
        (tables / "EMBED_OpenData_metadata_reduced_anon.csv").write_text(text, encoding="utf-8")
        text = "\n".join([FINDINGS, *rows]) + "\n"
        (tables / "EMBED_OpenData_clinical.csv").write_text(text, encoding="utf-8")
        return read_embed(tmp_path, **options)

    return make


def breasts(manifest, *columns):
    return manifest.breasts.select("side", *columns).rows()


def test_the_other_breasts_row_is_never_borrowed(tree):
    manifest = tree([image("a", "L"), image("b", "R")], [row("L", "M", path="0")])
    assert breasts(manifest, "birads", "density", "cancer") == [
        ("L", 5, "B", 1),
        ("R", None, None, None),
    ]


@pytest.mark.parametrize(
    ("sides", "left", "right"),
    [("LB", 5, 4), ("B", 5, 5), ("L", 5, 5), ("R", 5, 5), (" B", 4, 4)],
)
def test_the_published_rule_can_be_asked_for(tree, sides, left, right):
    """Rows are M, then S, of these sides: a breast without own rows takes B's, then anyone's."""
    rows = [row(side.strip(), letter) for side, letter in zip(sides, "MS", strict=False)]
    manifest = tree([image("a", "L"), image("b", "R")], rows, label_rule="mama")
    assert breasts(manifest, "birads") == [("L", left), ("R", right)]
    assert "other breast's too" in manifest.label_rules["birads"]


@pytest.mark.parametrize("side", ["B", ""])
def test_a_row_of_both_or_of_no_side_speaks_for_both(tree, side):
    manifest = tree([image("a", "L"), image("b", "R")], [row(side, "P")])
    assert breasts(manifest, "birads") == [("L", 3), ("R", 3)]


@pytest.mark.parametrize(
    ("letters", "birads"),
    [("BAN", 0), ("BA", 0), ("NB", 2), ("AP", 3), ("SAM", 5), ("K", 6), ("X", None), ("XB", 2)],
)
def test_a_recall_outranks_benign_and_invalid_letters_do_not_count(tree, letters, birads):
    manifest = tree([image("a")], [row(asses=letter) for letter in letters])
    assert breasts(manifest, "birads") == [("L", birads)]


def test_the_row_that_gives_birads_gives_the_words_too(tree):
    rows = [
        row(asses="B", shape="R", mass="-", den="3.0"),
        row(asses="S", shape="X", mass="+", calc="P", dist="G", den="3.0"),
    ]
    manifest = tree([image("a")], rows)
    columns = ("birads", "mass_shape", "mass_density", "calc_type", "calc_distribution", "density")
    assert breasts(manifest, *columns) == [
        ("L", 4, "irregular", "high density", "punctate", "grouped", "C")
    ]


@pytest.mark.parametrize(
    ("rows", "left", "right"),
    [
        ([row("L", path="1.0")], 1, None),
        ([row("B", path="0", bside="R")], None, 1),
        ([row("L", path="4"), row("L", path="0")], 1, None),
        ([row("L", path="5")], 0, None),
        ([row("L", path="6")], None, None),
        ([row("", path="0")], None, None),  # nothing names the breast
        ([row("L")], None, None),
    ],
)
def test_cancer_is_of_the_breast_that_the_biopsy_names(tree, rows, left, right):
    manifest = tree([image("a", "L"), image("b", "R")], rows)
    assert breasts(manifest, "cancer") == [("L", left), ("R", right)]


def test_only_whole_2d_views_are_read_and_the_rest_is_kept_with_a_reason(tree):
    images = [
        image("a"),
        image("b", kind="cview"),
        image("c", kind="C-view"),
        image("d", kind="3D"),
        image("e", kind="ROI_SSC"),
        image("f", spot="1"),
        image("g", spot="1.0"),
        image("h", spot="0"),
        image("i", side=""),
        image("j", view=""),
    ]
    manifest = tree(images, [row()])
    assert dict(manifest.images.select("image_id", "left_out").rows()) == {
        "a": None,
        "b": "synthetic",
        "c": "synthetic",
        "d": "tomosynthesis",
        "e": "roi_capture",
        "f": "spot_or_magnification",
        "g": "spot_or_magnification",
        "h": None,
        "i": "view",
        "j": "view",
    }
    modifiers = dict(manifest.images.select("image_id", "modifiers").rows())
    assert (modifiers["a"], modifiers["h"]) == (None, [])  # blank is unknown, 0 is none


def test_paths_lose_the_hospitals_prefix(tree, tmp_path):
    assert tree([image("a")], [row()]).images["path"].to_list() == ["cohort_1/100/900/a.dcm"]
    (tmp_path / "images").mkdir()
    assert read_embed(tmp_path).images["path"].to_list() == ["images/cohort_1/100/900/a.dcm"]


def test_regions_are_y_first_and_their_frame_is_told_to_be_unknown(tree):
    manifest = tree(
        [image("a", roi="[[10, 20, 30, 45], [1.5, 2, 3, 4]]"), image("b", roi="()")], [row()]
    )
    assert manifest.findings.select("image_id", "x0", "y0", "x1", "y1", "frame").rows() == [
        ("a", 20, 10, 45, 30, "flipped_unknown"),
        ("a", 2, 1.5, 4, 3, "flipped_unknown"),
    ]


def test_a_man_and_a_blank_have_no_density(tree):
    for density in ("5.0", ""):
        assert breasts(tree([image("a")], [row(den=density)]), "density") == [("L", None)]


def test_words_of_people_are_kept_and_unknown_ones_are_null(tree):
    exam = tree([image("a", study="MG Diagnostic Left")], [row()]).exams.row(0, named=True)
    assert exam["race"] == "African American or Black"
    assert exam["ethnicity"] is None
    assert (exam["age"], exam["screening"]) == (61.4, False)


def test_ids_are_the_same_from_integers_and_floats(tree):
    manifest = tree([image("a", exam="900")], [row(exam="900.0")])
    assert breasts(manifest, "birads") == [("L", 1)]
    assert not manifest.may_release_weights


def test_shares_of_a_large_screening_table_come_back(tree):
    """3,000 exams with the published shares of BI-RADS and density; classes are per image."""
    shares = {"A": 0.156, "N": 0.742, "B": 0.102}
    letters = [k for k, share in shares.items() for _ in range(round(share * 3000))]
    densities = ["1.0"] * 351 + ["2.0"] * 1266 + ["3.0"] * 1236 + ["4.0"] * 147
    images = [image(f"i{n}{s}", s, exam=str(n)) for n in range(3000) for s in "LR"]
    rows = [row(side, letters[n], densities[n], exam=str(n)) for n in range(3000) for side in "LR"]
    manifest = tree(images, rows)
    assert len(images_to_read(manifest)) == 6000
    counts = manifest.breasts["birads"].value_counts().sort("birads")
    assert counts.rows() == [(0, 936), (1, 4452), (2, 612)]
    density = manifest.breasts["density"].value_counts().sort("density")["count"]
    assert density.to_list() == [702, 2532, 2472, 294]
    assert manifest.breasts.filter(pl.col("cancer").is_not_null()).is_empty()


def test_an_unknown_image_type_is_refused_with_its_row(tree):
    with pytest.raises(ManifestError, match=r"reduced_anon.csv:2: FinalImageType '4D' is none of"):
        tree([image("a", kind="4D")], [row()])
