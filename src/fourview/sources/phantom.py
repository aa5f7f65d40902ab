"""Procedural phantom exams, as ``fourview phantom`` writes them -> Manifest.

Reads:   ROOT/truth/{exams,breasts,images,findings}.parquet; pixels stay in ROOT/dicom.
Labels:  ``cancer`` of a breast: whether a malignant finding was put into it; ``benign``: whether a
         benign mass or calcification was, beside a malignant one or alone. Density of the class
         that the breast was drawn from, A to D. BI-RADS is what a reader who knows
         the kind of all that can be seen would write (``ASSESSMENTS``): a cancer that is hidden in
         both views does not count.
Regions: boxes of findings in the views where they can be seen. One that is hidden in a view by
         overlying tissue has none there, as in real data; the truth tables have it.
Splits:  none; every exam is of another patient.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "exams": ("patient_id", "exam_id", "age", "density"),
    "breasts": ("patient_id", "exam_id", "side", "cancer", "density", "pathology"),
    "images": (
        *("patient_id", "exam_id", "image_id", "side", "view", "path", "rows", "cols"),
        *("spacing_mm", "vendor"),
    ),
    "findings": (
        *("patient_id", "exam_id", "finding_id", "image_id", "side", "kind", "malignant"),
        *("x0", "y0", "x1", "y1", "visible", "mode", "x_ap_mm", "cnr"),
    ),
}
KINDS = {
    "mass_benign": "mass",
    "mass_malignant": "mass",
    "calc_benign": "calcification",
    "calc_malignant": "calcification",
    "distortion": "distortion",
    "summation": "asymmetry",  # what a reader calls a density that one view alone shows
    "satellite": "node",  # a sign of the breast: nobody took a biopsy, and its nature is unknown
}
ASSESSMENTS = {  # the first kind that a breast shows decides
    "mass_malignant": 5,
    "calc_malignant": 4,
    "distortion": 4,
    "summation": 0,  # a recall outranks what is surely benign, as in screening
    "mass_benign": 2,
    "calc_benign": 2,
}
NOTHING_SEEN = 1
TERMS = "Synthetic phantom exams: no patient, free to use."
RULES = {
    "cancer": "a malignant finding was put into the breast",
    "benign": "a benign mass or calcification was put into the breast",
    "density": "the density class that the breasts were drawn from",
    "birads": "by the kinds of finding that can be seen: malignant mass 5, other malignant 4, "
    "summation shadow 0, benign 2, none 1",
    "malignant": "the kind of the finding decides; unknown of satellites",
}


def read_phantom(root: Path) -> Manifest:
    """Turn the truth tables below ``root`` into a manifest.

    Raises:
        ManifestError: A table or a column is missing, or a kind of finding is not known.
    """
    tables = {name: _read(root, name) for name in COLUMNS}
    return make_manifest(
        source="phantom",
        root=root,
        images=tables["images"].with_columns(
            kind=pl.when(pl.col("vendor") == "film").then(pl.lit("film")).otherwise(pl.lit("ffdm"))
        ),
        breasts=_assessed(
            _with_benign(tables["breasts"], tables["findings"]), tables["findings"]
        ).with_columns(pl.col("cancer").cast(pl.Int8)),
        exams=tables["exams"].with_columns(
            pl.col("age").cast(pl.Float64), split=pl.lit(None, pl.String)
        ),
        findings=_findings(tables["findings"], root),
        terms=TERMS,
        label_rules=RULES,
    )


def _with_benign(breasts: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
    """Breasts with whether a benign mass or calcification was put into each."""
    benign = findings.filter(pl.col("kind").is_in(["mass_benign", "calc_benign"]))
    keys = benign.select("exam_id", "side").unique().with_columns(benign=pl.lit(1, pl.Int8))
    joined = breasts.join(keys, on=["exam_id", "side"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("benign").fill_null(0))


def _assessed(breasts: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
    """Breasts with the BI-RADS category of the first of ``ASSESSMENTS`` that they show."""
    order = {kind: place for place, kind in enumerate(ASSESSMENTS)}
    seen = (
        findings.filter(pl.col("visible") & pl.col("kind").is_in(list(order)))
        .with_columns(pl.col("kind").replace_strict(order, return_dtype=pl.Int8).alias("place"))
        .sort("place")
        .unique(["exam_id", "side"], keep="first", maintain_order=True)
        .select(
            *("exam_id", "side"),
            birads=pl.col("kind").replace_strict(ASSESSMENTS, return_dtype=pl.Int8),
        )
    )
    joined = breasts.join(seen, on=["exam_id", "side"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("birads").fill_null(NOTHING_SEEN))


def _findings(table: pl.DataFrame, root: Path) -> pl.DataFrame:
    unknown = table.filter(~pl.col("kind").is_in(list(KINDS)))
    if len(unknown):
        raise ManifestError(
            f"{root}/truth/findings.parquet: kind '{unknown['kind'][0]}' is none of"
            f" {', '.join(KINDS)}; write the exams anew"
        )
    return table.filter("visible").select(
        *("patient_id", "exam_id", "finding_id", "image_id", "side", "mode", "x_ap_mm", "cnr"),
        *("x0", "y0", "x1", "y1"),
        pl.when(pl.col("kind") != "satellite").then(pl.col("malignant").cast(pl.Int8)),
        kind=pl.col("kind").replace_strict(KINDS, return_dtype=pl.String),
        phantom_kind="kind",
        frame=pl.lit("stored"),
    )


def _read(root: Path, name: str) -> pl.DataFrame:
    path = root / "truth" / f"{name}.parquet"
    if not path.is_file():
        raise ManifestError(
            f"{path}: no such table; name the folder that the phantom was written to"
        )
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{path}: cannot be read ({reason}); write the exams anew") from None
    missing = [c for c in COLUMNS[name] if c not in table.columns]
    if missing:
        raise ManifestError(f"{path}: no column '{missing[0]}'; write the exams anew")
    return table.select(COLUMNS[name])
