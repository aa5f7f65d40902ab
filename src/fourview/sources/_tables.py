"""Reading the tables that data sets are published with: text in, typed columns out, no guessing.

Every reader here names the file, the row and the value that it stumbled over. Blank is null.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import polars as pl

from fourview.errors import ManifestError
from fourview.manifest.table_text import read_text_table
from fourview.sources._xlsx import read_sheet

FIRST_ROW = 2  # of a table's data, counted as a text editor does: row 1 holds the names
BLANK = ("", "nan", "NaN", "NA", "N/A", "None", "null")


def find_file(root: Path, *patterns: str) -> Path:
    """The one file that matches a glob pattern, in ``root`` or one folder below.

    Patterns are tried in their order; of several files that match one, the first by name is taken.

    Raises:
        ManifestError: There is none.
    """
    files = find_files(root, *patterns)
    if not files:
        raise ManifestError(f"{root}: no {' or '.join(patterns)}; name the folder that holds it")
    return files[0]


def find_files(root: Path, *patterns: str) -> list[Path]:
    """All files that match the first pattern that any file matches, sorted by name."""
    if not root.is_dir():
        raise ManifestError(f"{root}: is no folder; name the one that holds the data set")
    for pattern in patterns:
        files = sorted(root.glob(pattern)) or sorted(root.glob(f"*/{pattern}"))
        if files:
            return files
    return []


def read_table(
    path: Path,
    columns: Iterable[str],
    *,
    optional: Iterable[str] = (),
    aliases: Mapping[str, str] | None = None,
    separator: str = ",",
) -> pl.DataFrame:
    """Read a CSV or XLSX table as text.

    Args:
        path: The table; a CSV may have any of the codings and separators of ``table_text``.
        columns: Names that it must have.
        optional: Names that are taken where they stand, and are null columns where they do not.
        aliases: Other spellings, mapped to the names above.
        separator: Between the fields of a CSV, where its first line has it; else the first line
            tells which one it is.

    Returns:
        ``row`` (as counted in an editor) and the named columns, all text but ``row``; names and
        values have no blanks at either end, runs of blanks are one, and blank values are null.

    Raises:
        ManifestError: It cannot be read, or lacks a column.
    """
    table = read_any_table(path, separator)
    table = table.rename({name: " ".join(name.split()) for name in table.columns})
    known = dict(aliases or {})
    table = table.rename({old: new for old, new in known.items() if old in table.columns})
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ManifestError(f"{path}: no column '{missing[0]}'; it has: {', '.join(table.columns)}")
    absent = [pl.lit(None, dtype=pl.String).alias(n) for n in optional if n not in table.columns]
    table = table.with_columns(absent).select([*columns, *optional])
    clean = pl.all().str.replace_all(r"\s+", " ").str.strip_chars()
    table = table.with_columns(clean)
    table = table.with_columns(pl.when(~pl.all().is_in(BLANK)).then(pl.all()))
    return table.filter(~pl.all_horizontal(pl.all().is_null())).with_row_index(
        "row", offset=FIRST_ROW
    )


def read_any_table(path: Path, separator: str | None = None) -> pl.DataFrame:
    """A CSV or XLSX table with the names and values that stand in it, all text.

    Raises:
        ManifestError: It cannot be read.
    """
    return read_sheet(path) if path.suffix.lower() == ".xlsx" else read_text_table(path, separator)


def require_rows(table: pl.DataFrame, path: Path) -> None:
    """Pass a table that has rows.

    Raises:
        ManifestError: It has a line of names only, as an interrupted export leaves it.
    """
    if table.is_empty():
        raise ManifestError(f"{path}: the table has a line of names and no rows; export it again")


def require_values(
    table: pl.DataFrame, column: str, allowed: Collection[str], path: Path, *, blank: bool = False
) -> None:
    """Pass a column that holds only ``allowed`` values, and blank ones where ``blank``.

    Raises:
        ManifestError: It holds another; the message names its row.
    """
    good = pl.col(column).is_in(list(allowed)).fill_null(blank)
    bad = table.filter(~good)
    if len(bad):
        row, value = bad.row(0, named=True)["row"], bad[column][0]
        raise ManifestError(
            f"{path}:{row}: {column} '{value or ''}' is none of {', '.join(sorted(allowed))}"
        )


def with_numbers(
    table: pl.DataFrame, columns: Iterable[str], path: Path, *, whole: bool = False
) -> pl.DataFrame:
    """``table`` with text columns as numbers: "3", "3.0" and " 3" are the same; blank is null.

    A comma is a decimal comma, as tables of a German or French office have it.

    Raises:
        ManifestError: A value is no number, or no whole one where ``whole``.
    """
    for column in columns:
        text = pl.col(column).str.replace(r"^\s*([-+]?\d*),(\d+)\s*$", "$1.$2")
        value = text.cast(pl.Float64, strict=False)
        wrong = pl.col(column).is_not_null() & (value.is_null() | ~value.is_finite())
        if whole:
            wrong |= value != value.round()
        bad = table.filter(wrong)
        if len(bad):
            what = "a whole number" if whole else "a number"
            row = bad.row(0, named=True)
            raise ManifestError(f"{path}:{row['row']}: {column} '{row[column]}' is not {what}")
        table = table.with_columns(value.cast(pl.Int64) if whole else value)
    return table


def id_text(column: str) -> pl.Expr:
    """An id that a spreadsheet may have turned into a number: "123.0" is 123."""
    return pl.col(column).str.replace(r"^(\d+)\.0+$", "$1")


def one_value(column: str) -> pl.Expr:
    """For each group: its value where all known values agree, else null."""
    known = pl.col(column).drop_nulls()
    return pl.when(known.n_unique() == 1).then(known.first()).alias(column)


def most_severe_birads(column: str = "birads") -> pl.Expr:
    """For each group: the category that decides what is done next.

    The highest, but 0 (needs more imaging) outranks 1 and 2: a recall is worse than a benign
    finding, and 3 and above are worse than an open question.
    """
    values = pl.col(column).drop_nulls()
    recalled = (values == 0).any() & (values.max() <= 2)
    return pl.when(recalled).then(pl.lit(0)).otherwise(values.max()).cast(pl.Int8).alias(column)


def clip_boxes(findings: pl.DataFrame, images: pl.DataFrame) -> pl.DataFrame:
    """Boxes cut to their image where its size is known; those with nothing inside become null.

    Adds ``box_note``, which says why a row has no box or another one than was published.
    """
    sizes = images.select("image_id", pl.col("rows").alias("_rows"), pl.col("cols").alias("_cols"))
    joined = findings.join(sizes, on="image_id", how="left", maintain_order="left")
    cut = joined.with_columns(
        pl.max_horizontal("x0", pl.when(pl.col("x0").is_not_null()).then(0.0)).alias("_x0"),
        pl.max_horizontal("y0", pl.when(pl.col("y0").is_not_null()).then(0.0)).alias("_y0"),
        pl.when(pl.col("x1").is_not_null()).then(pl.min_horizontal("x1", "_cols")).alias("_x1"),
        pl.when(pl.col("y1").is_not_null()).then(pl.min_horizontal("y1", "_rows")).alias("_y1"),
    )
    moved = pl.any_horizontal(pl.col(c) != pl.col(f"_{c}") for c in ("x0", "y0", "x1", "y1"))
    inside = (pl.col("_x0") < pl.col("_x1")) & (pl.col("_y0") < pl.col("_y1"))
    outside = pl.when(~inside).then(pl.lit("no pixel of the image"))
    note: pl.Expr = outside.when(moved).then(pl.lit("cut at the edge"))
    if "box_note" in joined.columns:
        note = pl.coalesce("box_note", note)
    cut = cut.with_columns(note.alias("box_note"))
    boxes = [pl.when(inside).then(pl.col(f"_{c}")).alias(c) for c in ("x0", "y0", "x1", "y1")]
    return cut.with_columns(boxes).drop("_rows", "_cols", "_x0", "_y0", "_x1", "_y1")
