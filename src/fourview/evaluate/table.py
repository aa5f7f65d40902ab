"""Predictions tables: read from Parquet or CSV, checked, written.

Reads:   Parquet or CSV with the columns of ``PREDICTIONS_SCHEMA`` (those that a unit does not need
         may be absent), or one of the two CSV forms of the public meta-repository.
Images:  ``image_id``, or a column of file names; ``units`` finds the image of a file.
Extras:  ``label``, where the file brings labels of its own; ``row``, the position of an exam where
         the file names none. Both are checked against the manifest by ``units``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl

from fourview.disk import write_table
from fourview.entities import PREDICTIONS_SCHEMA
from fourview.errors import EvaluationError, ManifestError
from fourview.fingerprint import digest_of_texts
from fourview.manifest.content_hash import table_digest
from fourview.manifest.table_text import read_text_table

UNITS = ("image", "breast", "exam", "finding", "region")
KEYS: Mapping[str, tuple[str, ...]] = {
    "image": ("image_id",),
    "breast": ("exam_id", "side"),
    "exam": ("exam_id",),
    "finding": ("finding_id",),
    "region": ("image_id", "x0", "y0", "x1", "y1"),
}
OF_UNIT: Mapping[str, tuple[str, ...]] = {**KEYS, "finding_image": ("finding_id", "image_id")}
ROWS_OF = {"finding_image": "finding"}  # units that are measured on rows of another name
CLASS_NAMES = {"malignant": "cancer"}  # other names of a class, as in the meta-repository
BOX = ("x0", "y0", "x1", "y1")
TEXT_ENDINGS = (".csv", ".tsv", ".txt")
FILE_COLUMNS = ("file", "filename", "file_name", "path", "file_path", "filepath", "image")
_EXTRAS = {"label": pl.Float64, "row": pl.UInt32}
_DIGESTS = ("digest", "digest_again")  # twice, so that a damaged name is no missing one
_SHOWN = 3  # rows named in an error; the count says how many more there are


def read_predictions(path: Path | str) -> tuple[pl.DataFrame, dict[str, str]]:
    """Read a predictions table and what its file says about itself.

    Returns:
        The table with every column of ``PREDICTIONS_SCHEMA``, in the file's order, and the
        metadata: ``model_digest``, ``pixel_spec``, ``manifest_hash``, ``terms`` and others of a
        Parquet file; ``format`` of any.

    Raises:
        EvaluationError: The file cannot be read, or has none of the known forms.
    """
    path = Path(path)
    if path.is_dir():
        raise EvaluationError(f"{path}: is a folder; name the table, such as predictions.parquet")
    try:
        if path.suffix.lower() in TEXT_ENDINGS:
            raw, metadata = _with_names(read_text_table(path)), {}
        else:
            raw, metadata = pl.read_parquet(path), dict(pl.read_parquet_metadata(path))
    except FileNotFoundError:
        raise EvaluationError(f"{path}: not found") from None
    except ManifestError as error:
        raise EvaluationError(str(error)) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise EvaluationError(f"{path}: is no CSV or Parquet table ({reason})") from None
    metadata.pop("ARROW:schema", None)
    if raw.is_empty():
        raise EvaluationError(f"{path}: the table has no rows; write the scores again")
    columns = set(raw.columns)
    if {"left_malignant", "right_malignant"} <= columns:
        return _from_metarepo_breasts(raw, path), metadata | {"format": "metarepo breast"}
    if {"image_index", "malignant_pred"} <= columns:
        return _from_metarepo_images(raw, path), metadata | {"format": "metarepo image"}
    if "score" in columns and columns & {"image_id", "exam_id", "finding_id"}:
        table = completed(raw, where=str(path))
        return table, _checked(table, metadata, path) | {"format": "fourview"}
    raise EvaluationError(
        f"{path}: columns {', '.join(raw.columns)} are no predictions; need 'score'"
        " with 'image_id', 'exam_id' and 'side', or 'finding_id'; or the meta-repository's"
        " 'image_index', 'malignant_pred' or 'left_malignant', 'right_malignant'"
    )


def _with_names(raw: pl.DataFrame) -> pl.DataFrame:
    """Names without blanks at their ends; a column of file names is taken for the image's."""
    raw = raw.rename({name: name.strip() for name in raw.columns})
    if not {"image_id", "image_index"} & set(raw.columns):
        named = next((name for name in FILE_COLUMNS if name in raw.columns), None)
        raw = raw if named is None else raw.rename({named: "image_id"})
    return raw


def write_predictions(frame: pl.DataFrame, path: Path | str, metadata: Mapping[str, str]) -> None:
    """Write a predictions table, whole or not at all: its ending says whether Parquet or CSV.

    The metadata of a Parquet file get a digest of the table and of themselves, which
    ``read_predictions`` checks. A CSV has no place for metadata.

    Raises:
        EvaluationError: A column is missing or has a type that cannot be a prediction's.
        FourviewError: The name ends with neither .parquet nor .csv.
    """
    path, table = Path(path), completed(frame, where=str(path))
    checked = {**metadata, **dict.fromkeys(_DIGESTS, _digest(table, metadata))}
    write_table(table, path, metadata=checked)


def _checked(table: pl.DataFrame, metadata: Mapping[str, str], path: Path) -> dict[str, str]:
    """The metadata without their digest, which must be right where there is one."""
    rest = {key: value for key, value in metadata.items() if key not in _DIGESTS}
    digests = {metadata.get(key) for key in _DIGESTS}
    if digests not in ({None}, {_digest(table, rest)}):
        raise EvaluationError(
            f"{path}: damaged: the scores or what is said of them changed after they were written; "
            "predict again, or write a CSV if you changed them on purpose"
        )
    return rest


def _digest(table: pl.DataFrame, metadata: Mapping[str, str]) -> str:
    texts = (text for pair in sorted(metadata.items()) for text in pair)
    return digest_of_texts([table_digest(table), *texts])


def completed(frame: pl.DataFrame, *, where: str = "predictions") -> pl.DataFrame:
    """The table with every column of the schema, typed; ``unit`` and ``class`` filled in.

    Where ``unit`` is absent it is the finest that the ids name (a box makes a region); where
    ``class`` is absent it is ``cancer``.

    Raises:
        EvaluationError: ``score`` or all ids are absent, or a value cannot be read as its type.
    """
    if "score" not in frame.columns:
        raise EvaluationError(f"{where}: no column 'score'; have {', '.join(frame.columns)}")
    if "class" not in frame.columns:
        frame = frame.with_columns(pl.lit("cancer").alias("class"))
    schema = dict(PREDICTIONS_SCHEMA) | {k: v for k, v in _EXTRAS.items() if k in frame.columns}
    columns = [
        _typed(frame, name, dtype, where)
        if name in frame.columns
        else pl.Series(name, [None], dtype=dtype).new_from_index(0, len(frame))
        for name, dtype in schema.items()
    ]
    table = pl.DataFrame(columns)
    if "unit" not in frame.columns:
        table = table.with_columns(unit=_finest_unit())
    return table.with_columns(pl.col("class").replace(CLASS_NAMES))


def check_rows(table: pl.DataFrame) -> None:
    """Pass a table whose every row is a score of one thing, given once.

    Raises:
        EvaluationError: An unknown unit, an id that is missing, a score that is null, NaN or
            infinite, an empty box, or two rows for one thing; the message names the rows.
    """
    table = table.with_row_index("line", offset=1)
    _refuse(table, ~pl.col("unit").is_in(UNITS) | pl.col("unit").is_null(), "unit", UNITS)
    for unit, keys in KEYS.items():
        rows = table.filter(pl.col("unit") == unit)
        if len(rows) == 0:
            continue
        ids = [k for k in keys if not (unit == "breast" and "row" in table.columns)]
        absent = pl.any_horizontal(pl.col(k).is_null() for k in ids) if ids else pl.lit(False)
        _refuse(rows, absent, f"{' or '.join(keys)} of unit {unit}", ("a value",))
        _refuse(rows, ~pl.col("score").is_finite().fill_null(False), "score", ("a finite number",))
        if unit == "region":
            empty = (pl.col("x0") >= pl.col("x1")) | (pl.col("y0") >= pl.col("y1"))
            _refuse(rows, empty, "box", ("x0 < x1 and y0 < y1",))
        else:
            _refuse_twice(rows, unit, keys)


def name_rows(rows: pl.DataFrame, columns: Sequence[str]) -> str:
    """Rows for a message: the first few by their ids, and how many others there are."""
    shown = [
        ", ".join(f"{c} {row[c]!r}" for c in columns if row.get(c) is not None)
        for row in rows.head(_SHOWN).iter_rows(named=True)
    ]
    more = f"; and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return "; ".join(shown) + more


def _refuse(rows: pl.DataFrame, bad: pl.Expr, what: str, need: Sequence[str]) -> None:
    bad_rows = rows.filter(bad)
    if len(bad_rows):
        ids = ("line", "unit", "exam_id", "side", "image_id", "finding_id", "score")
        raise EvaluationError(
            f"predictions: {len(bad_rows):,} rows with a bad {what}: {name_rows(bad_rows, ids)};"
            f" need {' or '.join(need)}; correct or remove them"
        )


def _refuse_twice(rows: pl.DataFrame, unit: str, keys: Sequence[str]) -> None:
    by = [*keys, "class"] + (["image_id"] if unit == "finding" else [])
    by += ["row"] if "row" in rows.columns and unit == "breast" else []
    twice = rows.filter(pl.struct(by).is_duplicated()).sort(by, maintain_order=True)
    if len(twice):
        raise EvaluationError(
            f"predictions: {len(twice):,} rows are scores of the same {unit}:"
            f" {name_rows(twice, ['line', *by])}; keep one of each"
        )


def _finest_unit() -> pl.Expr:
    has = {c: pl.col(c).is_not_null() for c in ("x0", "finding_id", "image_id", "side")}
    return (
        pl.when(has["finding_id"])
        .then(pl.lit("finding"))
        .when(has["x0"])
        .then(pl.lit("region"))
        .when(has["image_id"])
        .then(pl.lit("image"))
        .when(has["side"])
        .then(pl.lit("breast"))
        .otherwise(pl.lit("exam"))
    )


def _typed(frame: pl.DataFrame, name: str, dtype: Any, where: str) -> pl.Series:
    values = frame[name]
    if dtype == pl.String and values.dtype.is_float():
        raise EvaluationError(f"{where}: column '{name}' is {values.dtype}; need text or integers")
    if values.dtype == pl.String and dtype != pl.String:
        values = values.replace({"": None})
        if dtype.is_float():  # "0,5" is 0.5
            values = values.str.replace(r"^\s*([-+]?\d*),(\d+)\s*$", "$1.$2").str.strip_chars()
    try:
        return values.cast(dtype)
    except pl.exceptions.PolarsError:
        bad = values.filter(values.is_not_null() & values.cast(dtype, strict=False).is_null())
        example = f" such as {bad[0]!r}" if len(bad) else ""
        raise EvaluationError(
            f"{where}: column '{name}' has {values.dtype} values{example}; need {dtype}"
        ) from None


def _from_metarepo_images(raw: pl.DataFrame, path: Path) -> pl.DataFrame:
    """``image_index, malignant_pred, malignant_label``; benign and unnamed columns are ignored."""
    frame = raw.select(
        image_id="image_index",
        score="malignant_pred",
        unit=pl.lit("image"),
        **({"label": pl.col("malignant_label")} if "malignant_label" in raw.columns else {}),
    )
    return completed(frame, where=str(path))


def _from_metarepo_breasts(raw: pl.DataFrame, path: Path) -> pl.DataFrame:
    """``left_malignant, right_malignant``: row i is exam i of a list that is not in the file."""
    ids = ["exam_id"] if "exam_id" in raw.columns else []
    numbered = raw.with_row_index("row")
    sides: tuple[tuple[Literal["L", "R"], str], ...] = (
        ("L", "left_malignant"),
        ("R", "right_malignant"),
    )
    frame = pl.concat(
        numbered.select("row", *ids, unit=pl.lit("breast"), side=pl.lit(side), score=pl.col(column))
        for side, column in sides
    )
    return completed(frame, where=str(path))
