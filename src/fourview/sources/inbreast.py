"""INbreast -> Manifest.

Reads:   ROOT/INbreast.csv (";" between fields) or INbreast.xlsx; the old INbreast.xls is to be
         saved as either. File names below ROOT/AllDICOMs say patient, side and view:
         FILE_HASH_MG_R_ML_ANON.dcm, where ML is the MLO view. ROOT/AllXML/FILE.xml has regions.
Labels:  no biopsies are published: a breast is cancer where its BI-RADS is 4 or more, which is
         the usual stand-in; 1, 2 and 3 are not. An image keeps its own BI-RADS (67 images of 1,
         243 of 2 and 3, 100 of 4 and more). The nature of a finding is unknown, unless ``index
         --finding-nature birads`` takes it from its image's category.
Exams:   patient ids are removed from the table: the hash in the file name is the only key; an exam
         is one patient on one acquisition date.
Split:   none is published; ``manifest.split.split_by_list`` takes a paper's list.
Regions: points (x, y) in the stored frame; single points are calcifications. The pectoral muscle's
         outlines are no findings and stay in their files.
"""

import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
import polars as pl

from fourview.entities import Manifest
from fourview.entities.reasons import Reason
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.sources._headers import header_table
from fourview.sources._shapes import Points, region_of
from fourview.sources._tables import (
    clip_boxes,
    find_file,
    find_files,
    most_severe_birads,
    one_value,
    read_table,
    require_values,
)

COLUMNS = ("Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
FLAGS = ("Mass", "Micros", "Distortion", "Asymmetry")
NAME = re.compile(r"(?P<file>\d+)_(?P<patient>[0-9a-f]+)_MG_(?P<side>[RL])_(?P<view>\w+)_ANON\.dcm")
DENSITIES = {"1": "A", "2": "B", "3": "C", "4": "D"}
CANCER_FROM = 4
KINDS = {
    "calcification": "calcification",
    "calcifications": "calcification",
    "cluster": "cluster",
    "mass": "mass",
    "espiculated region": "spiculated_region",
    "spiculated region": "spiculated_region",
    "distortion": "distortion",
    "asymmetry": "asymmetry",
    "assymetry": "asymmetry",
}
POINT = re.compile(r"\(\s*(-?[\d.]+(?:e[-+]?\d+)?)\s*,\s*(-?[\d.]+(?:e[-+]?\d+)?)\s*\)")
TERMS = (
    "INbreast: research use under its transfer agreement; cite Moreira et al. 2012; ask before "
    "passing on weights."
)
RULES = {
    "cancer": f"1 where the breast's BI-RADS is {CANCER_FROM} or more, else 0: no biopsies exist",
    "birads": "Bi-Rads by its first character: the image's own; a breast has its images' worst",
    "density": "ACR 1 to 4 as A to D, where all images of the breast agree",
}
REGION: dict[str, Any] = {
    **dict.fromkeys(("image_id", "name", "kind"), pl.String),
    **dict.fromkeys(("x0", "y0", "x1", "y1"), pl.Float64),
    "polygon": pl.List(pl.Float64),
}


def read_inbreast(root: Path) -> Manifest:
    """Turn the table, the file names and the regions into a manifest.

    Raises:
        ManifestError: A column is missing, or a value, file name or region is not known.
    """
    table = _read_rows(find_file(root, "INbreast.csv", "INbreast.xlsx"))
    files = _read_files(root)
    joined = table.join(files, on="image_id", how="full", coalesce=True).sort("image_id")
    patient = pl.coalesce("patient_id", pl.format("file-{}", "image_id"))
    images = joined.with_columns(
        patient_id=patient,
        exam_id=pl.concat_str(patient, "date", separator="-", ignore_nulls=True),
        side=pl.coalesce("side", "file_side"),
        view=pl.coalesce("view", "file_view"),
        kind=pl.lit("ffdm"),
        left_out=pl.coalesce(
            pl.when(pl.col("path").is_null()).then(pl.lit(Reason.NO_FILE.value)),
            pl.when(~pl.col("in_table").fill_null(False)).then(pl.lit(Reason.NOT_IN_TABLE.value)),
            "unreadable",
        ),
    ).drop("file_side", "file_view", "in_table", "unreadable")
    breast = images.group_by("patient_id", "exam_id", "side", maintain_order=True)
    breasts = breast.agg(most_severe_birads(), one_value("density")).with_columns(
        cancer=(pl.col("birads") >= CANCER_FROM).cast(pl.Int8)
    )
    return make_manifest(
        source="inbreast",
        root=root,
        images=images.drop("density"),
        breasts=breasts,
        findings=_findings(root, images),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def _read_rows(path: Path) -> pl.DataFrame:
    """Rows with a file name; the two footers of the spreadsheet have none."""
    table = read_table(path, COLUMNS, optional=FLAGS, separator=";")
    table = table.filter(pl.col("File Name").str.contains(r"^\d+(\.0)?$"))
    require_values(table, "Laterality", ("L", "R"), path)
    require_values(table, "View", ("CC", "MLO", "FB"), path)
    table = table.with_columns(  # 4a, 4b and 4c are category 4
        pl.col("ACR").str.replace(r"\.0$", ""), pl.col("Bi-Rads").str.slice(0, 1)
    )
    require_values(table, "ACR", tuple(DENSITIES), path, blank=True)
    require_values(table, "Bi-Rads", tuple("0123456"), path, blank=True)
    return table.select(
        image_id=pl.col("File Name").str.replace(r"\.0$", ""),
        side="Laterality",
        view="View",
        date=pl.col("Acquisition date").str.replace(r"\.0$", ""),
        birads=pl.col("Bi-Rads").cast(pl.Int8),
        density=pl.col("ACR").replace_strict(DENSITIES, return_dtype=pl.String),
        in_table=pl.lit(True),
        **{flag.lower(): (pl.col(flag).is_not_null()).cast(pl.Int8) for flag in FLAGS},
    )


def _read_files(root: Path) -> pl.DataFrame:
    """What names and headers of the DICOM files say; the names know patient, side and view."""
    files = find_files(root, "AllDICOMs/*.dcm", "*.dcm")
    rows = []
    for file in files:
        match = NAME.fullmatch(file.name)
        if not match:
            raise ManifestError(
                f"{file}: its name is not FILE_HASH_MG_SIDE_VIEW_ANON.dcm; rename it"
            )
        view = "MLO" if match["view"] == "ML" else match["view"]
        path = file.relative_to(root).as_posix()
        rows.append((path, match["file"], match["patient"], match["side"], view))
    names = ("path", "image_id", "patient_id", "file_side", "file_view")
    known = pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
    facts = header_table(root, files).select(
        "path", "rows", "cols", "spacing_mm", "vendor", "unreadable"
    )
    return known.join(facts, on="path", how="left")


def _findings(root: Path, images: pl.DataFrame) -> pl.DataFrame:
    files = find_files(root, "AllXML/*.xml")
    regions = pl.DataFrame([r for file in files for r in _regions(file)], REGION)
    whose = images.select("image_id", "patient_id", "exam_id", "side")
    joined = regions.join(whose, on="image_id", how="left", maintain_order="left")
    lost = joined.filter(pl.col("patient_id").is_null())
    if len(lost):
        raise ManifestError(f"{root}: AllXML/{lost['image_id'][0]}.xml is of no image of the table")
    number = pl.int_range(1, pl.len() + 1).over("image_id")
    joined = joined.with_columns(
        finding_id=pl.format("{}-{}", "image_id", number), frame=pl.lit("stored")
    )
    return clip_boxes(joined, images)


def _regions(path: Path) -> Iterator[dict[str, Any]]:
    """The regions of one file, an Apple property list."""
    try:
        content = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
        for image in content["Images"]:
            for region in image["ROIs"]:
                points = np.array([_point(text) for text in region["Point_px"]])
                yield _region(path.stem, str(region.get("Name", "")), points.reshape(-1, 2))
    except (ExpatError, plistlib.InvalidFileException, KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{path}: cannot read the regions ({error})") from None


def _point(text: str) -> tuple[float, float]:
    match = POINT.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is no point (x, y)")
    return float(match[1]), float(match[2])


def _region(image_id: str, name: str, points: Points) -> dict[str, Any]:
    """Names come in several spellings; unnamed ones and "Point 1" mark calcifications."""
    word = name.strip().lower()
    kind = KINDS.get(word)
    if kind is None and (word in ("", "unnamed") or re.fullmatch(r"point \d+", word)):
        kind = "calcification"
    if kind is None:
        raise ManifestError(f"AllXML/{image_id}.xml: region '{name}' is none of {sorted(KINDS)}")
    return {"image_id": image_id, "name": name, "kind": kind, **region_of(points)}
