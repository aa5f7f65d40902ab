"""CBIS-DDSM: four tables that overlap, masks that hide among crops, patients on both sides."""

import numpy as np
import polars as pl
import pytest

from fourview.errors import ManifestError
from fourview.manifest.check import check_manifest
from fourview.manifest.manifest import images_with_labels, make_manifest
from fourview.sources.cbis_ddsm import read_cbis_ddsm

MASS = "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
MASS += "mass shape,mass margins,assessment,pathology,subtlety,image file path,"
MASS += "cropped image file path,ROI mask file path"
CALC = "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,"
CALC += "calc type,calc distribution,assessment,pathology,subtlety,image file path,"
CALC += "cropped image file path,ROI mask file path"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def row(
    kind, part, patient, side="LEFT", view="CC", number=1, pathology="BENIGN", density=2, birads=4
):
    word = {"mass": "Mass", "calc": "Calc"}[kind]
    case = f"{word}-{ {'train': 'Training', 'test': 'Test'}[part] }_{patient}_{side}_{view}"
    image = f"{case}/1.3.6.1.4.1.9590.1/1.3.6.1.4.1.9590.2/000000.dcm"
    roi, crop = f"{case}_{number}/1.3.6/1.3.7/000001.dcm", f"{case}_{number}/1.3.6/1.3.7/000000.dcm"
    last = f'{crop},"{roi}\n"' if kind == "mass" else f'"{crop}\n",{roi}'
    kinds = "mass,IRREGULAR,SPICULATED" if kind == "mass" else "calcification,PLEOMORPHIC,CLUSTERED"
    return (
        f"{patient},{density},{side},{view},{number},{kinds},{birads},{pathology},3,{image},{last}"
    )


def write_tables(root, **tables):
    for kind, header in (("mass", MASS), ("calc", CALC)):
        for part in ("train", "test"):
            lines = tables.get(f"{kind}_{part}", [])
            path = root / f"{kind}_case_description_{part}_set.csv"
            path.write_text("\n".join([header, *lines]) + "\n")


def published_shape():
    """Rows with the counts of the published tables.

    Films: mass 1,231 train and 361 test, calc 1,227 and 284, of which 38 are in both train tables,
    4 in both test tables and 29 in a train and a test table: 3,032 films, 2,420 in train and 641 in
    test. Patients: those 29 films are of 29 patients, 2 more have another film on either side.
    """
    crossing = [(f"P_{n:05d}", "LEFT", "CC") for n in range(29)]
    split = [f"P_{n:05d}" for n in (29, 30)]
    train_only = [(p, "LEFT", "CC") for p in split]
    test_only = [(p, "LEFT", "MLO") for p in split]
    views = [("LEFT", "CC"), ("LEFT", "MLO"), ("RIGHT", "CC")]
    for first, doubles, others, single in ((100, 1154, 81, 1), (2000, 290, 10, 3)):
        films = train_only if single == 1 else test_only
        for n in range(doubles + others):
            count = 2 if n < doubles else single
            films += [(f"P_{first + n:05d}", *view) for view in views[:count]]
    assert (len(train_only), len(test_only)) == (2391, 612)
    malignant = {*crossing[:10], *train_only[:1087], *test_only[:252]}
    films = {
        "mass_train": train_only[:1231],
        "calc_train": train_only[:38] + train_only[1231:] + crossing,
        "mass_test": test_only[:332] + crossing,
        "calc_test": test_only[:4] + test_only[332:],
    }
    more = {"mass_train": 87, "calc_train": 319, "mass_test": 17, "calc_test": 42}
    tables = {}
    for name, listed in films.items():
        kind, part = name.split("_")
        lines = [row(kind, part, *f, pathology=_pathology(f, malignant)) for f in listed]
        for n, film in enumerate(listed[40 : 40 + more[name]]):
            other = "BENIGN" if name == "mass_train" and n < 39 else _pathology(film, malignant)
            lines.append(row(kind, part, *film, number=2, pathology=other))
        tables[name] = lines
    return tables


def _pathology(film, malignant):
    return "MALIGNANT" if film in malignant else "BENIGN_WITHOUT_CALLBACK"


def test_has_the_published_counts(tmp_path):
    tables = published_shape()
    assert {name: len(lines) for name, lines in tables.items()} == {
        "mass_train": 1318,
        "calc_train": 1546,
        "mass_test": 378,
        "calc_test": 326,
    }
    write_tables(tmp_path, **tables)
    manifest = read_cbis_ddsm(tmp_path)
    assert len(manifest.findings) == 3568
    assert len(manifest.exams) == 1566
    assert len(manifest.images) == 3032
    in_train = manifest.images.filter(pl.col("published_split").is_in(["train", "both"]))
    in_test = manifest.images.filter(pl.col("published_split").is_in(["test", "both"]))
    assert (len(in_train), len(in_test)) == (2420, 641)
    assert (in_train["image_cancer"].sum(), in_test["image_cancer"].sum()) == (1097, 262)


def test_the_31_patients_on_both_sides_are_test_and_are_told(tmp_path):
    write_tables(tmp_path, **published_shape())
    manifest = read_cbis_ddsm(tmp_path)
    leaks = [p for p in check_manifest(manifest, files=False) if p.kind == "leak"]
    assert [(p.level, p.count) for p in leaks] == [("note", 31)]
    both = manifest.exams.filter(pl.col("patient_id").is_in([f"P_{n:05d}" for n in range(31)]))
    assert both["split"].to_list() == ["test"] * 31
    train = images_with_labels(manifest).filter(pl.col("split") == "train")
    assert set(train["published_split"]) == {"train"}


def test_a_split_taken_from_the_tables_row_by_row_is_an_error(tmp_path):
    write_tables(tmp_path, **published_shape())
    rows = read_cbis_ddsm(tmp_path).findings.select(
        "patient_id", "image_id", "side", "published_split"
    )
    naive = rows.unique().select(
        "patient_id",
        "side",
        exam_id=pl.format("{}-{}", "patient_id", "published_split"),
        image_id=pl.format("{}-{}", "image_id", "published_split"),
        view=pl.lit("CC"),
        path="image_id",
        split="published_split",
    )
    exams = naive.select("patient_id", "exam_id", "split").unique()
    torn = make_manifest(
        source="naive", root=tmp_path, images=naive.drop("split"), exams=exams, terms=""
    )
    errors = [p for p in check_manifest(torn, files=False) if p.kind == "leak"]
    assert [(p.level, p.count) for p in errors] == [("error", 31)]


def test_labels_are_the_worst_of_the_breast_and_unknown_stays_unknown(tmp_path):
    write_tables(
        tmp_path,
        mass_train=[
            row("mass", "train", "P_00001", birads=0, density=0),
            row("mass", "train", "P_00001", view="MLO", birads=2, density=0),
            row("mass", "train", "P_00002", birads=2, density=4),
        ],
        calc_train=[
            row("calc", "train", "P_00002", pathology="MALIGNANT", birads=5, density=4),
        ],
    )
    manifest = read_cbis_ddsm(tmp_path)
    labels = manifest.breasts.select("patient_id", "cancer", "benign", "birads", "density")
    assert labels.rows() == [
        ("P_00001", 0, 1, 0, None),
        ("P_00002", 1, 1, 5, "D"),
    ]
    images = manifest.images.filter(pl.col("patient_id") == "P_00001")
    assert images.select("view", "birads").rows() == [("CC", 0), ("MLO", 2)]


def mask(rows, cols, box):
    out = np.zeros((rows, cols), np.uint8)
    x0, y0, x1, y1 = box
    out[y0:y1, x0:x1] = 255
    return out


@pytest.fixture
def films(tmp_path, write_dicom):
    """A film of 30 x 20 and, as NBIA now names them, the crop and mask of one abnormality."""

    def make(case, first, second, film=(30, 20)):
        noise = np.random.default_rng(0).integers(1, 60000, film, dtype=np.uint16)
        facts = {"patient": case, "side": None, "view": None, "sop_class": CAPTURE}
        folder = tmp_path / "CBIS-DDSM"
        series = "10-04-2016-DDSM-NA-1/1.000000-full mammogram images-2"
        write_dicom(folder / case / series / "1-1.dcm", pixels=noise, uid="1.2.1", **facts)
        for number, pixels in enumerate((first, second), start=1):
            path = folder / f"{case}_1" / "10-04-2016" / f"1-{number}.dcm"
            write_dicom(path, pixels=pixels, uid=f"1.2.{number + 1}", **facts)
        write_tables(tmp_path, mass_train=[row("mass", "train", "P_00001")])
        return read_cbis_ddsm(tmp_path).findings.row(0, named=True)

    return make


CASE = "Mass-Training_P_00001_LEFT_CC"
CROP = np.arange(24, dtype=np.uint16).reshape(6, 4)


@pytest.mark.parametrize("mask_first", [True, False])
def test_the_mask_is_told_by_size_and_not_by_name(films, mask_first):
    whole = mask(30, 20, (4, 10, 9, 22))
    row = films(CASE, *((whole, CROP) if mask_first else (CROP, whole)))
    assert [row[c] for c in ("x0", "y0", "x1", "y1", "frame")] == [4, 10, 9, 22, "stored"]
    assert row["box_note"] is None


def test_a_crop_of_the_films_size_is_told_by_its_values(films):
    noise = np.arange(600, dtype=np.uint16).reshape(30, 20)
    row = films(CASE, noise, mask(30, 20, (0, 0, 20, 30)))
    assert [row[c] for c in ("x0", "y0", "x1", "y1")] == [0, 0, 20, 30]


def test_a_crop_that_is_saturated_to_two_values_is_not_taken_for_the_mask(films):
    flat = mask(6, 4, (1, 1, 3, 3))
    row = films(CASE, flat, mask(30, 20, (4, 10, 9, 22)))
    assert [row[c] for c in ("x0", "y0", "x1", "y1")] == [4, 10, 9, 22]


def test_a_mask_of_another_size_is_scaled_if_its_shape_agrees(films):
    row = films(CASE, CROP, mask(15, 10, (2, 5, 4, 11)))
    assert [row[c] for c in ("x0", "y0", "x1", "y1")] == [4, 10, 8, 22]
    assert row["box_note"] == "the mask is 15 x 10, the film 30 x 20: scaled"


def test_a_mask_of_another_shape_gives_no_box_and_says_so(films):
    row = films(CASE, CROP, mask(15, 20, (2, 5, 4, 11)))
    assert row["x0"] is None
    assert row["frame"] is None
    assert row["box_note"] == "the mask is 15 x 20, the film 30 x 20: of other shape"


def test_an_abnormality_is_one_finding_over_both_views_only_where_it_is_the_only_one(tmp_path):
    write_tables(
        tmp_path,
        mass_train=[
            row("mass", "train", "P_00001"),
            row("mass", "train", "P_00001", view="MLO"),
            row("mass", "train", "P_00002"),
            row("mass", "train", "P_00002", number=2),
            row("mass", "train", "P_00002", view="MLO"),
        ],
    )
    ids = read_cbis_ddsm(tmp_path).findings["finding_id"]
    assert ids.to_list() == [
        "P_00001-L-mass",
        "P_00001-L-mass",
        "P_00002_LEFT_CC-mass-1",
        "P_00002_LEFT_CC-mass-2",
        "P_00002_LEFT_MLO-mass-1",
    ]


def test_an_unknown_pathology_is_refused_with_its_row(tmp_path):
    write_tables(tmp_path, mass_train=[row("mass", "train", "P_00001", pathology="MALIGN")])
    with pytest.raises(ManifestError, match=r"train_set.csv:2: pathology 'MALIGN' is none of"):
        read_cbis_ddsm(tmp_path)
