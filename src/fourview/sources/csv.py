"""A person's own table -> Manifest; the column names of Mirai's tables are accepted.

Reads:   ROOT, a CSV file or the folder that holds exactly one besides findings.csv, with one row
         per image; and findings.csv, one row per region, where there is one (``_findings_table``).
Columns: patient_id, exam_id, side and view, and a path; others of the manifest where known, and
         any more, which are kept as texts; modifiers are joined by ";". ``ALIASES`` has more names.
Labels:  ``cancer``, ``benign``, ``birads`` and ``density`` of a row are its breast's; an image
         also keeps a BI-RADS of its own. Mirai's years_to_cancer
         is a woman's and not a breast's: it is kept with the exam, and ``cancer`` stays unknown,
         since the cancer may be the other breast's.
Ids:     exams that are counted within each patient, as Mirai's are, get ids of patient and exam;
         images of one id likewise, unless they are one file.
Paths:   relative to the table's folder or absolute; with another root, backslashes or another
         ending the file is looked for, see ``_paths``.
Splits:  ``split`` or Mirai's split_group; dev is validation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.manifest.manifest import make_manifest
from fourview.manifest.rules import SPLITS
from fourview.sources._findings_table import FINDINGS_FILE, read_findings_table
from fourview.sources._paths import with_found_paths
from fourview.sources._tables import (
    most_severe_birads,
    read_any_table,
    read_table,
    require_rows,
    require_values,
    with_numbers,
)

ALIASES = {
    "laterality": "side",
    "ImageLaterality": "side",
    "view_position": "view",
    "ViewPosition": "view",
    "file_path": "path",
    "filename": "path",
    "PatientID": "patient_id",
    "study_id": "exam_id",
    "AccessionNumber": "exam_id",
    "split_group": "split",
    "breast_density": "density",
}
SIDES = {"R": "R", "L": "L", "RIGHT": "R", "LEFT": "L"}
SPLIT_WORDS = {
    **{s: s for s in SPLITS},
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
}
DENSITIES = {"A": "A", "B": "B", "C": "C", "D": "D", "1": "A", "2": "B", "3": "C", "4": "D"}
LABELS = ("cancer", "benign", "birads", "density")
EXAM_COLUMNS = ("age", "split", "years_to_cancer", "years_to_last_followup")
TERMS = "The user's own table: ask the owner of the data before passing on weights."
RULES = {
    "cancer": "column cancer, given for each breast; unknown where there is none",
    "benign": "column benign, given for each breast, beside a cancer or alone",
    "birads": "column birads: the image's own; the most severe of a breast's images is its own",
    "years_to_cancer": "the woman's, not the breast's: years to a diagnosis (Mirai's 100: none)",
}


def read_csv(root: Path) -> Manifest:
    """Turn a table into a manifest.

    Raises:
        ManifestError: A column is missing, or a row holds a value that is not known.
    """
    path = _table_in(root)
    whole = read_any_table(path)
    require_rows(whole, path)
    header = whole.columns
    names = {ALIASES.get(name.strip(), name.strip()) for name in header}
    needed = ("patient_id", "exam_id", "side", "view", "path")
    known = ("image_id", *LABELS, *EXAM_COLUMNS)
    others = sorted(names - {*needed, *known} - {"", "row"})
    table = _typed(read_table(path, needed, optional=(*known, *others), aliases=ALIASES), path)
    own = ["image_id", *needed, "birads", *others]
    labels = ("cancer", "benign", "density") if "benign" in names else ("cancer", "density")
    if table["birads"].is_null().all():
        own.remove("birads")
    folder = path.parent
    table = with_found_paths(_with_own_ids(table), folder)
    return make_manifest(
        source="csv",
        root=folder,
        images=table.select(own),
        breasts=_agreed(table, ("patient_id", "exam_id", "side"), labels, path),
        exams=_agreed(table, ("patient_id", "exam_id"), EXAM_COLUMNS, path),
        findings=read_findings_table(folder / FINDINGS_FILE, table),
        terms=TERMS,
        label_rules=RULES,
        may_release_weights=False,
    )


def _with_own_ids(table: pl.DataFrame) -> pl.DataFrame:
    """Exam ids that are unique over the whole table, and image ids of different files likewise."""
    whose = table.group_by("exam_id").agg(pl.col("patient_id").n_unique())
    if (whose["patient_id"] > 1).any():
        table = table.with_columns(exam_id=pl.format("{}-{}", "patient_id", "exam_id"))
    files = table.group_by("image_id").agg(pl.len(), pl.col("path").n_unique())
    if ((files["len"] > 1) & (files["path"] == files["len"])).any():
        table = table.with_columns(image_id=pl.format("{}-{}", "exam_id", "image_id"))
    return table


def _table_in(root: Path) -> Path:
    if root.is_file():
        return root
    tables = sorted(p for p in root.glob("*.csv") if p.name != FINDINGS_FILE)
    if len(tables) != 1:
        raise ManifestError(f"{root}: holds {len(tables)} tables (*.csv), need one; name the file")
    return tables[0]


def _typed(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    table = table.with_columns(
        pl.col("side").str.to_uppercase(),
        pl.col("view").str.to_uppercase(),
        pl.col("density").str.to_uppercase(),
        pl.col("split").str.to_lowercase(),
        image_id=pl.coalesce("image_id", pl.col("path").str.replace(r"\.[^./]*$", "")),
    )
    require_values(table, "side", tuple(SIDES), path)
    require_values(table, "density", tuple(DENSITIES), path, blank=True)
    require_values(table, "split", tuple(SPLIT_WORDS), path, blank=True)
    whole = [c for c in ("cancer", "benign", "birads", "rows", "cols") if c in table.columns]
    real = [c for c in (*EXAM_COLUMNS, "spacing_mm") if c in table.columns and c != "split"]
    table = with_numbers(with_numbers(table, whole, path, whole=True), real, path)
    if "modifiers" in table.columns:
        table = table.with_columns(pl.col("modifiers").str.split(";"))
    return table.with_columns(
        pl.col("side").replace_strict(SIDES),
        pl.col("density").replace_strict(DENSITIES, return_dtype=pl.String),
        pl.col("split").replace_strict(SPLIT_WORDS, return_dtype=pl.String),
    )


def _agreed(
    table: pl.DataFrame, keys: tuple[str, ...], columns: Sequence[str], path: Path
) -> pl.DataFrame:
    """One row per breast or exam; its rows must agree, and blanks do not count."""
    groups = table.group_by(keys, maintain_order=True)
    for column in columns:
        torn = groups.agg(
            pl.col(column).drop_nulls().n_unique().alias("n"), pl.col("row").first()
        ).filter(pl.col("n") > 1)
        if len(torn):
            row = torn.row(0, named=True)
            whose = ", ".join(f"{k} '{row[k]}'" for k in keys)
            raise ManifestError(
                f"{path}:{row['row']}: {whose} has {row['n']} values of {column}, need one"
            )
    aggregates: list[Any] = [pl.col(c).drop_nulls().first() for c in columns]
    return groups.agg(*aggregates, *([most_severe_birads()] if "side" in keys else []))
