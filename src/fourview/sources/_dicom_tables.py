"""Parts of a scan -> a manifest's images and exams, sorted, a range of them in memory at a time.

Twice:   the first file of an image, in the order of files, is it; the others are left out as
         duplicates and get an id of their own. Where files of one SOP Instance UID show different
         pixels they are different images: all are kept, the later under ids of their own.
Exams:   a study that files of several patients name is the exam of the first of them; for each
         other patient it is an exam whose id ends in the patient's. An exam's age is the lowest
         that its images tell: that at its beginning.
How:     one pass deals the ids of all files out to shelves on disk, by image and by exam, where
         each is compared with its like only; a second one deals the rows out to ranges of patients
         and exams. What stays in memory of a file is less than a byte, and four of a duplicate.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fourview.dicom.identity import copies_among, shared_uid_note
from fourview.entities.reasons import Reason
from fourview.sources._dicom_parts import PART_SCHEMA
from fourview.sources._spool import Spool

BATCH = 1 << 14  # rows that are in memory with all their columns
SHELF = 1 << 18  # rows of ids that are compared at once
SAMPLE = 64  # every so many-th row is looked at to lay the ranges
PART = 256  # files of a part, about; only the number of shelves depends on it
KEYS = ("patient_id", "exam_id", "image_id")


class Tables(NamedTuple):
    """Images that come after those of the tables before, and their exams, in the same order."""

    images: pl.DataFrame
    exams: pl.DataFrame


class _Survey(NamedTuple):
    """What must be known of all files before the first row can be written.

    Attributes:
        seconds: Places of the files whose image was there before.
        apart: Places of those whose UID was there before, on another image.
        owners: The first patient of each exam that has several.
        bounds: The least keys of every range but the first.
    """

    seconds: pl.Series
    apart: pl.Series
    owners: pl.DataFrame
    bounds: pl.DataFrame


def tables_in_order(
    parts: Sequence[Path],
    folder: Path,
    root: Path = Path(),
) -> Iterator[Tables]:
    """The rows of all parts, range by range.

    Args:
        parts: The parts in the order of their files, with the columns of PART_SCHEMA.
        folder: Made here, on a disk with room for the parts a second time.
        root: Folder that the paths of the files are relative to.

    Yields:
        Tables whose rows come after those before. An exam may go on in the next ones; its row
        there holds for all of it.
    """
    survey = _survey(parts, folder, root)
    spool = Spool(folder / "ranges")
    for rows in _batches(parts, list(PART_SCHEMA)):
        spool.put(_with_range(_named(rows, survey), survey.bounds), "range")
    last = pl.DataFrame(schema={"patient_id": pl.String, "exam_id": pl.String, "age": pl.Float64})
    for images in spool.shelves():
        ages = pl.concat([last, images.select(last.columns)])
        exams = ages.group_by("patient_id", "exam_id").agg(pl.col("age").min())
        exams = exams.sort("patient_id", "exam_id")
        last = exams.tail(1)
        yield Tables(images.drop("age").sort(KEYS), exams)


def _survey(parts: Sequence[Path], folder: Path, root: Path) -> _Survey:
    count = 1 + len(parts) * PART // SHELF
    by_image, by_exam = Spool(folder / "by_image"), Spool(folder / "by_exam")
    samples = []
    for rows in _batches(parts, (*KEYS, "path")):
        samples.append(rows.select(KEYS).gather_every(SAMPLE))
        images = rows.select("place", "image_id", "path", shelf=pl.col("image_id").hash() % count)
        by_image.put(images, "shelf")
        exams = rows.unique(["exam_id", "patient_id"], keep="first", maintain_order=True)
        exams = exams.select(
            "place", "exam_id", "patient_id", shelf=pl.col("exam_id").hash() % count
        )
        by_exam.put(exams, "shelf")
    seconds, apart = [], []
    for images in by_image.shelves():
        is_copy = _copies(images.filter(pl.col("image_id").is_duplicated()), root)
        seconds.append(is_copy.filter(pl.col("is_copy"))["place"])
        apart.append(is_copy.filter(~pl.col("is_copy"))["place"])
    owners = [
        exams.group_by("exam_id").agg(
            owner=pl.col("patient_id").sort_by("place").first(),
            several=pl.col("patient_id").n_unique() > 1,
        )
        for exams in by_exam.shelves()
    ]
    step = BATCH // SAMPLE
    return _Survey(
        seconds=pl.concat(seconds),
        apart=pl.concat(apart),
        owners=pl.concat([o.filter("several").drop("several") for o in owners]),
        bounds=pl.concat(samples).sort(KEYS).gather_every(step, offset=step).unique(KEYS),
    )


def _copies(twice: pl.DataFrame, root: Path) -> pl.DataFrame:
    """For files that share an id: the place of each but the first, and whether it is a copy."""
    places: list[int] = []
    copies: list[bool] = []
    for group in twice.sort("place").partition_by("image_id", maintain_order=True):
        places += group["place"].to_list()[1:]
        copies += copies_among([root / path for path in group["path"]])[1:]
    table = pl.DataFrame(
        {"place": places, "is_copy": copies}, schema_overrides={"is_copy": pl.Boolean}
    )
    return table.with_columns(pl.col("place").cast(twice.schema["place"]))


def _batches(parts: Sequence[Path], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The rows of the parts, some parts at a time, with the ``place`` of each among all files."""
    done, group = 0, []
    for number, part in enumerate(parts, start=1):
        group.append(pl.read_parquet(part, columns=list(columns)))
        if sum(map(len, group)) >= BATCH or number == len(parts):
            rows = pl.concat(group).with_row_index("place", offset=done)
            done, group = done + len(rows), []
            yield rows


def _named(rows: pl.DataFrame, survey: _Survey) -> pl.DataFrame:
    """Rows with the ids that they have in the manifest."""
    is_second = pl.col("place").is_in(survey.seconds.implode())
    is_apart = pl.col("place").is_in(survey.apart.implode())
    note = pl.col("image_id").map_elements(shared_uid_note, return_dtype=pl.String)
    rows = rows.join(survey.owners, on="exam_id", how="left", maintain_order="left")
    return rows.with_columns(
        pl.when(is_second)
        .then(pl.lit(Reason.DUPLICATE.value))
        .otherwise("left_out")
        .alias("left_out"),
        pl.when(is_second)
        .then(pl.format("a second file of image {}", "image_id"))
        .otherwise("detail")
        .alias("detail"),
        pl.when(is_apart).then(pl.concat_list("notes", note)).otherwise("notes").alias("notes"),
        pl.when(is_second | is_apart)
        .then(pl.format("{}#{}", "image_id", "path"))
        .otherwise("image_id")
        .alias("image_id"),
        pl.when(pl.col("owner") != pl.col("patient_id"))
        .then(pl.format("{}#{}", "exam_id", "patient_id"))
        .otherwise("exam_id")
        .alias("exam_id"),
    ).drop("place", "owner")


def _with_range(rows: pl.DataFrame, bounds: pl.DataFrame) -> pl.DataFrame:
    """Sorted rows with their ``range``: how many of the bounds stand before them."""
    both = pl.concat(
        [rows.with_columns(is_row=pl.lit(True)), bounds.with_columns(is_row=pl.lit(False))],
        how="diagonal",
    ).sort(*KEYS, "is_row")
    return both.with_columns(range=(~pl.col("is_row")).cum_sum()).filter("is_row").drop("is_row")
