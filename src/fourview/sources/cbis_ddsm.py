"""CBIS-DDSM, digitised film (TCIA) -> Manifest.

Reads:   the four {mass,calc}_case_description_{train,test}_set.csv; headers of the films and masks
         that are below ROOT, and the pixels of the masks, for their boxes. Files are found by their
         case folder (Mass-Training_P_00001_LEFT_CC, and _1 behind it for the first abnormality's
         crop and mask): the paths in the tables are of an older download.
Labels:  pathology of an abnormality; a breast is cancer where one of its abnormalities is
         MALIGNANT, BENIGN and BENIGN_WITHOUT_CALLBACK are not; it is ``benign`` where one of them
         is either of these. BI-RADS is ``assessment``, the image's own too; density 0 is unknown.
Exams:   one exam per patient: the study of a DICOM file here is a single view.
Split:   as published, by patient: 31 patients are in train for one type and in test for the
         other, and are test here; ``published_split`` keeps the tables' word, "both" where an image
         is in both.
Masks:   which of the two files is the mask differs between mass and calc: it is the one of the
         film's size. Where its size differs from the film's, shapes that agree are scaled and
         others have no box; ``box_note`` says so.
Findings: abnormality ids are counted anew in each view, so only where every view of a breast has
         one abnormality of a kind are its regions one finding.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.manifest.manifest import make_manifest
from fourview.sources._cbis_files import case_folders, film_files, mask_boxes
from fourview.sources._tables import (
    find_file,
    most_severe_birads,
    one_value,
    read_table,
    require_values,
    with_numbers,
)

COLUMNS = (
    *("patient_id", "density", "left or right breast", "image view", "abnormality id"),
    *("assessment", "pathology", "subtlety", "image file path", "ROI mask file path"),
)
MASS_COLUMNS = ("mass shape", "mass margins")
CALC_COLUMNS = ("calc type", "calc distribution")
ALIASES = {"breast_density": "density", "breast density": "density"}
SIDES = {"LEFT": "L", "RIGHT": "R"}
MALIGNANT = {"MALIGNANT": 1, "BENIGN": 0, "BENIGN_WITHOUT_CALLBACK": 0}
DENSITIES = {1: "A", 2: "B", 3: "C", 4: "D"}
SETS = {"train": "Training", "test": "Test"}
KINDS = {"mass": "mass", "calc": "calcification"}
TERMS = (
    "CBIS-DDSM (TCIA), CC BY 3.0; cite Lee et al. 2017, Scientific Data 4:170177, and "
    "doi:10.7937/K9/TCIA.2016.7O02S9CY."
)
RULES = {
    "cancer": "1 where an abnormality of the breast is MALIGNANT, else 0",
    "benign": "1 where an abnormality of the breast is BENIGN or BENIGN_WITHOUT_CALLBACK, else 0",
    "birads": "assessment, the most severe of the breast, or of the image; 0 outranks 1 and 2",
    "density": "breast density 1 to 4 as A to D, where all rows of the breast agree; 0 is unknown",
    "image_cancer": "1 where an abnormality seen on the image is MALIGNANT, else 0",
}


def read_cbis_ddsm(root: Path) -> Manifest:
    """Turn the four tables, and the files that are there, into a manifest.

    Raises:
        ManifestError: A table or column is missing, or a row holds a value that is not known.
    """
    rows = pl.concat(
        [_read_rows(root, kind, part) for kind in KINDS for part in SETS], how="diagonal"
    )
    folders = case_folders(root)
    images = _images(rows, root, folders)
    breasts = rows.group_by("patient_id", "exam_id", "side", maintain_order=True).agg(
        most_severe_birads(),
        one_value("density"),
        cancer=pl.col("malignant").max(),
        benign=1 - pl.col("malignant").min(),
    )
    parts = pl.col("published_split")
    exams = rows.group_by("patient_id", "exam_id", maintain_order=True).agg(
        one_value("density"),
        split=pl.when((parts == "test").any()).then(pl.lit("test")).otherwise(pl.lit("train")),
    )
    return make_manifest(
        source="cbis_ddsm",
        root=root,
        images=images,
        breasts=breasts,
        exams=exams,
        findings=_findings(rows, images, root, folders),
        terms=TERMS,
        label_rules=RULES,
    )


def _read_rows(root: Path, kind: str, part: str) -> pl.DataFrame:
    path = find_file(root, f"{kind}_case_description_{part}_set.csv")
    own = MASS_COLUMNS if kind == "mass" else CALC_COLUMNS
    table = read_table(path, (*COLUMNS, *own), aliases=ALIASES)
    require_values(table, "left or right breast", tuple(SIDES), path)
    require_values(table, "image view", ("CC", "MLO"), path)
    require_values(table, "pathology", tuple(MALIGNANT), path)
    table = with_numbers(table, ("density", "assessment", "subtlety"), path, whole=True)
    case = pl.col("image file path").str.extract(r"((?:Mass|Calc)-[^/\\]+)[/\\]")
    series = pl.col("image file path").str.extract(r"[/\\]([\d.]+)[/\\][^/\\]+$")
    return table.select(
        *own,
        "patient_id",
        "subtlety",
        "pathology",
        exam_id="patient_id",
        side=pl.col("left or right breast").replace_strict(SIDES),
        view="image view",
        image_id=pl.format(
            "{}_{}_{}", "patient_id", pl.col("left or right breast"), pl.col("image view")
        ),
        number="abnormality id",
        kind=pl.lit(KINDS[kind]),
        case=case,
        series=series,
        table_path="image file path",
        density=pl.col("density").replace_strict(DENSITIES, default=None, return_dtype=pl.String),
        birads=pl.col("assessment"),
        malignant=pl.col("pathology").replace_strict(MALIGNANT, return_dtype=pl.Int8),
        published_split=pl.lit(part),
    ).rename({name: name.replace(" ", "_") for name in own})


def _images(rows: pl.DataFrame, root: Path, folders: Mapping[str, Path]) -> pl.DataFrame:
    """One row per film, though it may stand in several tables, with a copy in each one's folder."""
    parts = pl.col("published_split")
    both = parts.n_unique() == 2
    keys = ("patient_id", "exam_id", "image_id", "side", "view")
    films = rows.group_by(keys, maintain_order=True).agg(
        pl.col("case").min(),
        pl.col("table_path").first(),
        pl.col("series").first(),
        most_severe_birads(),
        published_split=pl.when(both).then(pl.lit("both")).otherwise(parts.first()),
        image_cancer=pl.col("malignant").max(),
    )
    files = film_files(root, folders, dict(films.select("case", "series").iter_rows()))
    films = films.join(files, on="case", how="left", maintain_order="left")
    return films.with_columns(
        kind=pl.lit("film"), path=pl.coalesce("path", "table_path"), left_out="unreadable"
    ).drop("case", "series", "table_path", "unreadable")


def _findings(
    rows: pl.DataFrame, images: pl.DataFrame, root: Path, folders: Mapping[str, Path]
) -> pl.DataFrame:
    sizes = images.select("image_id", film_rows="rows", film_cols="cols")
    joined = rows.drop("table_path", "series").join(
        sizes, on="image_id", how="left", maintain_order="left"
    )
    joined = joined.with_columns(mask_case=pl.format("{}_{}", "case", "number"))
    boxes = mask_boxes(root, folders, joined.select("mask_case", "film_rows", "film_cols"))
    joined = joined.join(boxes, on="mask_case", how="left", maintain_order="left")
    single = (pl.col("number").n_unique() == 1).over("exam_id", "side", "kind")
    name = pl.when(single).then(pl.format("{}-{}-{}", "exam_id", "side", "kind"))
    return joined.with_columns(
        finding_id=name.otherwise(pl.format("{}-{}-{}", "image_id", "kind", "number")),
        frame=pl.when(pl.col("x0").is_not_null()).then(pl.lit("stored")),
    ).drop("case", "mask_case", "film_rows", "film_cols", "density", "view", "number")
