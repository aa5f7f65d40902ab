"""A list of who is trained on and who is tested on, as papers and their repositories have it.

Reads:   CSV or TSV with patient_id, exam_id or image_id (or one of their other names), and
         split; a list without split names the test. Images may be named by their files. A file
         with one name per line needs no line of column names.
"""

from pathlib import Path

import polars as pl

from fourview.entities import Manifest
from fourview.errors import ManifestError
from fourview.evaluate.image_names import with_image_ids
from fourview.manifest.table_text import read_text_table

KEYS = ("image_id", "exam_id", "patient_id")
NAMES = {
    "patientid": "patient_id",
    "patient": "patient_id",
    "accessionnumber": "exam_id",
    "studyid": "exam_id",
    "studyinstanceuid": "exam_id",
    "exam": "exam_id",
    "examid": "exam_id",
    "imageid": "image_id",
    "image": "image_id",
    "imageindex": "image_id",
    "filename": "image_id",
    "file": "image_id",
    "path": "image_id",
    "filepath": "image_id",
    "sopinstanceuid": "image_id",
    "splitgroup": "split",
    "set": "split",
    "part": "split",
}
SPLIT_WORDS = {"dev": "validation", "val": "validation", "valid": "validation"}
TEST = "test"


def read_split_list(path: Path, manifest: Manifest) -> pl.DataFrame:
    """The rows of a list, as ``split_by_list`` takes them: one key of the manifest, and split.

    Args:
        path: The list.
        manifest: Manifest whose names it has.

    Raises:
        ManifestError: It cannot be read, has no key or two, or a row has no name.
    """
    table = read_text_table(path)
    table = table.rename({name: _name(name) for name in table.columns})
    keys = [key for key in KEYS if key in table.columns]
    if not keys and len(table.columns) == 1:
        table, keys = _names_only(path, table, manifest)
    if len(keys) != 1:
        raise ManifestError(
            f"{path}: has columns {', '.join(table.columns)}; need one of patient_id, exam_id and"
            " image_id, and split (without it all that are listed are the test)"
        )
    listed = table.select(pl.col(keys[0]).str.strip_chars(), *_split(table))
    listed = listed.filter(pl.col(keys[0]).is_not_null() & (pl.col(keys[0]) != ""))
    if listed.is_empty():
        raise ManifestError(f"{path}: names nobody")
    return with_image_ids(listed, manifest)[0] if keys == ["image_id"] else listed


def _name(header: str) -> str:
    plain = "".join(letter for letter in header.casefold() if letter.isalnum())
    known = {key.replace("_", ""): key for key in (*KEYS, "split")}
    return known.get(plain) or NAMES.get(plain, header.strip())


def _names_only(
    path: Path, table: pl.DataFrame, manifest: Manifest
) -> tuple[pl.DataFrame, list[str]]:
    """Rows of a file with one name per line; its first name was read as the column's name."""
    (first,) = table.columns
    names = pl.DataFrame({"name": [first, *table[first].to_list()]}, schema={"name": pl.String})
    for key in KEYS:
        rows = names.rename({"name": key}).drop_nulls()
        known = manifest.images if key == "image_id" else manifest.exams
        if key == "image_id":
            rows, _ = with_image_ids(rows, manifest)
        if rows[key].str.strip_chars().is_in(known[key].implode()).all():
            return rows, [key]
    raise ManifestError(
        f"{path}: its one column '{first}' is no patient_id, exam_id or image_id, and its lines are"
        " no names of this manifest; correct the list"
    )


def _split(table: pl.DataFrame) -> list[pl.Expr]:
    if "split" not in table.columns:
        return [pl.lit(TEST).alias("split")]
    return [pl.col("split").str.strip_chars().str.to_lowercase().replace(SPLIT_WORDS)]
