"""RSNA Screening Mammography Breast Cancer Detection (Kaggle 2022) -> Manifest.

Reads:   ROOT/train.csv, or test.csv where that is missing or named; pixels stay in
         ROOT/train_images/PATIENT/IMAGE.dcm. Exports as pictures are taken where the DICOM file is
         not there: PATIENT/IMAGE.png, or IMAGE or PATIENT_IMAGE anywhere below ROOT.
Labels:  test.csv has none: all are unknown. ``cancer`` is a breast's, repeated on its images; a
         blank BIRADS or density is unknown.
Exams:   one exam per patient, so the patient id is also the exam id.
Splits:  none is published for the rows with labels; a column ``fold`` is kept where it is.
"""

from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._paths import by_name
from fourview.sources._tables import (
    find_file,
    most_severe_birads,
    one_value,
    read_table,
    require_rows,
    require_values,
    with_numbers,
)

COLUMNS = (
    "site_id",
    "patient_id",
    "image_id",
    "laterality",
    "view",
    "age",
    "implant",
    "machine_id",
)
LABELS = ("cancer", "biopsy", "invasive", "BIRADS", "density", "difficult_negative_case")
VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "AT")
TRUTH = {"True": True, "False": False, "1": True, "0": False, "1.0": True, "0.0": False}
TERMS = (
    "RSNA Screening Mammography Breast Cancer Detection (Kaggle 2022): the competition's rules, "
    "non-commercial use; ask before passing on weights."
)
RULES = {
    "cancer": "train.csv: cancer, given for each breast",
    "birads": "train.csv: BIRADS of the breast; 0 outranks 1 and 2",
    "density": "train.csv: density, where all rows of the breast agree",
}
EXTRAS = ("biopsy", "invasive", "difficult_negative_case")


def read_rsna(root: Path) -> Manifest:
    """Turn ROOT/train.csv into a manifest; ``root`` may be the table itself.

    Raises:
        ManifestError: A column is missing, a row holds a value that is not known, or a breast has
            two values of ``cancer``.
    """
    path = root if root.is_file() else find_file(root, "train.csv", "test.csv")
    root = path.parent if root.is_file() else root
    is_test = path.stem == "test"
    needed = COLUMNS if is_test else (*COLUMNS, *LABELS)
    table = read_table(path, needed, optional=("fold", *LABELS) if is_test else ("fold",))
    require_rows(table, path)
    require_values(table, "laterality", ("L", "R"), path)
    require_values(table, "view", VIEWS, path)
    require_values(table, "density", ("A", "B", "C", "D"), path, blank=True)
    require_values(table, "difficult_negative_case", TRUTH, path, blank=True)
    numbers = ("cancer", "biopsy", "invasive", "BIRADS", "implant")
    table = with_numbers(with_numbers(table, numbers, path, whole=True), ("age",), path)
    table = table.with_columns(
        pl.col("difficult_negative_case").replace_strict(TRUTH, return_dtype=pl.Boolean)
    ).rename({"laterality": "side", "BIRADS": "birads"})
    return make_manifest(
        source="rsna",
        root=root,
        images=_images(table, root, f"{path.stem}_images"),
        breasts=_breasts(table, path),
        exams=table.group_by("patient_id", maintain_order=True)
        .agg(one_value(c) for c in ("age", "density", "site_id", "fold"))
        .with_columns(exam_id="patient_id"),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def _images(table: pl.DataFrame, root: Path, folder: str) -> pl.DataFrame:
    images = table.select(
        "patient_id",
        "image_id",
        "side",
        "view",
        "machine_id",
        "site_id",
        exam_id="patient_id",
        path=pl.format("{}/{}/{}.dcm", pl.lit(folder), "patient_id", "image_id"),
        kind=pl.lit("ffdm"),
        implant=pl.col("implant").cast(pl.Boolean),
    )
    ids = images.select("patient_id", "image_id").rows()
    names = [(image, f"{patient}_{image}", f"{patient}-{image}") for patient, image in ids]
    return by_name(images, root, names=names)


def _breasts(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    groups = table.group_by("patient_id", "side", maintain_order=True)
    torn = groups.agg(pl.col("cancer").drop_nulls().n_unique(), pl.col("row").first()).filter(
        pl.col("cancer") > 1
    )
    if len(torn):
        row = torn.row(0, named=True)
        raise ManifestError(
            f"{path}:{row['row']}: breast {row['side']} of patient {row['patient_id']} has"
            " two values of cancer, need one; correct the table"
        )
    return groups.agg(
        pl.col("cancer").drop_nulls().first(),
        most_severe_birads(),
        *(one_value(c) for c in ("density", *EXTRAS)),
    ).with_columns(exam_id="patient_id")
