"""VinDr-Mammo 1.0.0 (PhysioNet) -> Manifest.

Reads:   ROOT/breast-level_annotations.csv and ROOT/finding_annotations.csv; pixels stay in
         ROOT/images/STUDY/IMAGE.dicom, or as IMAGE.dcm, .png and others, there or anywhere below
         ROOT. Without the table of findings there are none.
Labels:  BI-RADS and density of each breast; there is no pathology, so ``cancer`` is unknown.
Exams:   one study; no patient ids are published, so the study id is also the patient id.
Views:   as labelled; two images of one exam are known to have a view exchanged, so a breast may
         have two images of one view.
Splits:  the published training and test; a validation part is to be carved out of training.
Boxes:   in the stored frame, cut at the image's edge.
"""

from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.manifest.manifest import make_manifest
from fourview.sources._paths import by_name
from fourview.sources._tables import (
    clip_boxes,
    find_file,
    find_files,
    most_severe_birads,
    one_value,
    read_table,
    require_values,
    with_numbers,
)

KEYS = ("study_id", "image_id", "laterality", "view_position")
IMAGE_COLUMNS = (*KEYS, "height", "width", "breast_birads", "breast_density", "split")
FINDING_COLUMNS = (*KEYS, "finding_categories", "finding_birads", "xmin", "ymin", "xmax", "ymax")
SPLITS = {"training": "train", "test": "test"}
BIRADS = {f"BI-RADS {n}": n for n in range(1, 6)}
DENSITIES = {f"DENSITY {letter}": letter for letter in "ABCD"}
NOTHING = "No Finding"
KINDS = {
    "Mass": "mass",
    "Suspicious Calcification": "calcification",
    "Asymmetry": "asymmetry",
    "Focal Asymmetry": "asymmetry",
    "Global Asymmetry": "asymmetry",
    "Architectural Distortion": "distortion",
    "Suspicious Lymph Node": "lymph_node",
    "Skin Thickening": "skin_thickening",
    "Skin Retraction": "skin_retraction",
    "Nipple Retraction": "nipple_retraction",
}
TERMS = (
    "VinDr-Mammo 1.0.0: PhysioNet restricted health data licence and data use agreement; research "
    "use, no redistribution of the data; ask before passing on weights."
)
RULES = {
    "cancer": "unknown: the set has no pathology",
    "birads": "breast-level_annotations.csv: breast_birads",
    "density": "breast-level_annotations.csv: breast_density, where both images of a breast agree",
    "mass": "1 where any finding of the image has the category Mass",
    "calcification": "1 where any finding of the image has the category Suspicious Calcification",
}


def read_vindr(root: Path) -> Manifest:
    """Turn the two annotation tables into a manifest.

    Raises:
        ManifestError: A column is missing, or a row holds a value that is not known.
    """
    table = _read_images(find_file(root, "breast-level_annotations.csv"))
    rows = _read_findings(root)
    kinds = rows.group_by("image_id").agg(
        mass=pl.col("categories").list.contains("Mass").any().cast(pl.Int8),
        calcification=pl.col("categories")
        .list.contains("Suspicious Calcification")
        .any()
        .cast(pl.Int8),
    )
    keys = {"patient_id": "study_id", "exam_id": "study_id", "side": "laterality"}
    images = table.select(
        "image_id",
        **keys,
        view="view_position",
        path=pl.format("images/{}/{}.dicom", "study_id", "image_id"),
        kind=pl.lit("ffdm"),
        rows="height",
        cols="width",
    ).join(kinds, on="image_id", how="left", maintain_order="left")
    images = by_name(images, root, names=[(name,) for name in images["image_id"]])
    breasts = (
        table.select(**keys, birads="birads", density="density")
        .group_by("patient_id", "exam_id", "side", maintain_order=True)
        .agg(most_severe_birads(), one_value("density"))
    )
    exams = table.group_by("study_id", maintain_order=True).agg(
        one_value("density"), one_value("split")
    )
    return make_manifest(
        source="vindr",
        root=root,
        images=images,
        breasts=breasts,
        exams=exams.with_columns(patient_id="study_id", exam_id="study_id").drop("study_id"),
        findings=clip_boxes(_findings(rows), images),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def _read_images(path: Path) -> pl.DataFrame:
    table = read_table(path, IMAGE_COLUMNS)
    for column, allowed in (
        ("laterality", ("L", "R")),
        ("view_position", ("CC", "MLO")),
        ("breast_birads", tuple(BIRADS)),
        ("breast_density", tuple(DENSITIES)),
        ("split", tuple(SPLITS)),
    ):
        require_values(table, column, allowed, path)
    return with_numbers(table, ("height", "width"), path, whole=True).with_columns(
        birads=pl.col("breast_birads").replace_strict(BIRADS, return_dtype=pl.Int8),
        density=pl.col("breast_density").replace_strict(DENSITIES),
        split=pl.col("split").replace_strict(SPLITS),
    )


def _read_findings(root: Path) -> pl.DataFrame:
    """One row per finding; an image without one has a single row, its categories [No Finding]."""
    files = find_files(root, "finding_annotations.csv")
    if not files:
        texts = dict.fromkeys((*KEYS, "finding_birads"), pl.String)
        numbers = dict.fromkeys(("xmin", "ymin", "xmax", "ymax"), pl.Float64)
        return pl.DataFrame(schema={**texts, **numbers, "categories": pl.List(pl.String)})
    path = files[0]
    table = read_table(path, FINDING_COLUMNS)
    require_values(table, "finding_birads", BIRADS, path, blank=True)
    table = with_numbers(table, ("xmin", "ymin", "xmax", "ymax"), path).with_columns(
        # written as a Python list: "['Mass', 'Skin Thickening']"
        categories=pl.col("finding_categories").str.extract_all(r"[A-Z][A-Za-z ]*[a-z]")
    )
    each = table.select("row", pl.col("categories")).explode("categories")
    require_values(each, "categories", (*KINDS, NOTHING), path)
    return table


def _findings(rows: pl.DataFrame) -> pl.DataFrame:
    """A finding of several categories is of the kind of its first; all stay in ``categories``."""
    findings = rows.filter(~pl.col("categories").list.contains(NOTHING))
    number = pl.int_range(1, pl.len() + 1).over("image_id")
    return findings.select(
        "image_id",
        "categories",
        patient_id="study_id",
        exam_id="study_id",
        finding_id=pl.format("{}-{}", "image_id", number),
        side="laterality",
        kind=pl.col("categories").list.first().replace_strict(KINDS),
        birads=pl.col("finding_birads").replace_strict(BIRADS, return_dtype=pl.Int8),
        x0="xmin",
        y0="ymin",
        x1="xmax",
        y1="ymax",
        frame=pl.lit("stored"),
    )
