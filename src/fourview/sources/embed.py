"""EMBED, the Emory Breast Imaging Dataset (AWS open data, 20 % release) -> Manifest.

Reads:   EMBED_OpenData_metadata*.csv (one row per image) and EMBED_OpenData_clinical.csv, or its
         reduced form (one row per finding), in ROOT or ROOT/tables. anon_dicom_path may be
         relative, absolute or of another root (./images/cohort_1/...,
         /mnt/.../anon_dicom/cohort_1/...): the file is the longest end of it that is under ROOT or
         ROOT/images.
Labels:  only rows whose side is the breast's, B or blank count for a breast: never the other
         breast's, even where it has none (the published code then takes all rows). Rows without a
         valid assessment are dropped before the most severe is chosen: the highest, but 0 outranks
         1 and 2. The same row gives density and the descriptors of captions.
Cancer:  from path_severity of rows that name the breast by bside or, without bside, by side: 0 and
         1 (invasive, in situ) are cancer, 2 to 5 are not, 6 and blank are unknown. A breast
         without pathology is unknown, not negative.
Density: tissueden 1 to 4; 5 (a man) and blank are unknown.
Kinds:   2D images are read; C-views, tomosynthesis and ROI captures are kept and left out, and so
         are images with spot_mag 1 and those without side or view. A blank spot_mag is unknown.
Regions: ROI_coords are in DICOM pixels for some images and in flipped ones for others, and no
         column tells: their frame is flipped_unknown.
"""

from pathlib import Path
from typing import Literal

import polars as pl

from fourview.entities import Manifest
from fourview.entities.reasons import Reason
from fourview.manifest.manifest import make_manifest
from fourview.sources._embed_codes import (
    ASSESSMENTS,
    CALC_DISTRIBUTIONS,
    CALC_TYPES,
    KINDS,
    MASS_DENSITIES,
    MASS_SHAPES,
)
from fourview.sources._paths import Files, find_paths
from fourview.sources._tables import (
    clip_boxes,
    find_file,
    id_text,
    read_table,
    require_values,
    with_numbers,
)

NAS_PREFIX = r"^.*?anon_dicom/"
IMAGE_COLUMNS = (
    *("empi_anon", "acc_anon", "anon_dicom_path", "FinalImageType", "ImageLateralityFinal"),
    *("ViewPosition", "StudyDescription"),
)
IMAGE_OPTIONAL = (
    "SeriesDescription",
    "spot_mag",
    "ROI_coords",
    "num_roi",
    "match_level",
    "SRC_DST",
)
FINDING_COLUMNS = ("empi_anon", "acc_anon", "side", "asses", "tissueden", "age_at_study")
FINDING_OPTIONAL = (
    *("RACE_DESC", "ETHNICITY_DESC", "ETHNIC_GROUP_DESC", "numfind", "massshape", "massmargin"),
    *("massdens", "calcfind", "calcdistri", "calcnumber", "path_severity", "bside"),
)
CANCER = {0: 1, 1: 1, 2: 0, 3: 0, 4: 0, 5: 0}  # 6 is a cancer of another organ: unknown here
CANCER_WORDS = "path_severity of rows that name the breast: 0, 1 are cancer; 2 to 5 are not"
TERMS = (
    "EMBED (Emory, AWS open data): academic, non-commercial; every user registers; no "
    "redistribution of data, models, weights or embeddings, no derivative works."
)
LabelRule = Literal["own", "mama"]
MAMA_WORDS = (
    "MaMA's code: asses of rows of the breast's side, else of B, else of any row of the exam, the "
    "other breast's too; highest, 0 outranks 1 and 2"
)
RULES = {
    "cancer": f"{CANCER_WORDS}; without pathology unknown",
    "birads": "asses of rows of the breast, B or blank side; highest, 0 outranks 1 and 2",
    "density": "tissueden of the row that gave birads: 1 to 4 are A to D; 5 (a man) is unknown",
}


def read_embed(root: Path, *, label_rule: LabelRule = "own") -> Manifest:
    """Turn the two tables into a manifest.

    Args:
        root: Folder of the tables.
        label_rule: Which rows may count for a breast: ``own`` as the module docstring says, or
            ``mama`` as MaMA's code has it: its own side's; else those of B; else all, also the
            other breast's. Only to compare with the published numbers.

    Raises:
        ManifestError: A column is missing, or a row holds a value that is not known.
    """
    images = _read_images(root)
    rows = _read_findings(find_file(root, "EMBED_OpenData_clinical.csv", "EMBED*clinical*.csv"))
    breasts = (
        images.drop_nulls("side")
        .select("patient_id", "exam_id", "side")
        .unique(maintain_order=True)
    )
    chosen = _rows_of(breasts, rows, label_rule)
    pathology = _pathology(breasts, rows)
    keys = ["exam_id", "side"]
    breasts = breasts.join(chosen, on=keys, how="left").join(pathology, on=keys, how="left")
    return make_manifest(
        source="embed",
        root=root,
        images=images.drop("roi"),
        breasts=breasts,
        exams=_exams(images, rows),
        findings=pl.concat([_regions(images), _described(rows)], how="diagonal"),
        terms=TERMS,
        label_rules=RULES if label_rule == "own" else {**RULES, "birads": MAMA_WORDS},
        may_release_weights=False,
    )


def _read_images(root: Path) -> pl.DataFrame:
    path = find_file(root, "EMBED_OpenData_metadata*.csv")
    table = read_table(path, IMAGE_COLUMNS, optional=IMAGE_OPTIONAL)
    require_values(table, "FinalImageType", tuple(KINDS), path)
    require_values(table, "ImageLateralityFinal", ("L", "R"), path, blank=True)
    table = with_numbers(table, ("spot_mag",), path)
    folder = "images/" if (root / "images").is_dir() else ""
    table = table.with_columns(
        path=pl.Series(_paths(root, table["anon_dicom_path"].to_list()), dtype=pl.String)
    )
    kind = pl.col("FinalImageType").replace_strict(KINDS)
    study = pl.col("StudyDescription").str.to_lowercase()
    is_spot = (pl.col("spot_mag") == 1).fill_null(False)
    return table.select(
        patient_id=id_text("empi_anon"),
        exam_id=id_text("acc_anon"),
        image_id=pl.col("anon_dicom_path").str.extract(r"([^/\\]+?)(?:\.(?:dcm|dicom|png))?$"),
        side="ImageLateralityFinal",
        view="ViewPosition",
        path=pl.coalesce("path", folder + pl.col("anon_dicom_path").str.replace(NAS_PREFIX, "")),
        kind=kind,
        modifiers=pl.when(pl.col("spot_mag").is_not_null()).then(
            pl.when(is_spot)
            .then(pl.lit(["spot_or_magnification"]))
            .otherwise(pl.lit([], dtype=pl.List(pl.String)))
        ),
        left_out=pl.when(kind != "ffdm")
        .then(kind)
        .when(is_spot)
        .then(pl.lit(Reason.SPOT_OR_MAGNIFICATION.value))
        .when(pl.any_horizontal(pl.col("ImageLateralityFinal", "ViewPosition").is_null()))
        .then(pl.lit(Reason.VIEW.value)),
        procedure="StudyDescription",
        series="SeriesDescription",
        screening=pl.when(study.str.contains("screen"))
        .then(True)
        .when(study.str.contains("diag"))
        .then(False),
        roi="ROI_coords",
    )


def _paths(root: Path, listed: list[str | None]) -> list[str | None]:
    """Each file under the root; None where it is not there."""
    files = Files(root)
    paths = find_paths(root, listed, below=("", "images/"))
    return [path if path is not None and files.has(path) else None for path in paths]


def _read_findings(path: Path) -> pl.DataFrame:
    table = read_table(path, FINDING_COLUMNS, optional=FINDING_OPTIONAL)
    require_values(table, "side", ("L", "R", "B"), path, blank=True)
    require_values(table, "bside", ("L", "R", "B"), path, blank=True)
    table = with_numbers(table, ("tissueden", "age_at_study", "path_severity"), path)
    density = {1.0: "A", 2.0: "B", 3.0: "C", 4.0: "D"}
    race = pl.coalesce("RACE_DESC", "ETHNICITY_DESC")
    ethnicity = pl.col("ETHNIC_GROUP_DESC")
    return table.select(
        "row",
        "side",
        "bside",
        patient_id=id_text("empi_anon"),
        exam_id=id_text("acc_anon"),
        birads=pl.col("asses").replace_strict(ASSESSMENTS, default=None, return_dtype=pl.Int8),
        density=pl.col("tissueden").replace_strict(density, default=None, return_dtype=pl.String),
        age="age_at_study",
        race=pl.when(~race.str.starts_with("Unknown")).then(race),
        ethnicity=pl.when(~ethnicity.str.starts_with("Unknown")).then(ethnicity),
        cancer=pl.col("path_severity")
        .cast(pl.Int8)
        .replace_strict(CANCER, default=None, return_dtype=pl.Int8),
        path_severity="path_severity",
        mass_shape=_words("massshape", MASS_SHAPES),
        mass_density=_words("massdens", MASS_DENSITIES),
        mass_margin_code="massmargin",
        calc_type=_words("calcfind", CALC_TYPES),
        calc_distribution=_words("calcdistri", CALC_DISTRIBUTIONS),
        calc_number="calcnumber",
    )


def _words(column: str, words: dict[str, str]) -> pl.Expr:
    return pl.col(column).replace_strict(words, default=None, return_dtype=pl.String)


def _rows_of(breasts: pl.DataFrame, rows: pl.DataFrame, label_rule: LabelRule) -> pl.DataFrame:
    """The finding row that describes each breast: the most severe of those that count for it."""
    valid = rows.filter(pl.col("birads").is_not_null()).drop("patient_id", "bside", "cancer", "age")
    valid = valid.drop("race", "ethnicity", "path_severity").rename({"side": "row_side"})
    pairs = breasts.select("exam_id", "side").join(valid, on="exam_id", how="inner")
    breast = ["exam_id", "side"]
    is_own, is_both = pl.col("row_side") == pl.col("side"), pl.col("row_side") == "B"
    if label_rule == "own":
        pairs = pairs.filter(pl.col("row_side").is_null() | is_both | is_own)
    else:
        group = pl.when(is_own).then(0).when(is_both).then(1).otherwise(2)
        pairs = pairs.filter(group == group.min().over(breast))
    recalled = ((pl.col("birads").max() <= 2) & (pl.col("birads") == 0).any()).over(breast)
    # 9 is above every category: 0 then comes first
    rank = pl.when(recalled & (pl.col("birads") == 0)).then(9).otherwise(pl.col("birads"))
    pairs = pairs.with_columns(rank=rank).sort("rank", "row", descending=[True, False])
    return pairs.unique(breast, keep="first", maintain_order=True).drop("rank", "row", "row_side")


def _pathology(breasts: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Cancer of each breast that a biopsied row names; 1 wins over 0."""
    named = rows.filter(pl.col("cancer").is_not_null()).select(
        "exam_id", "cancer", named=pl.coalesce("bside", "side")
    )
    pairs = breasts.select("exam_id", "side").join(named, on="exam_id", how="inner")
    pairs = pairs.filter((pl.col("named") == pl.col("side")) | (pl.col("named") == "B"))
    return pairs.group_by("exam_id", "side").agg(pl.col("cancer").max())


def _exams(images: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """One row per exam of either table; ``screening`` is false where one of its images is not."""
    keys = ("patient_id", "exam_id")
    facts = rows.group_by(keys, maintain_order=True).agg(
        pl.col(c).drop_nulls().first() for c in ("age", "race", "ethnicity")
    )
    seen = images.group_by(keys, maintain_order=True).agg(
        pl.col("procedure").drop_nulls().first(), pl.col("screening").min()
    )
    return seen.join(facts, on=keys, how="full", coalesce=True)


def _regions(images: pl.DataFrame) -> pl.DataFrame:
    """One row for each [ymin, xmin, ymax, xmax] of ROI_coords."""
    numbers = (
        pl.col("roi").str.extract_all(r"-?\d+(?:\.\d+)?").list.eval(pl.element().cast(pl.Float64))
    )
    marked = images.filter(pl.col("roi").str.contains(r"\d")).with_columns(numbers=numbers)
    each = marked.with_columns(part=pl.int_ranges(0, pl.col("numbers").list.len() // 4)).explode(
        "part"
    )
    corner = [
        pl.col("numbers").list.get(pl.col("part") * 4 + i).alias(name)
        for i, name in enumerate(("y0", "x0", "y1", "x1"))
    ]
    boxes = each.with_columns(corner).select(
        *("patient_id", "exam_id", "image_id", "side", "x0", "y0", "x1", "y1"),
        finding_id=pl.format("{}-roi{}", "image_id", pl.col("part") + 1),
        kind=pl.lit("region"),
        frame=pl.lit("flipped_unknown"),
    )
    sizes = images.select("image_id", rows=pl.lit(None, pl.Int32), cols=pl.lit(None, pl.Int32))
    return clip_boxes(boxes, sizes)


def _described(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the clinical table with a mass or calcification, without a place on any image."""
    mass = pl.any_horizontal(pl.col(c).is_not_null() for c in ("mass_shape", "mass_density"))
    calc = pl.any_horizontal(pl.col(c).is_not_null() for c in ("calc_type", "calc_distribution"))
    number = pl.int_range(1, pl.len() + 1).over("exam_id")
    named = rows.with_columns(finding_id=pl.format("{}-{}", "exam_id", number)).filter(mass | calc)
    return named.select(
        *("patient_id", "exam_id", "finding_id", "birads", "path_severity"),
        *("mass_shape", "mass_density", "mass_margin_code", "calc_type", "calc_distribution"),
        side=pl.when(pl.col("side") != "B").then("side"),
        kind=pl.when(mass).then(pl.lit("mass")).otherwise(pl.lit("calcification")),
        malignant="cancer",
    )
