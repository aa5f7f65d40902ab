"""CMMD, the Chinese Mammography Database (TCIA) -> Manifest.

Reads:   ROOT/CMMD_clinicaldata_revision.xlsx (or .csv), and the header of every *.dcm below ROOT:
         patient by PatientID, since mirrors have other folders; side by Image Laterality and view
         by View Code, since the order of the files tells neither.
Labels:  the sheet's row of the breast: Malignant is cancer, Benign is ``benign``. A breast without
         a row is taken as neither, as the published evaluations do; ``labelled_by`` says which.
Exams:   one exam per patient.
Split:   every exam is test, as published, but D1-0951, whose images are left out by the protocol.
Pixels:  the header's window is a sigmoid that nobody applied to these 8-bit images: ``voi`` is
         ignore. The two images of D1-1343 have 16 bits: take the range from the header.
"""

from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.entities.reasons import Reason
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._headers import header_table
from fourview.sources._tables import (
    find_file,
    one_value,
    read_table,
    require_values,
    with_numbers,
)

COLUMNS = ("ID1", "LeftRight", "Age", "abnormality", "classification")
CANCER = {"Malignant": 1, "Benign": 0}
KINDS = ("mass", "calcification", "both")
PATIENT = r"(D[12]-\d{4})"
NOT_IN_PROTOCOL = "D1-0951"  # a step of the published evaluation failed on it and all follow
TERMS = "CMMD (TCIA), CC BY 4.0; cite doi:10.7937/tcia.eqde-4b16."
RULES = {
    "cancer": "classification of the breast's row: Malignant 1, Benign 0; no row: 0 (labelled_by)",
    "benign": "the same: Benign 1, Malignant 0 (one word a breast: its worst); no row: 0",
    "mass": "1 where abnormality is mass or both",
    "calcification": "1 where abnormality is calcification or both",
}


def read_cmmd(root: Path) -> Manifest:
    """Turn the clinical sheet and the headers into a manifest.

    Raises:
        ManifestError: A column is missing, a row holds a value that is not known, or there are no
            DICOM files.
    """
    sheet = read_sheet(find_file(root, "CMMD_clinicaldata*.csv", "CMMD_clinicaldata*.xlsx"))
    files = sorted(root.rglob("*.dcm"))
    if not files:
        raise ManifestError(f"{root}: no *.dcm below it; sides and views stand in the headers only")
    return cmmd_manifest(root, sheet, header_table(root, files))


def cmmd_manifest(root: Path, sheet: pl.DataFrame, headers: pl.DataFrame) -> Manifest:
    """The manifest of a sheet (``read_sheet``) and of the headers of its files.

    Raises:
        ManifestError: They contradict each other.
    """
    images = _images(headers)
    seen = images.drop_nulls("side").select("patient_id", "exam_id", "side").unique()
    breasts = seen.join(sheet, on=["patient_id", "side"], how="full", coalesce=True).with_columns(
        exam_id="patient_id",
        cancer=pl.col("cancer").fill_null(0),
        benign=pl.col("benign").fill_null(0),
        labelled_by=pl.when(pl.col("cancer").is_null())
        .then(pl.lit("no row in the sheet"))
        .otherwise(pl.lit("sheet")),
    )
    exams = breasts.group_by("patient_id", maintain_order=True).agg(one_value("age"))
    exams = exams.with_columns(
        exam_id="patient_id",
        split=pl.when(pl.col("patient_id") != NOT_IN_PROTOCOL).then(pl.lit("test")),
    )
    return make_manifest(
        source="cmmd",
        root=root,
        images=images,
        breasts=breasts.drop("age"),
        exams=exams,
        terms=TERMS,
        label_rules=RULES,
    )


def read_sheet(path: Path) -> pl.DataFrame:
    """One row per breast: labels, and the patient's age.

    Raises:
        ManifestError: A column is missing, a value is not known, or a breast has two rows.
    """
    table = read_table(path, COLUMNS, optional=("number", "subtype"))
    require_values(table, "LeftRight", ("L", "R"), path)
    require_values(table, "classification", tuple(CANCER), path)
    require_values(table, "abnormality", KINDS, path)
    again = table.filter(pl.struct("ID1", "LeftRight").is_duplicated())
    if len(again):
        row = again.row(-1, named=True)
        raise ManifestError(
            f"{path}:{row['row']}: breast {row['LeftRight']} of {row['ID1']} has two rows, need one"
        )
    return with_numbers(table, ("Age",), path).select(
        "abnormality",
        "subtype",
        patient_id="ID1",
        side="LeftRight",
        age="Age",
        cancer=pl.col("classification").replace_strict(CANCER, return_dtype=pl.Int8),
        benign=(pl.col("classification") == "Benign").cast(pl.Int8),
        mass=pl.col("abnormality").is_in(["mass", "both"]).cast(pl.Int8),
        calcification=pl.col("abnormality").is_in(["calcification", "both"]).cast(pl.Int8),
    )


def _images(headers: pl.DataFrame) -> pl.DataFrame:
    """A file whose header cannot be read is of the patient whose folder it lies in, or of none.

    Of several files of one image, as merged downloads have them, the first by path is read.
    """
    patient = pl.coalesce("patient_id", pl.col("path").str.extract(PATIENT), pl.lit("unreadable"))
    again = pl.col("image_id").is_not_null() & ~pl.col("image_id").is_first_distinct()
    return headers.drop("series", "unreadable", "not_read").with_columns(
        patient_id=patient,
        exam_id=patient,
        image_id=pl.when(again)
        .then(pl.format("{}#{}", "image_id", "path"))
        .otherwise(pl.coalesce("image_id", "path")),
        kind=pl.lit("ffdm"),
        voi=pl.lit("ignore"),
        left_out=pl.coalesce(
            headers["unreadable"],
            pl.when(again).then(pl.lit(Reason.DUPLICATE.value)),
            pl.when(patient == NOT_IN_PROTOCOL).then(pl.lit(Reason.NOT_IN_PROTOCOL.value)),
            headers["not_read"],
        ),
    )
