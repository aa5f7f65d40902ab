"""CDD-CESM, contrast-enhanced spectral mammography (TCIA) -> Manifest.

Reads:   ROOT/Radiology-manual-annotations.csv (or .xlsx), the size of each JPEG, and regions from
         ROOT/Radiology_hand_drawn_segmentations_v2.csv or, without it, ROOT/masks/IMAGE.jpg.
         Pixels stay in "Low energy images of CDD-CESM" and "Subtracted images of CDD-CESM", or in
         "images".
Labels:  Pathology is a breast's: Malignant is cancer, Benign is ``benign``. BI-RADS holds
         one value per finding, joined by "$": the most severe is the breast's. "_" is unknown.
Exams:   one exam per patient.
Kinds:   low-energy images are ordinary mammograms; subtracted ones are kept and left out.
Regions: original pixels, that is, the stored frame. A region does not say which finding it is, so
         it is malignant or not only where all findings of its image have one BI-RADS category.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image as Picture
from scipy import ndimage

from fourview.entities import Manifest
from fourview.entities.reasons import Reason
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._shapes import via_regions
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

ALIASES = {
    "Breast density (ACR)": "density",
    "Pathology Classification/ Follow up": "pathology",
    "Tags": "tags",
    "Findings": "text",
}
COLUMNS = (
    *("Image_name", "Patient_ID", "Side", "Type", "Age", "density", "BIRADS", "text", "View"),
    *("tags", "Machine", "pathology"),
)
NAME = re.compile(r"(P\d+)_([LR])_(DM|CM)_(CC|MLO)")
KINDS = {"DM": "cesm_low_energy", "CESM": "cesm_subtracted", "CM": "cesm_subtracted"}
FOLDERS = {
    "cesm_low_energy": ("Low energy images of CDD-CESM", "images"),
    "cesm_subtracted": ("Subtracted images of CDD-CESM", "images"),
}
CANCER = {"Malignant": 1, "Benign": 0, "Normal": 0}
MASK_THRESHOLD = 127  # masks are JPEG: grey around the edges
SPECK_PX = 9  # smaller regions of a mask are traces of compression, not of a pen
TERMS = (
    "CDD-CESM (TCIA), CC BY 4.0; cite Khaled et al. 2021, doi:10.7937/29kw-ae92, and Scientific "
    "Data 9 (2022), doi:10.1038/s41597-022-01238-0."
)
RULES = {
    "cancer": "Pathology Classification/ Follow up of the breast: Malignant 1, Benign or Normal 0",
    "benign": "the same: Benign 1, Malignant or Normal 0",
    "birads": "BIRADS, the most severe of the breast's findings, or of the image's; 0 outranks 1"
    " and 2",
    "density": "Breast density (ACR) where all rows of the breast agree; _ is unknown",
    "malignant": "the breast's pathology, where its image's findings have one BI-RADS category",
}


def read_cdd_cesm(root: Path) -> Manifest:
    """Turn the annotation table and the drawn regions into a manifest.

    Raises:
        ManifestError: A column is missing, or a row holds a value that is not known.
    """
    table = _read_rows(find_file(root, "Radiology-manual-annotations.csv", "*annotations.xlsx"))
    via = find_files(root, "Radiology_hand_drawn_segmentations*.csv")
    drawn = via_regions(via[0]) if via else None
    table = _with_untold(root, table, [] if drawn is None else drawn["image_id"].to_list())
    images = table.select(
        *("patient_id", "exam_id", "image_id", "side", "kind", "tags", "text", "machine"),
        birads=_most_severe_of_list("birads"),
        view="View",
        left_out=pl.when(pl.col("kind") == "cesm_subtracted")
        .then(pl.lit(Reason.SUBTRACTED.value))
        .when(pl.col("pathology").is_null())
        .then(pl.lit(Reason.NOT_IN_TABLE.value)),
    ).join(_files(root, table), on="image_id", how="left")
    breasts = (
        table.explode("birads")
        .group_by("patient_id", "exam_id", "side", maintain_order=True)
        .agg(
            pl.col("cancer").max(),
            (pl.col("pathology") == "Benign").cast(pl.Int8).max().alias("benign"),
            most_severe_birads(),
            one_value("density"),
        )
    )
    exams = table.group_by("patient_id", "exam_id", maintain_order=True).agg(
        one_value("age"), one_value("density")
    )
    if drawn is None:
        drawn = pl.DataFrame(list(_mask_regions(root, images)), REGION)
    return make_manifest(
        source="cdd_cesm",
        root=root,
        images=images,
        breasts=breasts,
        exams=exams,
        findings=_findings(drawn, table, images),
        terms=TERMS,
        label_rules=RULES,
    )


def _read_rows(path: Path) -> pl.DataFrame:
    table = read_table(path, COLUMNS, aliases=ALIASES)
    require_values(table, "Side", ("L", "R"), path)
    require_values(table, "Type", tuple(KINDS), path)
    require_values(table, "View", ("CC", "MLO"), path)
    require_values(table, "pathology", tuple(CANCER), path)
    require_values(table, "density", ("A", "B", "C", "D", "_"), path, blank=True)
    categories = table.select("row", BIRADS=pl.col("BIRADS").str.split("$")).explode("BIRADS")
    categories = categories.with_columns(pl.col("BIRADS").str.strip_chars())
    require_values(categories, "BIRADS", tuple("0123456"), path, blank=True)
    return with_numbers(table, ("Age",), path).select(
        patient_id=pl.format("P{}", "Patient_ID"),
        exam_id=pl.format("P{}", "Patient_ID"),
        image_id="Image_name",
        side="Side",
        View="View",
        kind=pl.col("Type").replace_strict(KINDS),
        age="Age",
        density=pl.when(pl.col("density") != "_").then("density"),
        birads=pl.col("BIRADS")
        .str.split("$")
        .list.eval(pl.element().str.strip_chars().cast(pl.Int8)),
        cancer=pl.col("pathology").replace_strict(CANCER, return_dtype=pl.Int8),
        pathology="pathology",
        tags="tags",
        text="text",
        machine="Machine",
    )


def _files(root: Path, table: pl.DataFrame) -> pl.DataFrame:
    """Path and size of each image; a missing file keeps the path at which it should be."""
    rows = []
    for name, kind in table.select("image_id", "kind").iter_rows():
        places = [f"{folder}/{name}.jpg" for folder in FOLDERS[kind]]
        path = next((p for p in places if (root / p).is_file()), places[0])
        rows.append((name, path, *_size(root / path)))
    schema = {"image_id": pl.String, "path": pl.String, "rows": pl.Int32, "cols": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row").unique("image_id", maintain_order=True)


def _size(path: Path) -> tuple[int | None, int | None]:
    if not path.is_file():
        return None, None
    with Picture.open(path) as picture:
        return picture.height, picture.width


def _with_untold(root: Path, table: pl.DataFrame, drawn: list[str]) -> pl.DataFrame:
    """Adds a row without labels for each image that has a file or a region, and no row.

    Raises:
        ManifestError: The name of such an image is none of this data set.
    """
    folders = {folder for kind in FOLDERS.values() for folder in kind}
    files = {path.stem for folder in folders for path in (root / folder).glob("*.jpg")}
    rows = []
    for name in sorted((files | set(drawn)) - set(table["image_id"])):
        match = NAME.fullmatch(name)
        if not match:
            raise ManifestError(f"{root}: image '{name}' is not named like P1_L_DM_CC; rename it")
        patient, side, kind, view = match.groups()
        rows.append((patient, patient, name, side, view, KINDS[kind]))
    names = ("patient_id", "exam_id", "image_id", "side", "View", "kind")
    untold = pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
    return pl.concat([table, untold], how="diagonal")


def _findings(regions: pl.DataFrame, table: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    known = table.select(
        *("image_id", "patient_id", "exam_id", "side"),
        kind=_kind_by_tags(),
        malignant=pl.when((pl.col("cancer") == 0) | (pl.col("birads").list.n_unique() == 1)).then(
            "cancer"
        ),
    )
    number = pl.int_range(1, pl.len() + 1).over("image_id")
    joined = regions.join(known, on="image_id", how="inner", maintain_order="left")
    joined = joined.with_columns(
        finding_id=pl.format("{}-{}", "image_id", number),
        frame=pl.when(pl.col("x0").is_not_null()).then(pl.lit("stored")),
    )
    return clip_boxes(joined, images)


def _most_severe_of_list(column: str) -> pl.Expr:
    """As ``most_severe_birads``, for the list of one row."""
    values = pl.col(column).list.drop_nulls()
    recalled = values.list.contains(0) & (values.list.max() <= 2)
    return pl.when(recalled).then(pl.lit(0)).otherwise(values.list.max()).cast(pl.Int8)


def _kind_by_tags() -> pl.Expr:
    """The kind that the tags name, or "region" where they name none or several."""
    words = {"mass": "mass", "calcification": "calcif", "distortion": "distor"}
    words["asymmetry"] = "asymmetr"
    named = [
        pl.col("tags").str.to_lowercase().str.contains(w).fill_null(False) for w in words.values()
    ]
    only = pl.sum_horizontal(named) == 1
    kind: pl.Expr = pl.lit("region")
    for name, has in zip(words, named, strict=True):
        kind = pl.when(only & has).then(pl.lit(name)).otherwise(kind)
    return kind


REGION: dict[str, Any] = {
    "image_id": pl.String,
    **dict.fromkeys(("x0", "y0", "x1", "y1"), pl.Float64),
    "area_px": pl.Int64,
    "box_note": pl.String,
}


def _mask_regions(root: Path, images: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """One region for each connected part of an image's mask; specks have a note and no box."""
    for name in images["image_id"].unique(maintain_order=True):
        path = root / "masks" / f"{name}.jpg"
        if not path.is_file():
            continue
        with Picture.open(path) as picture:
            inside = np.asarray(picture.convert("L")) > MASK_THRESHOLD
        parts, count = ndimage.label(inside, structure=np.ones((3, 3)))
        areas = ndimage.sum_labels(inside, parts, range(1, count + 1))
        for (ys, xs), area in zip(ndimage.find_objects(parts), areas, strict=True):
            region: dict[str, Any] = {"image_id": name, "area_px": int(area)}
            if area < SPECK_PX:
                region["box_note"] = f"a speck of {int(area)} pixels"
            else:
                region |= {"x0": xs.start, "y0": ys.start, "x1": xs.stop, "y1": ys.stop}
            yield region
